//! The one grant engine. It knows no HTTP, no JSON, no header and no wire's name: a request comes in
//! as values, an outcome or a refusal goes out. Its functions wait only where the database, the hash
//! pool or another server is really needed; with warm caches a machine's token is ready at the
//! first poll (docs/ARCHITECTURE.md).

use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

use crate::crypto::{DataKeys, MasterKey, Passwords, Peppers, Random};
use crate::domain::SecretId;
use crate::domain::clock::monotonic;
use crate::domain::secret::StoredSecret;
use crate::domain::{ApiKeyId, FairLanes, Fault, Hosts, ProviderId, ProviderSlug};
use crate::engine::backchannel::LogoutDeliveries;
use crate::engine::cache::api_keys::{ApiKeyEntry, DigestOwner};
use crate::engine::cache::clients::{ClientEntry, ClientKey};
use crate::engine::cache::keys::KeyRing;
use crate::engine::cache::providers::{ProviderEntry, SlugEntry};
use crate::engine::cache::sessions::{SessionEntry, SessionKey};
use crate::engine::cache::users::{UserEntry, UserKey};
use crate::engine::cache::{Cache, Lately};
use crate::engine::changes::ChangeFeed;
use crate::engine::clocks::{Clocks, DatabaseClock, SWEEP_WATCH};
use crate::engine::counters::Counters;
use crate::engine::data_keys::KeyChain;
use crate::engine::explain::{Bounds, Kept};
use crate::engine::exports::Exports;
use crate::engine::issued::Issued;
use crate::engine::keys_of_others::PastedKeys;
use crate::engine::login::LoginGuard;
use crate::engine::manage::effect::OnceCalls;
use crate::engine::revocations::Revocations;
use crate::engine::signatures::Signatures;
use crate::engine::throttle::{Table, Throttle};
use crate::engine::turns::Turns;
use crate::engine::webhooks::Telling;
use crate::store::Db;
use crate::store::behind::WriteBehind;
use crate::upstream::{Fetcher, PublishedKeys, TxtRecords, UpstreamOptions};

pub mod account;
pub mod authenticate;
pub mod authorize;
pub mod backchannel;
pub mod cache;
pub mod changes;
pub mod client_secret;
pub mod clocks;
pub mod counters;
pub mod data_keys;
pub mod database;
pub mod devices;
pub mod discovery;
pub mod explain;
pub mod exports;
pub mod first_run;
pub mod forward_auth;
pub mod grants;
pub mod health;
pub mod hosts;
pub mod inspect;
pub mod introspect;
pub mod issue;
pub mod issued;
pub mod key_rotation;
pub mod keys_of_others;
pub mod login;
pub mod logout;
pub mod lookup;
pub mod manage;
pub mod names;
pub mod pages;
pub mod policy;
pub mod profile;
pub mod rekey;
pub mod request;
pub mod revocations;
pub mod revoke;
pub mod sessions;
pub mod signatures;
pub mod signing_keys;
pub mod spend;
pub mod throttle;
pub mod tick;
pub mod trust;
pub mod turns;
pub mod userinfo;
pub mod webhooks;

/// Most credentials whose use waits to be written.
const NOTES_MAX: usize = 10_000;
/// Callers that wait for a key to be made, and for a long read; half of them may be one owner's.
const KEY_CALLERS: usize = 64;
const LONG_READERS: usize = 32;

/// Letters and digits by which explanations tell processes apart.
const NODE_LENGTH: usize = 8;

/// How an engine is set up.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// Bytes that all caches may hold together.
    pub cache_bytes: u64,
    /// Most live revocations held in memory.
    pub revocation_max: usize,
    /// Without a complete read of the change log for this long, nothing is decided any more.
    pub stale_after: Duration,
    /// How long both clocks are watched before rows that deny may be deleted.
    pub sweep_watch: Duration,
    pub database_clock: DatabaseClock,
    /// A failed login of a person answers no earlier than this after it began.
    pub login_floor: Duration,
    /// Host names of the configuration, in lower case, without a port: nobody's domain.
    pub own_hosts: Vec<String>,
    /// Seconds for which an audit event is kept.
    pub events_kept: i64,
    /// Whether the tokens of machines are told by events too.
    pub machine_events: bool,
    /// Explanations written in a second, seconds for which they are kept, rows at the most, and bytes of
    /// memory for those of this node.
    pub explain_rate: u32,
    pub explain_keep: u32,
    pub explain_keep_rows: u32,
    pub explain_memory: usize,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            cache_bytes: 64 << 20,
            revocation_max: 1_000_000,
            stale_after: Duration::from_secs(1),
            sweep_watch: SWEEP_WATCH,
            database_clock: DatabaseClock::Asked,
            login_floor: Duration::from_millis(400),
            own_hosts: Vec::new(),
            events_kept: 400 * 86_400,
            machine_events: false,
            explain_rate: 200,
            explain_keep: 86_400,
            explain_keep_rows: 100_000,
            explain_memory: 8 << 20,
        }
    }
}

/// What an engine works with.
pub struct Parts {
    pub db: Db,
    pub random: Random,
    pub passwords: Passwords,
    /// Opens data keys that are made later.
    pub master: MasterKey,
    pub data_keys: DataKeys,
    /// How other servers are called.
    pub upstream: UpstreamOptions,
    /// The owner key of `GRANTD_ADMIN_KEY`; kept as a digest, never stored.
    pub admin_key: Option<SecretString>,
}

/// The engine; cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

pub(in crate::engine) struct Inner {
    db: Db,
    random: Random,
    passwords: Passwords,
    key_chain: KeyChain,
    admin_key: Option<StoredSecret>,
    caches: Caches,
    revocations: Revocations,
    throttle: Throttle,
    logins: LoginGuard,
    changes: ChangeFeed,
    clocks: Clocks,
    counters: Counters,
    behind: WriteBehind,
    /// Keys the memory of verified chosen secrets; lives as long as the process.
    process_pepper: Peppers,
    secret_turns: Turns,
    /// One key pair is made at a time: RSA takes a core for a noticeable while.
    key_making: FairLanes,
    /// Reads that may go through very many rows: one at a time.
    long_reads: FairLanes,
    /// Codes that this node issued to each session in the current minute.
    codes_of_sessions: Table,
    /// One round of key rotation at a time.
    key_rotation: Arc<Semaphore>,
    /// What each key has signed.
    signatures: Signatures,
    /// What a secret is compared with when there is no such client.
    decoy_secret: StoredSecret,
    /// Calls with an `Idempotency-Key`.
    once_calls: OnceCalls,
    /// Calls other servers.
    fetcher: Fetcher,
    /// Logout deliveries under way on this node.
    deliveries: LogoutDeliveries,
    /// The keys that they publish.
    published_keys: PublishedKeys,
    /// Asks for the proof of a domain.
    txt_records: TxtRecords,
    /// Verified domains: which provider a host selects.
    hosts: Hosts,
    /// They are read by one at a time.
    host_loading: Semaphore,
    own_hosts: Vec<String>,
    options: EngineOptions,
    /// This process, in explanations.
    node: &'static str,
    explanations: Kept,
    /// Tokens of machines that no event has told of yet.
    issued: Issued,
    /// Webhooks that this node is delivering to.
    telling: Telling,
    /// Exports of the audit trail under way.
    exports: Exports,
}

struct Caches {
    slugs: Cache<ProviderSlug, ProviderEntry>,
    slugs_by_id: Cache<ProviderId, SlugEntry>,
    keys: Cache<ProviderId, KeyRing>,
    clients: Cache<ClientKey, ClientEntry>,
    /// Secrets, and clients, for which the database was asked lately in vain; digests.
    wrong_secrets: Lately<[u8; 32]>,
    digests: Cache<[u8; 32], DigestOwner>,
    api_keys: Cache<ApiKeyId, ApiKeyEntry>,
    /// Secrets of API keys that came lately and are none that the entry knows.
    ended_keys: Lately<SecretId>,
    users: Cache<UserKey, UserEntry>,
    sessions: Cache<SessionKey, SessionEntry>,
    /// By a digest of their text.
    pasted_keys: Cache<[u8; 32], PastedKeys>,
}

impl Caches {
    /// Most for clients, the rest shared by what there is less of.
    fn new(bytes: u64) -> Self {
        Self {
            slugs: Cache::new(bytes / 8, 3000),
            slugs_by_id: Cache::new(bytes / 64, 100),
            keys: Cache::new(bytes / 8, 8192),
            clients: Cache::new(bytes * 3 / 8, 400),
            wrong_secrets: Lately::default(),
            digests: Cache::new(bytes / 32, 100),
            api_keys: Cache::new(bytes / 8, 400),
            ended_keys: Lately::default(),
            users: Cache::new(bytes / 8, 500),
            sessions: Cache::new(bytes / 16, 200),
            pasted_keys: Cache::new(bytes / 64, 4096),
        }
    }

    fn clear(&self) {
        self.slugs.clear();
        self.slugs_by_id.clear();
        self.keys.clear();
        self.clients.clear();
        self.digests.clear();
        self.api_keys.clear();
        self.users.clear();
        self.sessions.clear();
    }
}

impl Engine {
    /// Sets the engine up without touching the database; [`Engine::load`] makes it ready.
    pub fn new(parts: Parts, options: &EngineOptions) -> Result<Self, Fault> {
        let Parts { db, random, passwords, master, data_keys, upstream, admin_key } = parts;
        let key_chain = KeyChain::new(master, data_keys)?;
        let txt_records = TxtRecords::new(upstream.txt.clone());
        let fetcher = Fetcher::new(upstream);
        let process_pepper = Peppers::ephemeral(&random);
        // Once a process: explanations borrow it.
        let node: &'static str = random.base62(NODE_LENGTH).leak();
        Ok(Self(Arc::new(Inner {
            db,
            passwords,
            admin_key: admin_key.map(|key| process_pepper.digest(key.expose_secret())),
            decoy_secret: key_chain.secrets().peppers.digest(&random.base62(43)),
            key_chain,
            random,
            caches: Caches::new(options.cache_bytes),
            revocations: Revocations::new(options.revocation_max),
            throttle: Throttle::default(),
            logins: LoginGuard::new(options.login_floor),
            changes: ChangeFeed::new(monotonic(), options.stale_after),
            clocks: Clocks::new(monotonic(), options.sweep_watch, options.database_clock.clone()),
            counters: Counters::default(),
            behind: WriteBehind::new(NOTES_MAX),
            process_pepper,
            secret_turns: Turns::default(),
            key_making: FairLanes::new(1, KEY_CALLERS),
            long_reads: FairLanes::new(1, LONG_READERS),
            codes_of_sessions: Table::new(),
            once_calls: OnceCalls::default(),
            key_rotation: Arc::new(Semaphore::new(1)),
            signatures: Signatures::default(),
            deliveries: LogoutDeliveries::default(),
            published_keys: PublishedKeys::new(fetcher.clone()),
            fetcher,
            txt_records,
            hosts: Hosts::default(),
            host_loading: Semaphore::new(1),
            own_hosts: options.own_hosts.clone(),
            options: options.clone(),
            node,
            explanations: Kept::new(Bounds { memory: options.explain_memory, rate: options.explain_rate as usize }),
            issued: Issued::new(NOTES_MAX),
            telling: Telling::default(),
            exports: Exports::default(),
        })))
    }

    pub fn db(&self) -> &Db {
        &self.0.db
    }

    pub fn counters(&self) -> &Counters {
        &self.0.counters
    }
}
