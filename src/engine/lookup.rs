//! From an id to its entry: the cache, else one read. A fill that overlaps a change is not kept.

use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::domain::clock::monotonic;
use crate::domain::explanation::{Fact, facts};
use crate::domain::grant::ProviderRef;
use crate::domain::{
    ApiKeyId, ClientId, Context, Failed, Fault, ProviderId, ProviderSlug, Refusal, SessionId, User, UserId,
};
use crate::engine::Engine;
use crate::engine::cache::api_keys::{ApiKeyEntry, DigestOwner, KeySecretEntry};
use crate::engine::cache::clients::{ClientEntry, ClientKey, SecretEntry};
use crate::engine::cache::keys::KeyRing;
use crate::engine::cache::providers::{ProviderEntry, SlugEntry};
use crate::engine::cache::sessions::SessionEntry;
use crate::engine::cache::users::UserEntry;
use crate::engine::cache::{Cache, Weigh};
use crate::engine::changes::client_change_id;
use crate::store::api_keys::KeyDigest;
use crate::store::usage::UsageKind;
use crate::store::{
    Conn, api_key_secrets, api_keys, client_secrets, clients, issuers, named, provider_domains, providers, sessions,
    signing_keys, users,
};

/// Use of a credential is noted at most once in this many seconds.
const NOTE_EVERY: i64 = 60;

/// The same statements whether there is such a client or not.
fn read_client(conn: &mut Conn, (provider, client_id): &ClientKey, now: i64) -> Result<Option<ClientEntry>, Fault> {
    let client = clients::get(conn, provider, client_id)?;
    let secrets = client_secrets::live_or_ended_lately(conn, provider, client_id, now)?;
    client.map(|client| ClientEntry::of(client, secrets)).transpose()
}

impl Engine {
    /// The live provider that a request names, serving what the request needs.
    pub(in crate::engine) async fn provider(
        &self,
        ctx: &Context,
        named: &ProviderRef,
    ) -> Result<Arc<ProviderEntry>, Failed> {
        let found = self.any_provider(ctx, &named.slug).await?;
        let asked = || Fact::text(named.slug.as_str());
        let unknown = |rule, values| Refusal::unknown("There is no such provider.").because(rule, values);
        let entry = found.ok_or_else(|| unknown("provider.known", facts![provider: asked()]))?;
        ctx.trail.provider(&entry.provider.id);
        if !entry.provider.is_live() {
            return Err(unknown("provider.live", facts![provider: asked()]).into());
        }
        match named.must_serve.filter(|surface| !entry.serves(surface)) {
            None => Ok(entry),
            Some(surface) => {
                Err(unknown("provider.serves", facts![provider: asked(), surface: Fact::word(surface)]).into())
            }
        }
    }

    /// The provider with this slug, live or not.
    pub(in crate::engine) async fn any_provider(
        &self,
        ctx: &Context,
        slug: &ProviderSlug,
    ) -> Result<Option<Arc<ProviderEntry>>, Fault> {
        let wanted = slug.clone();
        self.cached(ctx, &self.0.caches.slugs, slug, move |conn| {
            let Some(provider) = providers::by_slug(conn, wanted.as_str())? else { return Ok(None) };
            let Some(issuers) = issuers::of_provider(conn, &provider.id)? else { return Ok(None) };
            let domains = provider_domains::verified(conn, &provider.id)?;
            Ok(Some(ProviderEntry::of(provider, issuers, domains)))
        })
        .await
    }

    /// The slug of the provider with this id; neither ever changes.
    pub(in crate::engine) async fn slug_of_id(
        &self,
        ctx: &Context,
        id: &ProviderId,
    ) -> Result<Option<ProviderSlug>, Fault> {
        let wanted = id.clone();
        let found = self
            .cached(ctx, &self.0.caches.slugs_by_id, id, move |conn| {
                Ok(providers::by_id(conn, &wanted)?.map(|provider| SlugEntry(provider.slug.into())))
            })
            .await?;
        Ok(found.map(|entry| entry.0.clone()))
    }

    pub(in crate::engine) async fn client(
        &self,
        ctx: &Context,
        provider: &ProviderId,
        client_id: &ClientId,
    ) -> Result<Option<Arc<ClientEntry>>, Fault> {
        let key = (provider.clone(), client_id.clone());
        let (wanted, now) = (key.clone(), ctx.now.seconds());
        self.cached(ctx, &self.0.caches.clients, &key, move |conn| read_client(conn, &wanted, now)).await
    }

    /// The client as it is in the database now; what is held of it stays.
    pub(in crate::engine) async fn client_beside_cache(
        &self,
        ctx: &Context,
        key: &ClientKey,
    ) -> Result<Option<ClientEntry>, Fault> {
        let (wanted, now) = (key.clone(), ctx.now.seconds());
        self.0.db.read(ctx.deadline, move |conn| read_client(conn, &wanted, now)).await
    }

    /// The API key, and which of its secrets it is, with one of these digests: one for each pepper.
    pub(in crate::engine) async fn api_key_by_digest(
        &self,
        ctx: &Context,
        candidates: Vec<(String, [u8; 32])>,
    ) -> Result<Option<(Arc<ApiKeyEntry>, Arc<DigestOwner>)>, Fault> {
        let digests = &self.0.caches.digests;
        // What is known is looked for under every pepper first: a key that an older one made costs no
        // read beside a newer one.
        let mut owner = candidates.iter().find_map(|(_, digest)| digests.get(digest));
        for (pepper_id, digest) in candidates {
            if owner.is_some() {
                break;
            }
            owner = self
                .cached(ctx, digests, &digest, move |conn| {
                    let found = api_key_secrets::by_digest(conn, &KeyDigest { pepper_id, digest })?;
                    Ok(found.map(|(key, secret)| DigestOwner { key, secret }))
                })
                .await?;
        }
        let Some(owner) = owner else { return Ok(None) };
        Ok(self.api_key(ctx, &owner.key).await?.map(|entry| (entry, owner)))
    }

    pub(in crate::engine) async fn api_key(
        &self,
        ctx: &Context,
        id: &ApiKeyId,
    ) -> Result<Option<Arc<ApiKeyEntry>>, Fault> {
        let (wanted, now) = (id.clone(), ctx.now.seconds());
        self.cached(ctx, &self.0.caches.api_keys, id, move |conn| {
            let Some(key) = api_keys::by_id(conn, &wanted)? else { return Ok(None) };
            let secrets = api_key_secrets::live(conn, &wanted, now)?;
            let bound_to = match &key.provider {
                Some(provider) => providers::by_id(conn, provider)?.map(|found| found.slug.into()),
                None => None,
            };
            Ok(Some(ApiKeyEntry::of(key, bound_to, secrets)))
        })
        .await
    }

    /// The account with this id, live or not: look at [`User::is_live`](crate::domain::User::is_live).
    pub(in crate::engine) async fn user(
        &self,
        ctx: &Context,
        provider: &ProviderId,
        id: &UserId,
    ) -> Result<Option<Arc<UserEntry>>, Fault> {
        let key = (provider.clone(), id.clone());
        let wanted = key.clone();
        self.cached(ctx, &self.0.caches.users, &key, move |conn| {
            let Some(user) = users::get(conn, &wanted.0, &wanted.1)? else { return Ok(None) };
            let roles = named::roles_of_groups(conn, &wanted.0, &user.groups)?;
            Ok(Some(UserEntry::of(user, roles)))
        })
        .await
    }

    /// The roles that an account has by its groups. Nothing is read for one without groups.
    pub(in crate::engine) async fn roles_by_groups(&self, ctx: &Context, user: &User) -> Result<Vec<String>, Fault> {
        if user.groups.is_empty() {
            return Ok(Vec::new());
        }
        let (provider, groups) = (user.provider.clone(), user.groups.clone());
        self.0.db.read(ctx.deadline, move |conn| named::roles_of_groups(conn, &provider, &groups)).await
    }

    /// The session with this id, ended or not.
    pub(in crate::engine) async fn session(
        &self,
        ctx: &Context,
        provider: &ProviderId,
        id: &SessionId,
    ) -> Result<Option<Arc<SessionEntry>>, Fault> {
        let key = (provider.clone(), id.clone());
        let wanted = key.clone();
        self.cached(ctx, &self.0.caches.sessions, &key, move |conn| {
            Ok(sessions::get(conn, &wanted.0, &wanted.1)?.map(|session| SessionEntry::of(&session)))
        })
        .await
    }

    pub(in crate::engine) async fn key_ring(
        &self,
        ctx: &Context,
        provider: &ProviderId,
    ) -> Result<Arc<KeyRing>, Fault> {
        let (wanted, engine, now) = (provider.clone(), self.clone(), ctx.now.seconds());
        if self.0.caches.keys.get(provider).is_some_and(|ring| !ring.is_good(now)) {
            self.0.caches.keys.invalidate(provider);
        }
        let ring = self
            .cached(ctx, &self.0.caches.keys, provider, move |conn| {
                let stored = signing_keys::published(conn, &wanted, now)?;
                let slug = providers::slugs(conn, &[&wanted])?.remove(&wanted).unwrap_or_default();
                KeyRing::of(&stored, &engine.secrets().signing, &slug, &engine.0.signatures).map(Some)
            })
            .await?;
        ring.ok_or_else(|| Fault::store("a provider has no key ring"))
    }

    /// The cached entry, else what `read` finds.
    async fn cached<K, V>(
        &self,
        ctx: &Context,
        cache: &Cache<K, V>,
        key: &K,
        read: impl FnOnce(&mut Conn) -> Result<Option<V>, Fault> + Send + 'static,
    ) -> Result<Option<Arc<V>>, Fault>
    where
        K: Hash + Eq + Clone,
        V: Weigh + Send + 'static,
    {
        if let Some(entry) = cache.get(key) {
            return Ok(Some(entry));
        }
        if cache.is_known_absent(key, monotonic()) {
            return Ok(None);
        }
        let fill = cache.begin(key);
        match self.0.db.read(ctx.deadline, read).await? {
            Some(found) => Ok(Some(cache.finish(fill, key.clone(), Arc::new(found)))),
            None => {
                cache.finish_absent(fill, key.clone(), monotonic());
                Ok(None)
            }
        }
    }

    pub(in crate::engine) fn note_secret_used(&self, ctx: &Context, secret: &SecretEntry) {
        if is_due(&secret.noted_at, ctx.now.seconds()) {
            self.0.behind.note_used(UsageKind::ClientSecret, &secret.id_text(), ctx.now);
        }
    }

    /// A failure of a client that exists; counted, written behind.
    pub(in crate::engine) fn note_client_failed(&self, ctx: &Context, provider: &ProviderId, client_id: &ClientId) {
        self.0.behind.note_failure(UsageKind::Client, &client_change_id(provider, client_id), ctx.now);
    }

    pub(in crate::engine) fn note_api_key_used(&self, ctx: &Context, entry: &ApiKeyEntry, secret: &KeySecretEntry) {
        if is_due(&secret.noted_at, ctx.now.seconds()) {
            self.0.behind.note_used(UsageKind::ApiKeySecret, secret.id.as_str(), ctx.now);
        }
        if is_due(&entry.noted_at, ctx.now.seconds()) {
            self.0.behind.note_used(UsageKind::ApiKey, entry.key.id.as_str(), ctx.now);
        }
    }
}

/// True for one caller a minute.
fn is_due(noted_at: &AtomicI64, now: i64) -> bool {
    let last = noted_at.load(Ordering::Relaxed);
    // A note in the future is an old one: the clock has gone back.
    !(0..NOTE_EVERY).contains(&(now - last))
        && noted_at.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
}
