//! A client as the hot path needs it: what it may ask for and how it proves itself, in at most 400
//! bytes for the common kind.

use std::mem::size_of;
use std::sync::Mutex;
use std::sync::atomic::AtomicI64;
use std::time::Instant;

use crate::crypto::ClientKeys;
use crate::domain::client::{AuthMethod, ClientSecret, GrantType};
use crate::domain::client_policy::ClientPolicy;
use crate::domain::secret::StoredSecret;
use crate::domain::token::AccessTokenFormat;
use crate::domain::{AudienceSet, Client, ClientId, Fault, ProviderId, ScopeSet};
use crate::engine::cache::Weigh;

/// Provider and `client_id`.
pub type ClientKey = (ProviderId, ClientId);

/// A client with its live secrets.
pub struct ClientEntry {
    pub client_id: ClientId,
    /// `None`: the `client_id`.
    subject: Option<Box<str>>,
    pub scope: ScopeSet,
    pub audience: AudienceSet,
    pub resources: AudienceSet,
    only_surface: Option<Box<str>>,
    pub secrets: Box<[SecretEntry]>,
    /// For `private_key_jwt`.
    pub assertion: Option<Box<AssertionEntry>>,
    /// What only clients of people need; the common machine client stays small.
    people: Option<Box<People>>,
    /// A chosen secret that was verified lately; gone with the entry when the client changes.
    pub verified: Mutex<Option<Box<VerifiedSecret>>>,
    access_token_ttl: Option<i32>,
    max_ttl: Option<i32>,
    pub epoch: u32,
    grants: u8,
    pub auth_method: AuthMethod,
    pub format: AccessTokenFormat,
    pub resource_server: bool,
    /// May turn its credential into ephemeral tokens.
    pub may_mint: bool,
    pub may_set_subject: bool,
    pub live: bool,
}

/// A client that people log in to.
struct People {
    name: Box<str>,
    policy: ClientPolicy,
}

/// How a client's assertions are verified.
pub struct AssertionEntry {
    pub keys: AssertionKeys,
    pub pinned_alg: Option<Box<str>>,
    jwks_bytes: usize,
}

/// Where a client's keys are.
pub enum AssertionKeys {
    Registered(ClientKeys),
    /// At this URL (RFC 7591 §2 `jwks_uri`); kept where all fetched keys are.
    Published(Box<str>),
}

/// One secret, live or ended lately.
pub struct SecretEntry {
    /// UUID of the secret, without its hyphens' cost.
    pub id: u128,
    pub stored: StoredSecret,
    /// When it ends or has ended, epoch seconds; `i64::MAX` if it does not.
    pub expires_at: i64,
    /// It was revoked then.
    pub is_revoked: bool,
    /// Its last characters; zeros where they are not four of ASCII.
    hint: [u8; 4],
    /// When its use was last noted, epoch seconds.
    pub noted_at: AtomicI64,
}

/// Proof that a chosen secret was verified: a keyed digest of it, and until when it counts.
pub struct VerifiedSecret {
    pub digest: StoredSecret,
    pub until: Instant,
}

impl ClientEntry {
    /// A fault if the stored keys cannot be read: they were validated when they were stored.
    pub fn of(client: Client, secrets: Vec<ClientSecret>) -> Result<Self, Fault> {
        let live = client.is_live();
        let Client {
            provider: _,
            client_id,
            subject,
            name,
            auth_method,
            auth_signing_alg,
            jwks,
            jwks_uri,
            grant_types,
            scope,
            audience,
            resource_server,
            resources,
            access_token_format,
            access_token_ttl,
            enabled: _,
            only_surface,
            policy,
            epoch,
            version: _,
            created_at: _,
            updated_at: _,
            deleted_at: _,
        } = client;
        let subject = (subject != client_id.as_str()).then(|| subject.into());
        Ok(Self {
            subject,
            scope,
            audience,
            resources,
            only_surface: only_surface.map(Into::into),
            secrets: secrets.into_iter().map(SecretEntry::of).collect(),
            assertion: assertion(auth_method, (jwks, jwks_uri), auth_signing_alg)?,
            max_ttl: policy.max_ttl.map(narrow),
            may_mint: policy.may_mint,
            may_set_subject: policy.may_set_subject,
            people: people(&grant_types, name, policy),
            verified: Mutex::new(None),
            access_token_ttl: access_token_ttl.map(narrow),
            epoch,
            grants: grant_bits(&grant_types),
            auth_method,
            format: access_token_format,
            resource_server,
            live,
            client_id,
        })
    }

    /// `sub` of its own tokens.
    pub fn subject(&self) -> &str {
        self.subject.as_deref().unwrap_or(self.client_id.as_str())
    }

    pub fn is_public(&self) -> bool {
        self.auth_method == AuthMethod::None
    }

    pub fn may_use(&self, grant: GrantType) -> bool {
        self.grants & bit(grant) != 0
    }

    /// Whether it has any grant type.
    pub fn uses_grants(&self) -> bool {
        self.grants != 0
    }

    /// Seconds; `None`: the provider's.
    pub fn access_token_ttl(&self) -> Option<i64> {
        self.access_token_ttl.map(i64::from)
    }

    /// The longest its access tokens may live, seconds; `None`: the provider's bound alone.
    pub fn max_ttl(&self) -> Option<i64> {
        self.max_ttl.map(i64::from)
    }

    /// What shapes the grants of people; `None`: it has none of them.
    pub fn policy(&self) -> Option<&ClientPolicy> {
        self.people.as_ref().map(|people| &people.policy)
    }

    /// Its name as people are shown it.
    pub fn name(&self) -> &str {
        self.people.as_ref().map_or(self.client_id.as_str(), |people| &people.name)
    }

    /// The one surface it answers on, if there is one.
    pub fn only_surface(&self) -> Option<&str> {
        self.only_surface.as_deref()
    }

    /// Whether it answers on this surface.
    pub fn serves(&self, surface: &str) -> bool {
        self.only_surface.as_deref().is_none_or(|only| only == surface)
    }
}

impl SecretEntry {
    fn of(secret: ClientSecret) -> Self {
        let ClientSecret { id, stored, hint, created_at: _, expires_at, last_used_at, revoked_at } = secret;
        let is_revoked = revoked_at.is_some_and(|at| expires_at.is_none_or(|end| at < end));
        let ends = [expires_at, revoked_at].into_iter().flatten().min();
        Self {
            id: packed(id.as_str()),
            stored,
            expires_at: ends.unwrap_or(i64::MAX),
            is_revoked,
            hint: hint.as_bytes().try_into().ok().filter(|_| hint.is_ascii()).unwrap_or_default(),
            noted_at: AtomicI64::new(last_used_at.unwrap_or(0)),
        }
    }

    /// Its last characters; empty where they are not four of ASCII.
    pub fn hint(&self) -> &str {
        std::str::from_utf8(&self.hint).unwrap_or_default().trim_end_matches('\0')
    }

    /// The id as it stands in the database.
    pub fn id_text(&self) -> String {
        crate::domain::token::Jti(self.id.to_be_bytes()).to_string()
    }
}

impl Weigh for ClientEntry {
    fn weight(&self) -> usize {
        let text = |text: &str| text.len();
        // An `Arc<str>` costs two counters beside its text; so does the `Arc` of the entry itself.
        let arc = 2 * size_of::<usize>();
        let secrets: usize = self.secrets.iter().map(secret_weight).sum();
        let assertion = self.assertion.as_ref().map_or(0, |entry| size_of::<AssertionEntry>() + 3 * entry.jwks_bytes);
        arc + size_of::<Self>()
            + arc
            + text(self.client_id.as_str())
            + self.subject.as_deref().map_or(0, text)
            + text(self.scope.as_str())
            + text(self.audience.as_str())
            + text(self.resources.as_str())
            + self.only_surface.as_deref().map_or(0, text)
            + secrets
            + self.people.as_ref().map_or(0, |people| people_weight(people))
            + assertion
    }
}

fn secret_weight(secret: &SecretEntry) -> usize {
    let heap = match &secret.stored {
        StoredSecret::Digest { pepper_id, digest: _ } => pepper_id.len(),
        StoredSecret::Argon2(phc) => phc.len() + size_of::<VerifiedSecret>(),
    };
    size_of::<SecretEntry>() + heap
}

/// The strings of a policy, roughly: a URI and what a vector keeps of it.
fn people_weight(people: &People) -> usize {
    let uris = people.policy.redirect_uris.iter().chain(&people.policy.post_logout_redirect_uris);
    let lists: usize = uris.map(|uri| uri.len() + size_of::<String>()).sum();
    let logout = people.policy.backchannel_logout_uri.as_ref().map_or(0, String::len);
    size_of::<People>() + people.name.len() + lists + logout
}

fn people(grants: &[GrantType], name: String, policy: ClientPolicy) -> Option<Box<People>> {
    let of_machines = |grant: &GrantType| *grant == GrantType::ClientCredentials;
    let needed = !grants.iter().all(of_machines)
        || !policy.redirect_uris.is_empty()
        || !policy.post_logout_redirect_uris.is_empty();
    needed.then(|| Box::new(People { name: name.into(), policy }))
}

fn assertion(
    method: AuthMethod,
    places: (Option<String>, Option<String>),
    pinned_alg: Option<String>,
) -> Result<Option<Box<AssertionEntry>>, Fault> {
    let (bytes, keys) = match places {
        (Some(jwks), _) => (jwks.len(), AssertionKeys::Registered(ClientKeys::parse(&jwks).map_err(Fault::crypto)?)),
        (None, Some(url)) => (url.len(), AssertionKeys::Published(url.into())),
        (None, None) => return Ok(None),
    };
    let pinned_alg = pinned_alg.map(Into::into);
    let entry = AssertionEntry { keys, pinned_alg, jwks_bytes: bytes };
    Ok((method == AuthMethod::PrivateKeyJwt).then(|| Box::new(entry)))
}

/// Lifetimes are far below the bound.
fn narrow(seconds: i64) -> i32 {
    i32::try_from(seconds).unwrap_or(i32::MAX)
}

fn bit(grant: GrantType) -> u8 {
    let position = GrantType::ALL.iter().position(|own| *own == grant).unwrap_or(0);
    1 << position
}

fn grant_bits(grants: &[GrantType]) -> u8 {
    grants.iter().fold(0, |bits, grant| bits | bit(*grant))
}

/// UUID text as a number; 0 for what is not one, which then simply is not noted.
fn packed(id: &str) -> u128 {
    crate::domain::token::Jti::parse(id).map_or(0, |bytes| u128::from_be_bytes(bytes.0))
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A client_credentials client with one generated secret.
    pub fn typical() -> (Client, Vec<ClientSecret>) {
        let client_id = "019a0001-0203-7405-8607-08090a0b0cff";
        let client = Client {
            provider: "019a0001-0203-7405-8607-08090a0b0c00".into(),
            client_id: client_id.into(),
            subject: client_id.into(),
            name: "billing".into(),
            auth_method: AuthMethod::ClientSecretBasic,
            auth_signing_alg: None,
            jwks: None,
            jwks_uri: None,
            grant_types: vec![GrantType::ClientCredentials],
            scope: ScopeSet::parse("orders:read orders:write").unwrap(),
            audience: AudienceSet::of(["https://orders.example.com"]).unwrap(),
            resource_server: false,
            resources: AudienceSet::default(),
            access_token_format: AccessTokenFormat::Jwt,
            access_token_ttl: None,
            enabled: true,
            only_surface: None,
            policy: crate::domain::client_policy::ClientPolicy::default(),
            epoch: 0,
            version: 1,
            created_at: 0,
            updated_at: 0,
            deleted_at: None,
        };
        let secret = ClientSecret {
            id: "019a0001-0203-7405-8607-08090a0b0c01".into(),
            stored: StoredSecret::Digest { pepper_id: "p0Ab3xZ".into(), digest: [7; 32] },
            hint: "abcd".into(),
            created_at: 0,
            expires_at: None,
            last_used_at: None,
            revoked_at: None,
        };
        (client, vec![secret])
    }

    #[test]
    fn a_common_client_takes_at_most_400_bytes() {
        let (client, secrets) = typical();
        let entry = ClientEntry::of(client, secrets).unwrap();
        assert!(entry.weight() <= 400, "{} bytes", entry.weight());
        assert_eq!(entry.secrets[0].id_text(), "019a0001-0203-7405-8607-08090a0b0c01");
    }
}
