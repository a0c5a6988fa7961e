//! Who is calling. Generated secrets and API keys are checked at once by a keyed digest and are
//! never slowed; what costs much to check (Argon2, a signature) is throttled first. Unknown and
//! wrong take the same way and the same time.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};

use crate::crypto::{AssertionFlaw, assertion_client_id, assertion_key, credential, verify_assertion};
use crate::domain::assertion::AssertionClaims;
use crate::domain::client::AuthMethod;
use crate::domain::clock::monotonic;
use crate::domain::explanation::{Fact, facts};
use crate::domain::grant::PresentedClient;
use crate::domain::id::is_client_id;
use crate::domain::secret::{MAX_SECRET, MIN_CHOSEN_SECRET, SecretKind};
use crate::domain::{ClientId, Context, Failed, ProviderId, Refusal, RefusalKind};
use crate::engine::Engine;
use crate::engine::cache::api_keys::{ApiKeyEntry, DigestOwner};
use crate::engine::cache::clients::{AssertionEntry, AssertionKeys, ClientEntry};
use crate::engine::cache::providers::ProviderEntry;
use crate::engine::explain::credentials::{ended_key, note_auth_method, note_key};
use crate::store::assertion_jtis;

/// RFC 7523 §3: how far ahead `exp` and how far back `iat` may lie, seconds. Bounds the jti table.
const ASSERTION_WINDOW: i64 = 3600;
/// Clocks that differ a little are forgiven for `nbf` and `iat`, seconds.
const SKEW: i64 = 10;
const MAX_JTI: usize = 256;

/// Name and subject of the key that the environment gives.
pub const ENV: &str = "env";

/// A caller that proved itself.
pub enum Caller {
    Client(Arc<ClientEntry>),
    ApiKey(Arc<ApiKeyEntry>),
    /// `GRANTD_ADMIN_KEY`: an owner that stands in no table.
    Env,
}

impl Caller {
    pub(in crate::engine) fn not_a_client() -> Refusal {
        Refusal::invalid_client("an API key stood where a client must")
    }
}

impl Engine {
    /// The caller behind what was presented at this provider.
    pub(in crate::engine) async fn authenticate(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        presented: PresentedClient,
    ) -> Result<Caller, Failed> {
        match presented {
            PresentedClient::Bare { client_id } => self.public_client(ctx, provider, client_id).await,
            PresentedClient::Secret { client_id, secret, via } => {
                self.client_by_secret(ctx, provider, client_id, &secret, via).await
            }
            PresentedClient::Assertion { jwt, client_id } => {
                self.client_by_assertion(ctx, provider, &jwt, client_id).await
            }
            PresentedClient::ApiKey { key } => self.api_key_caller(ctx, &key).await,
        }
    }

    /// The API key with this text, or the environment's.
    pub async fn api_key_caller(&self, ctx: &Context, key: &SecretString) -> Result<Caller, Failed> {
        self.require_fresh(ctx).await?;
        if self.is_env_key(key) {
            return Ok(Caller::Env);
        }
        let (mut found, now) = (self.find_api_key(ctx, key.expose_secret()).await?, ctx.now.seconds());
        let unknown = |(entry, owner): &&(Arc<ApiKeyEntry>, Arc<DigestOwner>)| {
            entry.secret(&owner.secret, now).is_none() && !self.0.caches.ended_keys.holds(&owner.secret, monotonic())
        };
        if let Some((entry, _)) = found.as_ref().filter(unknown) {
            self.0.caches.api_keys.invalidate(&entry.key.id);
            found = self.find_api_key(ctx, key.expose_secret()).await?;
        }
        if let Some((entry, _)) = &found {
            note_key(ctx, entry);
        }
        let why = match &found {
            Some((entry, owner)) => match entry.secret(&owner.secret, now) {
                Some(secret) if entry.key.is_live(now) => {
                    self.note_api_key_used(ctx, entry, secret);
                    return Ok(Caller::ApiKey(Arc::clone(entry)));
                }
                Some(_) => {
                    ctx.trail.failed("api_key.live", ended_key(entry));
                    "API key expired or deleted"
                }
                None => {
                    let values =
                        facts![api_key: Fact::text(entry.key.id.as_str()), secret: Fact::text(owner.secret.as_str())];
                    ctx.trail.failed("api_key.secret_live", values);
                    self.0.caches.ended_keys.note(owner.secret.clone(), monotonic());
                    "secret of the API key expired or revoked"
                }
            },
            None => {
                ctx.trail.failed("api_key.known", facts![]);
                "unknown API key"
            }
        };
        self.count_failure(ctx, "api-key")?;
        Err(Refusal::new(RefusalKind::InvalidApiKey, "The API key is not valid.").about(why).into())
    }

    /// As [`Engine::api_key_caller`], where only an API key will do: `refused` is said to an access token.
    /// The environment's key may look like one, because somebody else chose it.
    pub(in crate::engine) async fn key_and_no_token(
        &self,
        ctx: &Context,
        key: &SecretString,
        refused: &'static str,
    ) -> Result<Caller, Failed> {
        if looks_like_access_token(key.expose_secret()) && !self.is_env_key(key) {
            return Err(Refusal::forbidden(refused).into());
        }
        self.api_key_caller(ctx, key).await
    }

    fn is_env_key(&self, key: &SecretString) -> bool {
        let admin = self.0.admin_key.as_ref();
        admin.is_some_and(|admin| self.0.process_pepper.matches(admin, key.expose_secret()))
    }

    async fn find_api_key(
        &self,
        ctx: &Context,
        text: &str,
    ) -> Result<Option<(Arc<ApiKeyEntry>, Arc<DigestOwner>)>, Failed> {
        // Junk that only looks like a key of ours never reaches the database.
        let plausible = match credential::kind_of(text) {
            Some(kind) => kind == SecretKind::ApiKey && credential::is_well_formed(kind, text),
            None => (MIN_CHOSEN_SECRET..=MAX_SECRET).contains(&text.len()),
        };
        if !plausible {
            return Ok(None);
        }
        let candidates = self.secrets().peppers.candidates(text);
        Ok(self.api_key_by_digest(ctx, candidates).await?)
    }

    /// A bare `client_id` is enough for a public client only (RFC 6749 §3.2.1).
    async fn public_client(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        client_id: ClientId,
    ) -> Result<Caller, Failed> {
        match self.usable_client(ctx, provider, &client_id).await? {
            Some(client) if client.is_public() => Ok(Caller::Client(client)),
            Some(client) => {
                note_auth_method(ctx, &client, "none");
                Err(self.failed_client(ctx, provider, &client_id, "a client that is not public gave no proof"))
            }
            None => Err(self.failed_unknown(ctx, &client_id)),
        }
    }

    /// `private_key_jwt` (RFC 7523 §2.2, OIDC Core §9).
    async fn client_by_assertion(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        jwt: &SecretString,
        beside: Option<ClientId>,
    ) -> Result<Caller, Failed> {
        let jwt = jwt.expose_secret();
        let claimed = assertion_client_id(jwt).map(ClientId::from);
        let claimed = claimed.ok_or_else(|| Refusal::invalid_client("assertion without one client in iss and sub"))?;
        if beside.is_some_and(|beside| beside != claimed) {
            return Err(Refusal::invalid_client("client_id differs from the assertion's").into());
        }
        self.throttled(ctx, claimed.as_str())?;
        let client = self.usable_client(ctx, provider, &claimed).await?;
        let entry = client.as_deref().filter(|client| client.auth_method == AuthMethod::PrivateKeyJwt);
        let Some(known) = entry.and_then(|client| client.assertion.as_deref()) else {
            self.spend_a_verification(ctx, provider, jwt).await?;
            return Err(self.failed_unknown(ctx, &claimed));
        };
        let verified = self.verified_assertion(ctx, &provider.provider.id, jwt, known).await;
        let judged = verified.and_then(|claims| {
            judge_assertion(&claims, &claimed, provider, ctx.now.seconds()).map_err(str::to_owned).map(|()| claims)
        });
        let claims = judged.map_err(|why| {
            ctx.trail.failed("client.assertion", facts![because: Fact::text(&why)]);
            self.failed_client(ctx, provider, &claimed, &why)
        })?;
        self.redeem_assertion(ctx, provider, &claimed, claims).await?;
        client.map(Caller::Client).ok_or_else(|| Refusal::invalid_client("client vanished").into())
    }

    /// With the keys the client registered, or those it publishes. The error is for the log.
    async fn verified_assertion(
        &self,
        ctx: &Context,
        provider: &ProviderId,
        jwt: &str,
        known: &AssertionEntry,
    ) -> Result<AssertionClaims, String> {
        let fetched;
        let keys = match &known.keys {
            AssertionKeys::Registered(keys) => keys,
            AssertionKeys::Published(url) => {
                let (kid, alg) = assertion_key(jwt).ok_or_else(|| AssertionFlaw::Malformed.to_string())?;
                fetched = self.client_keys_by_uri(ctx, provider, url, (kid.as_deref(), &alg)).await?;
                &fetched.keys
            }
        };
        verify_assertion(jwt, keys, known.pinned_alg.as_deref()).await.map_err(|flaw| flaw.to_string())
    }

    /// One `jti` works once (OIDC Core §9): one guarded insert.
    async fn redeem_assertion(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        client_id: &ClientId,
        claims: AssertionClaims,
    ) -> Result<(), Failed> {
        let jti = claims.jti.unwrap_or_default();
        // Kept a little beyond `exp`, for clocks that differ.
        let keep_until = claims.expires_at + SKEW;
        let (row, owner) = (provider.provider.id.clone(), client_id.clone());
        let first = self
            .0
            .db
            .write_one(ctx.deadline, move |conn| assertion_jtis::redeem(conn, &row, &owner, &jti, keep_until))
            .await?;
        if !first {
            ctx.trail.failed("client.assertion", facts![because: Fact::word("its jti was used before")]);
        }
        if first { Ok(()) } else { Err(self.failed_client(ctx, provider, client_id, "assertion used twice")) }
    }

    /// An unknown client's assertion costs a signature check too: with our own public keys, which
    /// sign no assertion.
    async fn spend_a_verification(&self, ctx: &Context, provider: &ProviderEntry, jwt: &str) -> Result<(), Failed> {
        let ring = self.key_ring(ctx, &provider.provider.id).await?;
        if let Some(decoy) = &ring.decoy {
            let _never_believed = verify_assertion(jwt, decoy, None).await;
        }
        Ok(())
    }

    /// The client, if it may be used at all on this surface.
    pub(in crate::engine) async fn usable_client(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        client_id: &ClientId,
    ) -> Result<Option<Arc<ClientEntry>>, Failed> {
        if !is_client_id(client_id.as_str()) {
            return Ok(None);
        }
        let found = self.client(ctx, &provider.provider.id, client_id).await?;
        if found.is_none() {
            ctx.trail.failed("client.known", facts![]);
        }
        Ok(found.filter(|client| is_usable(ctx, client)))
    }

    pub(in crate::engine) fn throttled(&self, ctx: &Context, claimed: &str) -> Result<(), Refusal> {
        self.0.throttle.check(claimed, ctx.client_address, ctx.now).inspect_err(|_| self.counters().throttled.add_one())
    }

    fn count_failure(&self, ctx: &Context, claimed: &str) -> Result<(), Refusal> {
        self.0
            .throttle
            .failed(claimed, ctx.client_address, ctx.now)
            .inspect_err(|_| self.counters().throttled.add_one())
    }

    /// A known client failed: noted, for the operator to see.
    pub(in crate::engine) fn failed_client(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        client_id: &ClientId,
        why: &str,
    ) -> Failed {
        self.note_client_failed(ctx, &provider.provider.id, client_id);
        self.refuse_client(ctx, client_id, format!("client {client_id}: {why}"))
    }

    /// Not noted: anybody can think up ids, and a table must not grow by it. Nor is the id logged:
    /// people paste secrets where an id belongs.
    pub(in crate::engine) fn failed_unknown(&self, ctx: &Context, client_id: &ClientId) -> Failed {
        self.refuse_client(ctx, client_id, "a client that is unknown, disabled or not of this kind".to_owned())
    }

    /// Counts the failure and gives the one answer for all of them, or "too many".
    fn refuse_client(&self, ctx: &Context, client_id: &ClientId, why: String) -> Failed {
        match self.count_failure(ctx, client_id.as_str()) {
            Ok(()) => Refusal::invalid_client(why).into(),
            Err(too_many) => too_many.into(),
        }
    }
}

/// Whether the client is live and serves where it is used.
pub(in crate::engine) fn is_usable(ctx: &Context, client: &ClientEntry) -> bool {
    ctx.trail.client(&client.client_id);
    let name = || Fact::text(client.client_id.as_str());
    if !client.live {
        ctx.trail.failed("client.enabled", facts![client: name()]);
        return false;
    }
    if !client.serves(ctx.surface) {
        let only = Fact::text(client.only_surface().unwrap_or_default());
        ctx.trail.failed("client.surface", facts![client: name(), only_surface: only]);
        return false;
    }
    true
}

/// A JWT or one of our sealed tokens.
fn looks_like_access_token(text: &str) -> bool {
    let is_jwt = text.starts_with("ey") && text.split('.').count() == 3;
    is_jwt || credential::kind_of(text) == Some(SecretKind::OpaqueAccessToken)
}

/// What RFC 7523 §3 asks of the claims once the signature stands.
fn judge_assertion(
    claims: &AssertionClaims,
    client_id: &ClientId,
    provider: &ProviderEntry,
    now: i64,
) -> Result<(), &'static str> {
    let AssertionClaims { issuer, subject, audience, jti, expires_at, issued_at, not_before } = claims;
    if issuer != client_id.as_str() || subject != client_id.as_str() {
        return Err("iss and sub are not the client");
    }
    let ours = |value: &String| {
        let token_endpoint = value.strip_suffix("/oauth2/token");
        provider.answers_to(value) || token_endpoint.is_some_and(|issuer| provider.answers_to(issuer))
    };
    if audience.is_empty() || !audience.iter().all(ours) {
        return Err("aud is not this provider");
    }
    if *expires_at <= now {
        return Err("expired");
    }
    if *expires_at > now + ASSERTION_WINDOW {
        return Err("exp too far ahead");
    }
    if issued_at.is_some_and(|at| at < now - ASSERTION_WINDOW || at > now + SKEW) {
        return Err("iat too far off");
    }
    if not_before.is_some_and(|at| at > now + SKEW) {
        return Err("not yet valid");
    }
    match jti.as_deref() {
        Some(jti) if (1..=MAX_JTI).contains(&jti.len()) && !jti.contains('\0') => Ok(()),
        _ => Err("jti missing, too long or not text"),
    }
}
