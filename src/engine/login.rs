//! The one place where a person's password is checked. Unknown, wrong, disabled and locked take the
//! same way, cost the same hash and answer the same, no earlier than the floor. Tries are counted by
//! account, whatever spelling or grant they come by, in memory at once and in the database behind.
//!
//! ```text
//! who                      remembered   leaks            passed by
//! account, network         10 failures  one in 30 s      –
//! account                  100          one in 60 s      a known device
//! network (this node)      300 a minute                  –
//! ```

use std::net::IpAddr;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::SecretString;

use crate::crypto::Peppers;
use crate::domain::clock::monotonic;
use crate::domain::event::Event;
use crate::domain::explanation::{Fact, facts};
use crate::domain::secret::StoredSecret;
use crate::domain::user::PasswordHash;
use crate::domain::{Context, Failed, Fault, Owner, ProviderId, Refusal, RefusalKind, User};
use crate::engine::Engine;
use crate::engine::cache::providers::ProviderEntry;
use crate::engine::names::name_key;
use crate::engine::throttle::{PER_ADDRESS, Table, Throttle, network_of};
use crate::store::login_failures::Debt;
use crate::store::{Conn, login_failures, users};

/// Failures of one account from one network.
const OF_NETWORK: Limit = Limit { most: 10, leak: 30 };
/// Failures of one account from everywhere.
const OF_ACCOUNT: Limit = Limit { most: 100, leak: 60 };
/// How long a login waits for a place among others of the same account, and how often it looks.
const MOST_PATIENCE: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(25);
/// A longer name is nobody's; it is not even normalised.
const MOST_NAME_BYTES: usize = 1024;
/// A name that no account can have.
const NOBODY: &str = "\u{FFFD}";

/// So many failures are borne, and one is forgotten every `leak` seconds.
#[derive(Clone, Copy, Debug)]
struct Limit {
    most: i64,
    leak: i64,
}

impl Limit {
    /// What one failure adds. Tries at once at several nodes may all be borne, so a row may owe somewhat more
    /// than is borne.
    const fn debt(self) -> Debt {
        Debt { seconds: self.leak, most: (self.most + 10) * self.leak }
    }

    /// Seconds until one more try is borne; 0: now. `clear_at`: when nothing is remembered any more.
    fn wait(self, clear_at: i64, now: i64) -> i64 {
        if self.debt().is_of_another_clock(clear_at, now) {
            return 0;
        }
        (clear_at - now - (self.most - 1) * self.leak).max(0)
    }
}

/// What this node holds about logins.
pub struct LoginGuard {
    /// What the database has not been told yet.
    throttle: Throttle,
    /// Which accounts an event has told of within the minute.
    told: Table,
    floor: Duration,
}

impl LoginGuard {
    pub fn new(floor: Duration) -> Self {
        let per_claim = u64::try_from(OF_NETWORK.most).unwrap_or_default();
        Self { throttle: Throttle::with(per_claim, PER_ADDRESS), told: Table::new(), floor }
    }
}

/// An account, or a name that is nobody's, as failed logins are remembered: keyed digests, so that
/// no name lies in the table that somebody typed.
struct Tried {
    account: String,
    network: String,
}

impl Tried {
    fn of(peppers: &Peppers, provider: &ProviderId, user: Option<&User>, key: &str, address: IpAddr) -> Self {
        let who = match user {
            Some(user) => format!("{provider} user {}", user.id),
            None => format!("{provider} name {key}"),
        };
        let network = network_of(address);
        let digest = |what: String| match peppers.digest(&what) {
            StoredSecret::Digest { digest, .. } => URL_SAFE_NO_PAD.encode(digest),
            StoredSecret::Argon2(text) => text,
        };
        Self { account: digest(format!("login {who}")), network: digest(format!("login {who} from {network}")) }
    }
}

/// What one read of the database says before a password is looked at.
struct Known {
    user: Option<User>,
    tried: Tried,
    /// When the failures of the account from this network, and of the account, are forgotten.
    network_clear_at: i64,
    account_clear_at: i64,
}

impl Engine {
    /// The live account whose username or email this is, if the password is right.
    ///
    /// # Errors
    ///
    /// `InvalidGrant` for every way to be wrong, `RateLimited` after too many of them; both no
    /// earlier than the floor. A fault (busy) if the hash pool or the database is.
    pub async fn prove_password(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        username: &str,
        password: &SecretString,
        device: Option<&SecretString>,
    ) -> Result<User, Failed> {
        let began = monotonic();
        let outcome = self.judge_login(ctx, &provider.provider.id, username, password, device).await;
        if matches!(outcome, Err(Failed::Refused(_))) {
            wait_until(began + self.0.logins.floor, ctx.deadline).await;
        }
        outcome
    }

    async fn judge_login(
        &self,
        ctx: &Context,
        provider: &ProviderId,
        username: &str,
        password: &SecretString,
        device: Option<&SecretString>,
    ) -> Result<User, Failed> {
        let known = self.known_of(ctx, provider, username).await?;
        self.bear_one_more(ctx, provider, &known, device)?;
        // Counted before it is judged, so that no number of tries at once gets past.
        self.begin_try(ctx, &known.tried).await.map_err(|refusal| {
            self.slowed(ctx, provider, known.user.as_ref());
            refusal.about(format!("login as {}: too many failed attempts", who(known.user.as_ref())))
        })?;
        let phc = known.user.as_ref().and_then(|user| user.password.clone());
        let phc = phc.map(|PasswordHash(phc)| phc);
        let judged = self.0.passwords.verify(&Owner::from(provider), phc, password.clone(), ctx.deadline).await;
        let right = match judged {
            Ok(right) => right,
            Err(fault) => {
                self.forgive(ctx, &known.tried);
                return Err(fault.into());
            }
        };
        match known.user {
            Some(user) if right && user.is_live() => {
                self.forgive(ctx, &known.tried);
                self.upgrade_hash(ctx, &user, password).await;
                Ok(user)
            }
            user => {
                let Tried { account, network } = &known.tried;
                self.0.behind.note_login_failure(network, ctx.now, OF_NETWORK.debt());
                self.0.behind.note_login_failure(account, ctx.now, OF_ACCOUNT.debt());
                if let Some(user) = &user {
                    self.0.behind.note_event(self.event_of_failure(ctx, provider, user, right));
                }
                Err(wrong(user.as_ref(), right).into())
            }
        }
    }

    /// Account and memory of it in one read. Known and unknown names take the same two statements.
    async fn known_of(&self, ctx: &Context, provider: &ProviderId, username: &str) -> Result<Known, Fault> {
        let key = name_key(if username.len() <= MOST_NAME_BYTES { username } else { NOBODY });
        let (engine, provider, address) = (self.clone(), provider.clone(), ctx.client_address);
        let read = move |conn: &mut Conn| {
            let user = users::by_name(conn, &provider, &key)?;
            let tried = Tried::of(&engine.secrets().peppers, &provider, user.as_ref(), &key, address);
            let clear = login_failures::clear_at(conn, &[&tried.account, &tried.network])?;
            let of = |id: &str| clear.get(id).copied().unwrap_or(0);
            let (network_clear_at, account_clear_at) = (of(&tried.network), of(&tried.account));
            Ok(Known { user, tried, network_clear_at, account_clear_at })
        };
        self.0.db.read(ctx.deadline, read).await
    }

    /// Refuses what failed too often already; that is not counted and costs no hash.
    fn bear_one_more(
        &self,
        ctx: &Context,
        provider: &ProviderId,
        known: &Known,
        device: Option<&SecretString>,
    ) -> Result<(), Refusal> {
        let Known { user, network_clear_at, account_clear_at, tried: _ } = known;
        let now = ctx.now.seconds();
        let is_known = user.as_ref().zip(device);
        let is_known = is_known.is_some_and(|(user, device)| self.is_known_device(provider, user, device, ctx.now));
        let of_account = if is_known { 0 } else { OF_ACCOUNT.wait(*account_clear_at, now) };
        let wait = OF_NETWORK.wait(*network_clear_at, now).max(of_account);
        if wait == 0 {
            return Ok(());
        }
        self.slowed(ctx, provider, user.as_ref());
        let who = who(user.as_ref());
        let retry_after = u32::try_from(wait).unwrap_or(u32::MAX);
        let refusal = Refusal::new(RefusalKind::RateLimited { retry_after }, "Too many failed attempts.");
        let values = facts![retry_after: Fact::Number(wait)];
        Err(refusal.about(format!("login as {who}: too many failed attempts")).because("throttle.room", values))
    }

    /// Takes a place among the tries of this minute. Many right logins of one account at once are no
    /// attack: where all places are taken, one that is under way may give its place back.
    async fn begin_try(&self, ctx: &Context, tried: &Tried) -> Result<(), Refusal> {
        let patience = (monotonic() + MOST_PATIENCE).min(ctx.deadline);
        loop {
            match self.0.logins.throttle.begin(&tried.account, ctx.client_address, ctx.now) {
                Err(_) if monotonic() + LOOK_EVERY < patience => wait_until(monotonic() + LOOK_EVERY, patience).await,
                outcome => return outcome,
            }
        }
    }

    fn forgive(&self, ctx: &Context, tried: &Tried) {
        self.0.logins.throttle.forgive(&tried.account, ctx.client_address, ctx.now);
    }

    /// Tries that are judged are few, so their events are: nobody fills the table with them.
    fn event_of_failure(&self, ctx: &Context, provider: &ProviderId, user: &User, right: bool) -> Event {
        Event {
            id: self.0.random.uuid_v7(ctx.now),
            at: ctx.now.millis(),
            provider: Some(provider.clone()),
            actor: "system".to_owned(),
            action: "user.login_failed",
            target: user.id.to_string(),
            request_id: ctx.request_id.clone(),
            details: format!("{{\"because\":\"{}\",\"address\":\"{}\"}}", flaw_of(user, right), ctx.client_address),
        }
    }

    /// Counted, and told by an event at most once a minute for each account that exists: anybody can
    /// think up names.
    fn slowed(&self, ctx: &Context, provider: &ProviderId, user: Option<&User>) {
        self.counters().throttled.add_one();
        let Some(user) = user else { return };
        if self.0.logins.told.add(&user.id.as_str(), ctx.now) > 1 {
            return;
        }
        self.0.behind.note_event(Event {
            id: self.0.random.uuid_v7(ctx.now),
            at: ctx.now.millis(),
            provider: Some(provider.clone()),
            actor: "system".to_owned(),
            action: "user.login_slowed",
            target: user.id.to_string(),
            request_id: ctx.request_id.clone(),
            details: "{}".to_owned(),
        });
    }

    /// A hash of an import, or of other parameters than today's, is made anew while the password is
    /// at hand. Guarded by the old hash: a password that is changed meanwhile stays changed. The
    /// login stands whatever comes of it.
    async fn upgrade_hash(&self, ctx: &Context, user: &User, password: &SecretString) {
        let Some(old) = user.password.clone().filter(|PasswordHash(phc)| self.0.passwords.is_outdated(phc)) else {
            return;
        };
        if let Err(fault) = self.replace_hash(ctx, user, old, password).await {
            log::warn!("the password hash of user {} was not made anew: {fault}", user.id);
        }
    }

    async fn replace_hash(
        &self,
        ctx: &Context,
        user: &User,
        old: PasswordHash,
        password: &SecretString,
    ) -> Result<bool, Fault> {
        let new =
            self.0.passwords.hash(&Owner::from(&user.provider), password.clone(), &self.0.random, ctx.deadline).await?;
        let (provider, id, new) = (user.provider.clone(), user.id.clone(), PasswordHash(new));
        self.0.db.write_one(ctx.deadline, move |conn| users::set_password_hash(conn, &provider, &id, &old, &new)).await
    }
}

fn flaw_of(user: &User, right: bool) -> &'static str {
    match (user.password.is_some(), right) {
        (false, _) => "has no password",
        (true, true) => "is disabled or locked",
        (true, false) => "wrong password",
    }
}

/// The one answer for all of them; only the log knows which.
fn wrong(user: Option<&User>, right: bool) -> Refusal {
    let why = user.map_or("nobody's name", |user| flaw_of(user, right));
    let values = facts![user: Fact::text(user.map_or("unknown", |user| user.id.as_str())), because: Fact::word(why)];
    Refusal::new(RefusalKind::InvalidGrant, "The username or password is not right.")
        .about(format!("login as {}: {why}", who(user)))
        .because("user.password", values)
}

/// For the log: never the name as it was typed, where people now and then put their password.
fn who(user: Option<&User>) -> String {
    user.map_or_else(|| "somebody unknown".to_owned(), |user| format!("user {}", user.id))
}

async fn wait_until(floor: Instant, deadline: Instant) {
    tokio::time::sleep_until(floor.min(deadline).into()).await;
}
