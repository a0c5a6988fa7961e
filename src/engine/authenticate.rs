//! Who is calling. Generated secrets and API keys are checked at once by a keyed digest and are
//! never slowed; what costs much to check (Argon2, a signature) is throttled first. Unknown and
//! wrong take the same way and the same time.

use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use crate::crypto::{AssertionFlaw, assertion_client_id, assertion_key, credential, verify_assertion};
use crate::domain::assertion::AssertionClaims;
use crate::domain::client::AuthMethod;
use crate::domain::clock::monotonic;
use crate::domain::explanation::{Fact, facts};
use crate::domain::grant::{PresentedClient, SecretVia};
use crate::domain::id::is_client_id;
use crate::domain::secret::{MAX_SECRET, MIN_CHOSEN_SECRET, SecretKind, StoredSecret};
use crate::domain::{ClientId, Context, Failed, Refusal, RefusalKind};
use crate::engine::Engine;
use crate::engine::cache::api_keys::{ApiKeyEntry, DigestOwner};
use crate::engine::cache::clients::{AssertionEntry, AssertionKeys, ClientEntry, SecretEntry, VerifiedSecret};
use crate::engine::cache::providers::ProviderEntry;
use crate::engine::explain::credentials::{Fit, ended_key, ended_secret, live_secrets, note_auth_method, note_key};
use crate::store::assertion_jtis;

/// A verified chosen secret is remembered this long.
const REMEMBER: Duration = Duration::from_secs(300);
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
        self.require_fresh()?;
        if self.is_env_key(key) {
            return Ok(Caller::Env);
        }
        let (mut found, now) = (self.find_api_key(ctx, key.expose_secret()).await?, ctx.now.seconds());
        let unknown = |(entry, owner): &&(Arc<ApiKeyEntry>, Arc<DigestOwner>)| {
            entry.secret(&owner.secret, now).is_none() && self.reads_again(ctx, "api-key")
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

    async fn client_by_secret(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        client_id: ClientId,
        secret: &SecretString,
        via: SecretVia,
    ) -> Result<Caller, Failed> {
        let mut client = self.usable_client(ctx, provider, &client_id).await?;
        let usable = client.as_deref().filter(|client| via.fits(client.auth_method));
        // Which check runs depends on what is presented only, so that its time tells nothing.
        let generated = credential::kind_of(secret.expose_secret()) == Some(SecretKind::ClientSecret);
        let mut fit = if generated {
            self.generated_secret_fits(ctx, usable, secret.expose_secret())
        } else if self.chosen_secret_fits(ctx, &client_id, usable, secret).await? {
            Fit::Proven
        } else {
            Fit::No
        };
        let is_unknown = generated && fit != Fit::Proven;
        if is_unknown
            && credential::is_well_formed(SecretKind::ClientSecret, secret.expose_secret())
            && self.reads_again(ctx, client_id.as_str())
        {
            self.0.caches.clients.invalidate(&(provider.provider.id.clone(), client_id.clone()));
            client = self.usable_client(ctx, provider, &client_id).await?;
            let usable = client.as_deref().filter(|client| via.fits(client.auth_method));
            fit = self.generated_secret_fits(ctx, usable, secret.expose_secret());
        }
        fit.note(ctx);
        match client {
            Some(client) if fit == Fit::Proven => Ok(Caller::Client(client)),
            Some(client) if !via.fits(client.auth_method) => {
                note_auth_method(ctx, &client, via.name());
                Err(self.failed_client(ctx, provider, &client_id, "misplaced client secret"))
            }
            Some(client) => {
                if !generated {
                    ctx.trail.failed("client.secret_known", live_secrets(ctx, &client));
                }
                Err(self.failed_client(ctx, provider, &client_id, "wrong, expired or misplaced client secret"))
            }
            None => Err(self.failed_unknown(ctx, &client_id)),
        }
    }

    fn generated_secret_fits(&self, ctx: &Context, client: Option<&ClientEntry>, secret: &str) -> Fit {
        let now = ctx.now.seconds();
        let secrets = self.secrets();
        let peppers = &secrets.peppers;
        let Some(client) = client else {
            // The same work for a client that does not exist; what it says is not believed.
            let _unused = peppers.matches(&self.0.decoy_secret, secret);
            return Fit::No;
        };
        let mut used: Option<&SecretEntry> = None;
        for entry in &client.secrets {
            if peppers.matches(&entry.stored, secret) {
                used = Some(entry);
            }
        }
        let live = used.filter(|entry| now < entry.expires_at);
        match (live, used) {
            (Some(entry), _) => {
                self.note_secret_used(ctx, entry);
                Fit::Proven
            }
            (None, Some(ended)) => Fit::Ended(ended_secret(ended)),
            (None, None) => Fit::Unknown(live_secrets(ctx, client)),
        }
    }

    /// Argon2: remembered for five minutes when right, throttled before it is computed.
    async fn chosen_secret_fits(
        &self,
        ctx: &Context,
        client_id: &ClientId,
        client: Option<&ClientEntry>,
        secret: &SecretString,
    ) -> Result<bool, Failed> {
        let now = ctx.now.seconds();
        let chosen = client.and_then(|client| {
            let live = client.secrets.iter().filter(|entry| now < entry.expires_at);
            live.filter_map(|entry| match &entry.stored {
                StoredSecret::Argon2(phc) => Some((client, entry, phc)),
                StoredSecret::Digest { .. } => None,
            })
            .next()
        });
        if let Some((client, entry, _)) = chosen
            && self.is_remembered(client, secret)
        {
            self.note_secret_used(ctx, entry);
            return Ok(true);
        }
        self.throttled(ctx, client_id.as_str())?;
        let phc = chosen.map(|(_, _, phc)| phc.clone());
        let proven = self.0.passwords.verify(phc, secret.clone(), ctx.deadline).await?;
        if let Some((client, entry, _)) = chosen.filter(|_| proven) {
            self.remember(client, secret);
            self.note_secret_used(ctx, entry);
        }
        Ok(proven)
    }

    fn is_remembered(&self, client: &ClientEntry, secret: &SecretString) -> bool {
        let Ok(verified) = client.verified.lock() else { return false };
        verified.as_ref().is_some_and(|known| {
            monotonic() < known.until && self.0.process_pepper.matches(&known.digest, secret.expose_secret())
        })
    }

    fn remember(&self, client: &ClientEntry, secret: &SecretString) {
        let digest = self.0.process_pepper.digest(secret.expose_secret());
        if let Ok(mut verified) = client.verified.lock() {
            *verified = Some(Box::new(VerifiedSecret { digest, until: monotonic() + REMEMBER }));
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
        let verified = self.verified_assertion(ctx, jwt, known).await;
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
        jwt: &str,
        known: &AssertionEntry,
    ) -> Result<AssertionClaims, String> {
        let fetched;
        let keys = match &known.keys {
            AssertionKeys::Registered(keys) => keys,
            AssertionKeys::Published(url) => {
                let (kid, alg) = assertion_key(jwt).ok_or_else(|| AssertionFlaw::Malformed.to_string())?;
                fetched = self.client_keys_by_uri(ctx, url, (kid.as_deref(), &alg)).await?;
                &fetched.keys
            }
        };
        verify_assertion(jwt, keys, known.pinned_alg.as_deref()).map_err(|flaw| flaw.to_string())
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
            let _never_believed = verify_assertion(jwt, decoy, None);
        }
        Ok(())
    }

    /// The client, if it may be used at all on this surface.
    async fn usable_client(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        client_id: &ClientId,
    ) -> Result<Option<Arc<ClientEntry>>, Failed> {
        if !is_client_id(client_id.as_str()) {
            return Ok(None);
        }
        let Some(client) = self.client(ctx, &provider.provider.id, client_id).await? else {
            ctx.trail.failed("client.known", facts![]);
            return Ok(None);
        };
        ctx.trail.client(client_id);
        let name = || Fact::text(client_id.as_str());
        if !client.live {
            ctx.trail.failed("client.enabled", facts![client: name()]);
            return Ok(None);
        }
        if !client.serves(ctx.surface) {
            let only = Fact::text(client.only_surface().unwrap_or_default());
            ctx.trail.failed("client.surface", facts![client: name(), only_surface: only]);
            return Ok(None);
        }
        Ok(Some(client))
    }

    /// Whether what this node holds of an owner is read again for a secret that it does not know, because
    /// another node may have made it a moment ago. Not for those who fail too often; whether there is such
    /// an owner makes no difference.
    fn reads_again(&self, ctx: &Context, claimed: &str) -> bool {
        self.0.throttle.check(claimed, ctx.client_address, ctx.now).is_ok()
    }

    fn throttled(&self, ctx: &Context, claimed: &str) -> Result<(), Refusal> {
        self.0.throttle.check(claimed, ctx.client_address, ctx.now).inspect_err(|_| self.counters().throttled.add_one())
    }

    fn count_failure(&self, ctx: &Context, claimed: &str) -> Result<(), Refusal> {
        self.0
            .throttle
            .failed(claimed, ctx.client_address, ctx.now)
            .inspect_err(|_| self.counters().throttled.add_one())
    }

    /// A known client failed: noted, for the operator to see.
    fn failed_client(&self, ctx: &Context, provider: &ProviderEntry, client_id: &ClientId, why: &str) -> Failed {
        self.note_client_failed(ctx, &provider.provider.id, client_id);
        self.refuse_client(ctx, client_id, format!("client {client_id}: {why}"))
    }

    /// Not noted: anybody can think up ids, and a table must not grow by it. Nor is the id logged:
    /// people paste secrets where an id belongs.
    fn failed_unknown(&self, ctx: &Context, client_id: &ClientId) -> Failed {
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
