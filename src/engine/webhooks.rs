//! Tells webhooks of events. The rows that wait are made with the events themselves; here they are
//! delivered, each webhook on a task of its own, so that an endpoint that is slow or dead holds up
//! nobody else, least of all a request. Order is not promised; an event may come twice, with the same
//! `webhook-id`.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use secrecy::SecretString;
use tokio::time::timeout_at;

use crate::crypto::webhook as message;
use crate::domain::clock::{deadline_in, monotonic};
use crate::domain::event::{Event, RecordedEvent};
use crate::domain::webhook::{Delivery, DeliveryState, Webhook, WebhookSecrets};
use crate::domain::{FairLanes, Fault, Owner, UnixTime, WebhookId};
use crate::engine::Engine;
use crate::engine::tick::BACKGROUND_TIMEOUT;
use crate::store::{Tx, events, webhook_deliveries, webhooks};
use crate::upstream::FetchFlaw;

/// Webhooks that one node delivers to at once.
const AT_ONCE: usize = 32;
/// Of these one provider's, or the installation's: endpoints that hang take no lane from others' webhooks.
const OF_OWNER: usize = 4;
/// Webhooks that wait for a lane, and for how long.
const WAITING: usize = 64;
const PATIENCE: Duration = Duration::from_secs(20);
/// Events on their way to one webhook; a webhook that has failed lately is tried with one.
const OF_ONE: u32 = 8;
/// A task goes on for this long, then others have their turn: at once after calls that took longer than
/// `SLOW`.
const TURN: Duration = Duration::from_secs(20);
const SLOW: Duration = Duration::from_secs(1);
/// Seconds for which a row is claimed: longer than one call can take.
const LEASE: i64 = 120;
/// Seconds after each failed try; eight tries in all, over a day.
const PAUSES: [i64; 7] = [10, 60, 300, 1800, 7200, 21_600, 43_200];
/// Seconds for which a webhook rests after a failure: doubled each time, up to the most.
const REST: i64 = 5;
const MOST_REST: i64 = 120;
/// What has waited for longer is dead, tried or not.
const LONGEST_WAIT: i64 = 26 * 3600;
/// Seconds for which deliveries are kept that are over.
pub const DELIVERIES_KEPT: i64 = 30 * 86_400;
/// Rows of one job, and jobs at a time, that give up what has waited for too long.
const GIVE_UP: u32 = 500;
const GIVE_UPS: usize = 20;

/// Webhooks that this node is delivering to, or that wait for a lane.
pub struct Telling {
    under_way: Mutex<HashSet<WebhookId>>,
    lanes: FairLanes,
}

impl Default for Telling {
    fn default() -> Self {
        Self { under_way: Mutex::default(), lanes: FairLanes::with_share(AT_ONCE, WAITING, OF_OWNER) }
    }
}

impl Telling {
    fn lock(&self) -> MutexGuard<'_, HashSet<WebhookId>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A webhook on its way; it is given back however the task ends, by a panic too.
struct OnItsWay {
    engine: Engine,
    id: WebhookId,
}

impl Drop for OnItsWay {
    fn drop(&mut self) {
        self.engine.0.telling.lock().remove(&self.id);
    }
}

/// What came of one try.
enum Told {
    Delivered,
    /// The event is not kept any more.
    Nothing,
    Failed(FetchFlaw),
}

impl Engine {
    /// Begins to tell every webhook that something is due for; waits for nothing but the question.
    pub(in crate::engine) async fn begin_telling(&self, now: UnixTime) -> Result<(), Fault> {
        if self.0.telling.lanes.waiting() >= WAITING {
            return Ok(());
        }
        // Twice what can begin, of all and of each owner: the first may be those that are on their way.
        let twice = |lanes: usize| u32::try_from(2 * lanes).unwrap_or(u32::MAX);
        let (limit, of_owner) = (twice(AT_ONCE), twice(OF_OWNER));
        let due = move |conn: &mut _| webhook_deliveries::due_webhooks(conn, now.seconds(), limit, of_owner);
        for due in self.0.db.read(deadline_in(BACKGROUND_TIMEOUT), due).await? {
            if !self.0.telling.lock().insert(due.webhook.clone()) {
                continue;
            }
            let owner = due.owner.as_ref().map_or(Owner::Installation, Owner::from);
            let on_its_way = OnItsWay { engine: self.clone(), id: due.webhook };
            tokio::spawn(async move {
                let OnItsWay { engine, id } = &on_its_way;
                let asked = timeout_at(deadline_in(PATIENCE).into(), engine.0.telling.lanes.lane(&owner)).await;
                // Without a lane it stays due, and a later tick asks again.
                let Ok(Ok(_lane)) = asked else { return };
                if let Err(fault) = engine.tell_webhook(id, now).await {
                    log::warn!("webhook {id} could not be told: {fault}");
                }
            });
        }
        Ok(())
    }

    /// Tells one webhook what is due at `now`, until nothing is, a try fails, the endpoint was slow, or its
    /// turn is over. Answers how many tries there were.
    pub async fn tell_webhook(&self, id: &WebhookId, now: UnixTime) -> Result<usize, Fault> {
        let (mut tries, end) = (0, monotonic() + TURN);
        loop {
            let wanted = id.clone();
            let read = move |conn: &mut _| webhooks::get(conn, &wanted);
            let found = self.0.db.read(deadline_in(BACKGROUND_TIMEOUT), read).await?;
            let Some(webhook) = found.filter(|webhook| webhook.enabled) else { break };
            let secrets = match self.webhook_secrets(&webhook, now) {
                Ok(secrets) => secrets,
                Err(fault) => {
                    // As after `keys reset`: it needs a new secret, and is not asked about every second.
                    let (id, rest) = (webhook.id.clone(), now.seconds() + MOST_REST);
                    let note = move |tx: &mut Tx<'_>| webhooks::note_failure(tx, &id, rest);
                    self.0.db.write_background(deadline_in(BACKGROUND_TIMEOUT), note).await?;
                    return Err(fault);
                }
            };
            let limit = if webhook.failures > 0 { 1 } else { OF_ONE };
            let claimed = webhook.id.clone();
            let claim = move |tx: &mut Tx<'_>| webhook_deliveries::claim_due(tx, &claimed, now.seconds(), LEASE, limit);
            let due = self.0.db.write_background(deadline_in(BACKGROUND_TIMEOUT), claim).await?;
            if due.is_empty() {
                break;
            }
            tries += due.len();
            let began = monotonic();
            let told = join_all(due.iter().map(|delivery| self.tell_event(&webhook, &secrets, delivery, now))).await;
            let mut all_taken = true;
            for (delivery, told) in due.iter().zip(told) {
                all_taken &= self.note_told(&webhook, delivery, told?, now).await?;
            }
            if !all_taken {
                break;
            }
            let ended = monotonic();
            if ended >= end || ended - began > SLOW {
                let id = webhook.id.clone();
                let note = move |tx: &mut Tx<'_>| webhooks::note_turn(tx, &id, now.seconds());
                self.0.db.write_background(deadline_in(BACKGROUND_TIMEOUT), note).await?;
                break;
            }
        }
        Ok(tries)
    }

    /// The current one, and the one before it while it counts.
    fn webhook_secrets(&self, webhook: &Webhook, now: UnixTime) -> Result<Vec<SecretString>, Fault> {
        let WebhookSecrets { current, previous } = &webhook.secrets;
        let previous = previous.iter().filter(|(_, until)| now.seconds() < *until).map(|(sealed, _)| sealed);
        let keys = self.secrets();
        let open = |sealed: &Vec<u8>| message::open_secret(&keys.signing, &webhook.id, sealed);
        std::iter::once(current).chain(previous).map(open).collect()
    }

    async fn tell_event(
        &self,
        webhook: &Webhook,
        secrets: &[SecretString],
        delivery: &Delivery,
        now: UnixTime,
    ) -> Result<Told, Fault> {
        let wanted = delivery.event.clone();
        let read = move |conn: &mut _| events::get(conn, &wanted);
        let event: Option<RecordedEvent> = self.0.db.read(deadline_in(BACKGROUND_TIMEOUT), read).await?;
        let Some(event) = event else { return Ok(Told::Nothing) };
        let body = message::message(&event)?;
        let timestamp = now.seconds();
        let headers = [
            ("webhook-id", event.id.clone()),
            ("webhook-timestamp", timestamp.to_string()),
            ("webhook-signature", message::signatures(secrets, &event.id, timestamp, &body)?),
        ];
        let owner = webhook.provider.as_ref().map_or(Owner::Installation, Owner::from);
        let fetcher = self.0.fetcher.of(owner);
        Ok(match fetcher.post_json(&webhook.url, &headers, body).await {
            Ok(()) => Told::Delivered,
            Err(flaw) => Told::Failed(flaw),
        })
    }

    /// Writes down what came of a try; `true` if the endpoint took it.
    async fn note_told(
        &self,
        webhook: &Webhook,
        delivery: &Delivery,
        told: Told,
        now: UnixTime,
    ) -> Result<bool, Fault> {
        let counters = self.counters();
        let (id, row, failures) = (webhook.id.clone(), delivery.clone(), webhook.failures);
        let flaw = match told {
            Told::Delivered | Told::Nothing => {
                counters.webhooks_delivered.add_one();
                let gone = matches!(told, Told::Nothing).then_some("the event is not kept any more");
                let state = if gone.is_some() { DeliveryState::Dead } else { DeliveryState::Delivered };
                let finish = move |tx: &mut Tx<'_>| {
                    webhook_deliveries::finish(tx, &row, state, now.seconds(), gone)?;
                    if failures > 0 { webhooks::note_success(tx, &id) } else { Ok(()) }
                };
                self.0.db.write_background(deadline_in(BACKGROUND_TIMEOUT), finish).await?;
                return Ok(true);
            }
            Told::Failed(flaw) => flaw,
        };
        counters.webhooks_failed.add_one();
        log::info!("webhook {id} was not told of {} (try {}): {flaw}", delivery.event, delivery.attempts);
        let pause = usize::try_from(delivery.attempts - 1).ok().and_then(|at| PAUSES.get(at)).copied();
        if pause.is_none() {
            counters.webhooks_dead.add_one();
        }
        let rest = now.seconds() + (REST << failures.clamp(0, 10)).min(MOST_REST);
        let next = pause.map(|pause| now.seconds() + self.jittered(pause));
        let why = shown(&flaw);
        // The specification's word for an endpoint that wants no more.
        let gone = matches!(flaw, FetchFlaw::Status(410)).then(|| self.event_of_gone(webhook, now));
        let write = move |tx: &mut Tx<'_>| {
            match next {
                Some(next) => webhook_deliveries::postpone(tx, &row, next, &why)?,
                None => webhook_deliveries::finish(tx, &row, DeliveryState::Dead, now.seconds(), Some(&why))?,
            };
            if let Some(event) = &gone
                && webhooks::disable(tx, &id, now.seconds())?
            {
                events::insert(tx, event)?;
            }
            webhooks::note_failure(tx, &id, rest)
        };
        self.0.db.write_background(deadline_in(BACKGROUND_TIMEOUT), write).await?;
        Ok(false)
    }

    /// A tenth more or less, so that what failed together is not tried together.
    fn jittered(&self, pause: i64) -> i64 {
        let [byte] = self.0.random.bytes::<1>();
        pause + pause * (i64::from(byte) - 128) / 1280
    }

    /// What has waited for more than a day is dead.
    pub(in crate::engine) async fn give_up_deliveries(&self, now: UnixTime) -> Result<(), Fault> {
        for _ in 0..GIVE_UPS {
            let give_up = move |tx: &mut Tx<'_>| {
                webhook_deliveries::give_up(tx, now.seconds() - LONGEST_WAIT, now.seconds(), GIVE_UP)
            };
            if self.0.db.write_background(deadline_in(BACKGROUND_TIMEOUT), give_up).await? < GIVE_UP as usize {
                break;
            }
        }
        Ok(())
    }

    fn event_of_gone(&self, webhook: &Webhook, now: UnixTime) -> Event {
        Event {
            id: self.0.random.uuid_v7(now),
            at: now.millis(),
            provider: webhook.provider.clone(),
            actor: "system".to_owned(),
            action: "webhook.disabled",
            target: webhook.id.to_string(),
            request_id: "background".to_owned(),
            details: "{\"status\":410}".to_owned(),
        }
    }
}

/// As who made the webhook may read it. Which names there are behind the guard is not theirs to learn: one
/// that is not found and one that may not be called are the same.
fn shown(flaw: &FetchFlaw) -> String {
    match flaw {
        FetchFlaw::Unresolved | FetchFlaw::Address => {
            "the name cannot be resolved to an address that may be called: see upstream.allow_networks".to_owned()
        }
        told => told.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_not_found_and_one_that_may_not_be_called_are_told_alike() {
        assert_eq!(shown(&FetchFlaw::Unresolved), shown(&FetchFlaw::Address));
        assert_eq!(shown(&FetchFlaw::Slow), FetchFlaw::Slow.to_string());
    }
}
