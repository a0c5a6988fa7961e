//! The one place where a person's password is checked. Unknown, wrong, disabled and locked take the
//! same way, cost the same hash and answer the same, no earlier than the floor. Tries are counted by the
//! name as it was given and by account, over all grants, in memory at once and in the database behind.
//!
//! ```text
//! who                      remembered   leaks            passed by        beyond it
//! name, network            10 failures  one in 30 s      –                has to wait
//! name                     100          one in 60 s      a known device   has to wait
//! network (this node)      300 a minute                  –                has to wait
//! account, network         10           one in 30 s      –                wrong
//! account                  100          one in 60 s      a known device   wrong
//! ```
//!
//! Only the limits of the name may show. Those of the account count username and email together, so
//! they would tell that both are one person. Beyond them the password is not looked at.

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

/// Failures of one name, and of one account, from one network.
const FROM_NETWORK: Limit = Limit { most: 10, leak: 30 };
/// Failures of one name, and of one account, from everywhere.
const FROM_EVERYWHERE: Limit = Limit { most: 100, leak: 60 };
/// How long a login waits for a place among others of the same name, and how often it looks.
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

    /// The same for the tries of one minute at one node.
    fn most_at_once(self) -> u64 {
        u64::try_from(self.most).unwrap_or_default()
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
    /// The same of accounts, by account and network.
    accounts: Table,
    /// Which accounts an event has told of within the minute.
    told: Table,
    floor: Duration,
}

impl LoginGuard {
    pub fn new(floor: Duration) -> Self {
        let throttle = Throttle::with(FROM_NETWORK.most_at_once(), PER_ADDRESS);
        Self { throttle, accounts: Table::new(), told: Table::new(), floor }
    }
}

/// Whose failures are remembered, as keyed digests: no name that somebody typed lies in the table.
struct Counted {
    everywhere: String,
    network: String,
}

impl Counted {
    fn of(peppers: &Peppers, who: &str, address: IpAddr) -> Self {
        let network = network_of(address);
        let digest = |what: String| match peppers.digest(&what) {
            StoredSecret::Digest { digest, .. } => URL_SAFE_NO_PAD.encode(digest),
            StoredSecret::Argon2(text) => text,
        };
        Self { everywhere: digest(format!("login {who}")), network: digest(format!("login {who} from {network}")) }
    }
}

/// What a try counts for: the name as it was given, and the account, however it was named.
struct Tried {
    name: Counted,
    account: Counted,
}

impl Tried {
    fn of(peppers: &Peppers, provider: &ProviderId, user: Option<&User>, key: &str, address: IpAddr) -> Self {
        // A name that is nobody's has something in the account's place, so that it costs the same.
        let account = match user {
            Some(user) => format!("{provider} user {}", user.id),
            None => format!("{provider} nobody {key}"),
        };
        Self {
            name: Counted::of(peppers, &format!("{provider} name {key}"), address),
            account: Counted::of(peppers, &account, address),
        }
    }
}

/// When the failures of somebody are forgotten, epoch seconds.
struct ClearAt {
    everywhere: i64,
    network: i64,
}

impl ClearAt {
    /// Seconds until one more try is borne; 0: now. A known device passes the limit from everywhere.
    fn wait(&self, is_known: bool, now: i64) -> i64 {
        let everywhere = if is_known { 0 } else { FROM_EVERYWHERE.wait(self.everywhere, now) };
        FROM_NETWORK.wait(self.network, now).max(everywhere)
    }
}

/// What one read of the database says before a password is looked at.
struct Known {
    user: Option<User>,
    tried: Tried,
    name: ClearAt,
    account: ClearAt,
}

/// What came of one password.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Judged {
    Right,
    Wrong,
    /// The account has failed too often under all of its names.
    NotLookedAt,
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
        let is_known = known.user.as_ref().zip(device);
        let is_known = is_known.is_some_and(|(user, device)| self.is_known_device(provider, user, device, ctx.now));
        self.bear_one_more(ctx, provider, &known, is_known)?;
        // Counted before it is judged, so that no number of tries at once gets past.
        self.begin_try(ctx, &known.tried.name).await.map_err(|refusal| {
            self.slowed(ctx, provider, known.user.as_ref());
            refusal.about(format!("login as {}: too many failed attempts", who(known.user.as_ref())))
        })?;
        let judged = match self.judge_password(ctx, provider, &known, is_known, password).await {
            Ok(judged) => judged,
            Err(fault) => {
                self.forgive(ctx, &known.tried.name);
                return Err(fault.into());
            }
        };
        match known.user {
            Some(user) if judged == Judged::Right && user.is_live() => {
                self.give_account_back(ctx, &known.tried.account);
                self.forgive(ctx, &known.tried.name);
                self.upgrade_hash(ctx, &user, password).await;
                Ok(user)
            }
            user => {
                self.note_failure(ctx, &known.tried.name);
                if judged == Judged::NotLookedAt {
                    self.slowed(ctx, provider, user.as_ref());
                } else if let Some(user) = &user {
                    self.note_failure(ctx, &known.tried.account);
                    self.0.behind.note_event(self.event_of_failure(ctx, provider, user, judged));
                }
                Err(wrong(user.as_ref(), judged).into())
            }
        }
    }

    /// Looks at the password if the account bears one more try. Otherwise a hash is computed all the
    /// same, so that the answer takes as long. Keeps a place of the account's unless it ends in a fault.
    async fn judge_password(
        &self,
        ctx: &Context,
        provider: &ProviderId,
        known: &Known,
        is_known: bool,
        password: &SecretString,
    ) -> Result<Judged, Fault> {
        let (passwords, owner) = (&self.0.passwords, Owner::from(provider));
        let account = &known.tried.account;
        let is_borne = known.account.wait(is_known, ctx.now.seconds()) == 0;
        if !(is_borne && self.take_account(ctx, account)) {
            passwords.verify(&owner, None, password.clone(), ctx.deadline).await?;
            // Right logins under both names at once are no attack: theirs have given their places back.
            if !(is_borne && self.take_account(ctx, account)) {
                return Ok(Judged::NotLookedAt);
            }
        }
        let phc = known.user.as_ref().and_then(|user| user.password.clone()).map(|PasswordHash(phc)| phc);
        match passwords.verify(&owner, phc, password.clone(), ctx.deadline).await {
            Ok(right) => Ok(if right { Judged::Right } else { Judged::Wrong }),
            Err(fault) => {
                self.give_account_back(ctx, account);
                Err(fault)
            }
        }
    }

    fn take_account(&self, ctx: &Context, account: &Counted) -> bool {
        let key = (&account.everywhere, network_of(ctx.client_address));
        self.0.logins.accounts.add_below(&key, ctx.now, FROM_NETWORK.most_at_once())
    }

    fn give_account_back(&self, ctx: &Context, account: &Counted) {
        self.0.logins.accounts.take_back(&(&account.everywhere, network_of(ctx.client_address)), ctx.now);
    }

    fn note_failure(&self, ctx: &Context, counted: &Counted) {
        self.0.behind.note_login_failure(&counted.network, ctx.now, FROM_NETWORK.debt());
        self.0.behind.note_login_failure(&counted.everywhere, ctx.now, FROM_EVERYWHERE.debt());
    }

    /// Account and memory of it in one read. Known and unknown names take the same two statements.
    async fn known_of(&self, ctx: &Context, provider: &ProviderId, username: &str) -> Result<Known, Fault> {
        let key = name_key(if username.len() <= MOST_NAME_BYTES { username } else { NOBODY });
        let (engine, provider, address) = (self.clone(), provider.clone(), ctx.client_address);
        let read = move |conn: &mut Conn| {
            let user = users::by_name(conn, &provider, &key)?;
            let tried = Tried::of(&engine.secrets().peppers, &provider, user.as_ref(), &key, address);
            let Tried { name, account } = &tried;
            let ids = [name, account].map(|Counted { everywhere, network }| [everywhere.as_str(), network.as_str()]);
            let clear = login_failures::clear_at(conn, ids.as_flattened())?;
            let at = |id: &str| clear.get(id).copied().unwrap_or(0);
            let of = |counted: &Counted| ClearAt { everywhere: at(&counted.everywhere), network: at(&counted.network) };
            let (name, account) = (of(name), of(account));
            Ok(Known { user, tried, name, account })
        };
        self.0.db.read(ctx.deadline, read).await
    }

    /// Refuses a name that failed too often already; that is not counted and costs no hash.
    fn bear_one_more(
        &self,
        ctx: &Context,
        provider: &ProviderId,
        known: &Known,
        is_known: bool,
    ) -> Result<(), Refusal> {
        let user = &known.user;
        let wait = known.name.wait(is_known, ctx.now.seconds());
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

    /// Takes a place among the tries of this minute. Many right logins of one name at once are no
    /// attack: where all places are taken, one that is under way may give its place back.
    async fn begin_try(&self, ctx: &Context, name: &Counted) -> Result<(), Refusal> {
        let patience = (monotonic() + MOST_PATIENCE).min(ctx.deadline);
        loop {
            match self.0.logins.throttle.begin(&name.everywhere, ctx.client_address, ctx.now) {
                Err(_) if monotonic() + LOOK_EVERY < patience => wait_until(monotonic() + LOOK_EVERY, patience).await,
                outcome => return outcome,
            }
        }
    }

    fn forgive(&self, ctx: &Context, name: &Counted) {
        self.0.logins.throttle.forgive(&name.everywhere, ctx.client_address, ctx.now);
    }

    /// Tries that are judged are few, so their events are: nobody fills the table with them.
    fn event_of_failure(&self, ctx: &Context, provider: &ProviderId, user: &User, judged: Judged) -> Event {
        Event {
            id: self.0.random.uuid_v7(ctx.now),
            at: ctx.now.millis(),
            provider: Some(provider.clone()),
            actor: "system".to_owned(),
            action: "user.login_failed",
            target: user.id.to_string(),
            request_id: ctx.request_id.clone(),
            details: format!("{{\"because\":\"{}\",\"address\":\"{}\"}}", flaw_of(user, judged), ctx.client_address),
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

fn flaw_of(user: &User, judged: Judged) -> &'static str {
    match (user.password.is_some(), judged) {
        (_, Judged::NotLookedAt) => "too many failed attempts",
        (false, _) => "has no password",
        (true, Judged::Right) => "is disabled or locked",
        (true, Judged::Wrong) => "wrong password",
    }
}

/// The one answer for all of them; only the log knows which.
fn wrong(user: Option<&User>, judged: Judged) -> Refusal {
    let why = user.map_or("nobody's name", |user| flaw_of(user, judged));
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
