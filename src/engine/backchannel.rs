//! Back-channel logout (OpenID Connect Back-Channel Logout 1.0): each client that took part in a
//! session is told of its end by a signed token. The rows that wait are made with the end itself;
//! here they are delivered, a few at a time, each on a task of its own. One provider holds at most half
//! of the lanes, so that receivers that do not answer delay no other provider.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout_at;

use crate::domain::clock::deadline_in;
use crate::domain::event::Event;
use crate::domain::token::LogoutClaims;
use crate::domain::{ClientId, Context, FairLanes, Fault, Owner, Provider, ProviderId, SigningAlg, UnixTime};
use crate::engine::Engine;
use crate::engine::cache::providers::ProviderEntry;
use crate::engine::tick::{BACKGROUND_TIMEOUT, background_context};
use crate::store::logout_deliveries::{self, LogoutDelivery};
use crate::store::{Tx, events, providers};

/// Deliveries at once, and tasks that wait for a lane: of one provider half of both.
const AT_ONCE: usize = 16;
const WAITING: usize = 256;
/// A task waits for its lane for so long.
const PATIENCE: Duration = Duration::from_secs(20);
/// Deliveries to one client at once.
const OF_ONE_CLIENT: usize = 2;
/// Providers with something due that one tick looks at, the longest wait first.
const PROVIDERS: u32 = 128;
/// Seconds for which a row is claimed: longer than a delivery can take.
const LEASE: i64 = 180;
/// Seconds after each failed try; after the last one it is given up.
const PAUSES: [i64; 5] = [10, 60, 300, 1800, 7200];
/// Seconds a logout token is good for (§2.4 recommends two minutes at most).
const TOKEN_TTL: i64 = 120;
const LOGOUT_ALG: SigningAlg = SigningAlg::Rs256;

/// What became of one delivery.
enum Told {
    Delivered,
    /// The client has no such URL any more, or is gone.
    NobodyToTell,
    /// Why not, for the log.
    Failed(String),
}

/// Deliveries of this node.
pub(in crate::engine) struct LogoutDeliveries {
    lanes: FairLanes,
    under_way: Mutex<HashMap<ProviderId, UnderWay>>,
}

/// Those of one provider.
#[derive(Default)]
struct UnderWay {
    /// Tasks that run or wait for a lane.
    tasks: usize,
    /// A receiver that does not answer holds few of them.
    clients: Vec<ClientId>,
}

impl Default for LogoutDeliveries {
    fn default() -> Self {
        Self { lanes: FairLanes::new(AT_ONCE, WAITING), under_way: Mutex::default() }
    }
}

impl LogoutDeliveries {
    fn change<T>(&self, provider: &ProviderId, change: impl FnOnce(&mut UnderWay) -> T) -> T {
        let mut all = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        let of_provider = all.entry(provider.clone()).or_default();
        let changed = change(of_provider);
        if of_provider.tasks == 0 {
            all.remove(provider);
        }
        changed
    }

    /// How many tasks may begin for a provider with so many due rows; they are counted at once.
    fn begin(&self, provider: &ProviderId, due: usize) -> usize {
        self.change(provider, |under_way| {
            let begun = self.lanes.share().saturating_sub(under_way.tasks).min(due);
            under_way.tasks += begun;
            begun
        })
    }

    /// Clients that no further delivery may begin for.
    fn busy(&self, provider: &ProviderId) -> Vec<ClientId> {
        self.change(provider, |under_way| {
            let count = |client: &ClientId| under_way.clients.iter().filter(|other| *other == client).count();
            under_way.clients.iter().filter(|client| count(client) >= OF_ONE_CLIENT).cloned().collect()
        })
    }
}

/// A task of one provider; no longer counted when it is dropped, by a panic too.
struct Task {
    engine: Engine,
    provider: ProviderId,
    client: Option<ClientId>,
}

impl Drop for Task {
    fn drop(&mut self) {
        self.engine.0.deliveries.change(&self.provider, |under_way| {
            under_way.tasks = under_way.tasks.saturating_sub(1);
            if let Some(at) = under_way.clients.iter().position(|client| Some(client) == self.client.as_ref()) {
                under_way.clients.swap_remove(at);
            }
        });
    }
}

impl Engine {
    /// Begins what is due, each delivery on a task of its own; waits for nothing but the question.
    pub(in crate::engine) async fn begin_logout_deliveries(&self, now: UnixTime) -> Result<(), Fault> {
        for task in self.logout_tasks(now).await? {
            tokio::spawn(task.run(now));
        }
        Ok(())
    }

    /// Delivers what is due at `now`, of one provider at most its share of the lanes. Returns how many
    /// deliveries there were.
    pub async fn deliver_logouts(&self, now: UnixTime) -> Result<usize, Fault> {
        let tasks = self.logout_tasks(now).await?.into_iter().map(|task| task.run(now));
        Ok(join_all(tasks).await.into_iter().filter(|delivered| *delivered).count())
    }

    async fn logout_tasks(&self, now: UnixTime) -> Result<Vec<Task>, Fault> {
        let read = move |conn: &mut _| logout_deliveries::due_providers(conn, now.seconds(), PROVIDERS);
        let mut tasks = Vec::new();
        for (provider, due) in self.0.db.read(deadline_in(BACKGROUND_TIMEOUT), read).await? {
            for _ in 0..self.0.deliveries.begin(&provider, due) {
                tasks.push(Task { engine: self.clone(), provider: provider.clone(), client: None });
            }
        }
        Ok(tasks)
    }

    async fn deliver(&self, delivery: &LogoutDelivery, now: UnixTime) -> Result<(), Fault> {
        let told = self.tell(&background_context(now), delivery).await?;
        let (id, attempts) = (delivery.id.clone(), delivery.attempts);
        let pause = usize::try_from(attempts - 1).ok().and_then(|at| PAUSES.get(at)).copied();
        let given_up = match (told, pause) {
            (Told::Delivered | Told::NobodyToTell, _) => None,
            (Told::Failed(why), Some(pause)) => {
                log::info!("client {} was not told of a logout (try {attempts}): {why}", delivery.client);
                let next = now.seconds() + pause;
                let deadline = deadline_in(BACKGROUND_TIMEOUT);
                let postpone = move |tx: &mut Tx<'_>| logout_deliveries::postpone(tx, &id, attempts, next);
                self.0.db.write_background(deadline, postpone).await?;
                return Ok(());
            }
            (Told::Failed(why), None) => {
                log::warn!("client {} will not be told of a logout, after {attempts} tries: {why}", delivery.client);
                Some(self.event_of_giving_up(delivery, now))
            }
        };
        self.0
            .db
            .write_background(deadline_in(BACKGROUND_TIMEOUT), move |tx| {
                let removed = logout_deliveries::delete(tx, &id)?;
                if let (true, Some(event)) = (removed, &given_up) {
                    events::insert(tx, event)?;
                }
                Ok(())
            })
            .await
    }

    /// To the URL that the client has now.
    async fn tell(&self, ctx: &Context, delivery: &LogoutDelivery) -> Result<Told, Fault> {
        let Some(client) = self.client(ctx, &delivery.provider, &delivery.client).await? else {
            return Ok(Told::NobodyToTell);
        };
        let policy = client.policy().filter(|_| client.live);
        let Some((url, policy)) = policy.and_then(|policy| Some((policy.backchannel_logout_uri.as_ref()?, policy)))
        else {
            return Ok(Told::NobodyToTell);
        };
        let wanted = delivery.provider.clone();
        let found = self.0.db.read(ctx.deadline, move |conn| providers::by_id(conn, &wanted)).await?;
        let Some(provider) = found.filter(Provider::is_live) else { return Ok(Told::NobodyToTell) };
        let issued_at = ctx.now.seconds();
        let claims = LogoutClaims {
            issuer: provider.issuer.clone(),
            subject: delivery.user.as_str().to_owned(),
            audience: delivery.client.as_str().to_owned(),
            jti: self.0.random.jti(ctx.now),
            issued_at,
            expires_at: issued_at + TOKEN_TTL,
            session: delivery.session.clone(),
        };
        let alg = policy.id_token_signed_response_alg.unwrap_or(LOGOUT_ALG);
        let key = self.signing_key(ctx, &ProviderEntry::of_row(provider), alg).await?;
        // A compact JWS needs no escaping in a form.
        let form = format!("logout_token={}", key.sign_logout(&claims)?);
        let fetcher = self.0.fetcher.of(Owner::from(&delivery.provider));
        Ok(match fetcher.post_form(url, form).await {
            Ok(()) => Told::Delivered,
            Err(flaw) => Told::Failed(flaw.to_string()),
        })
    }

    fn event_of_giving_up(&self, delivery: &LogoutDelivery, now: UnixTime) -> Event {
        Event {
            id: self.0.random.uuid_v7(now),
            at: now.millis(),
            provider: Some(delivery.provider.clone()),
            actor: "system".to_owned(),
            action: "client.logout_not_delivered",
            target: delivery.client.to_string(),
            request_id: "background".to_owned(),
            details: format!("{{\"session\":\"{}\",\"user\":\"{}\"}}", delivery.session, delivery.user),
        }
    }
}

impl Task {
    /// `true`: there was something to deliver.
    async fn run(mut self, now: UnixTime) -> bool {
        let delivered = self.delivered(now).await;
        delivered.unwrap_or_else(|fault| {
            // A row that was claimed is due again after the lease.
            log::warn!("a logout token of provider {} is put off: {fault}", self.provider);
            false
        })
    }

    async fn delivered(&mut self, now: UnixTime) -> Result<bool, Fault> {
        let engine = self.engine.clone();
        let deliveries = &engine.0.deliveries;
        let asked = timeout_at(deadline_in(PATIENCE).into(), deliveries.lanes.lane(&Owner::from(&self.provider))).await;
        // Without a lane the row stays as it is, and a later tick asks again.
        let Ok(Ok(_lane)) = asked else { return Ok(false) };
        let (provider, busy) = (self.provider.clone(), deliveries.busy(&self.provider));
        let claim = move |tx: &mut Tx<'_>| logout_deliveries::claim_due(tx, &provider, &busy, now.seconds(), LEASE);
        let claimed = engine.0.db.write_background(deadline_in(BACKGROUND_TIMEOUT), claim).await?;
        let Some(delivery) = claimed else { return Ok(false) };
        self.client = Some(delivery.client.clone());
        deliveries.change(&self.provider, |under_way| under_way.clients.push(delivery.client.clone()));
        engine.deliver(&delivery, now).await?;
        Ok(true)
    }
}
