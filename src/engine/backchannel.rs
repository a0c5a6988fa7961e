//! Back-channel logout (OpenID Connect Back-Channel Logout 1.0): each client that took part in a
//! session is told of its end by a signed token. The rows that wait are made with the end itself;
//! here they are delivered, a few at a time, on a task of their own, so that a receiver that does
//! not answer holds up nobody but itself.

use std::sync::Arc;

use futures_util::stream::{self, StreamExt};

use crate::domain::clock::deadline_in;
use crate::domain::event::Event;
use crate::domain::token::LogoutClaims;
use crate::domain::{Context, Fault, Provider, SigningAlg, UnixTime};
use crate::engine::Engine;
use crate::engine::cache::providers::ProviderEntry;
use crate::engine::tick::{BACKGROUND_TIMEOUT, background_context};
use crate::store::logout_deliveries::{self, LogoutDelivery};
use crate::store::{Tx, events, providers};

/// Deliveries of one round, and how many of them at once.
const ROUND: u32 = 16;
const AT_ONCE: usize = 4;
/// Seconds for which a row is claimed: longer than a round can take.
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

impl Engine {
    /// Begins a round if something is due and none is under way; waits for nothing but the question.
    pub(in crate::engine) async fn begin_logout_deliveries(&self, now: UnixTime) -> Result<(), Fault> {
        let Ok(turn) = Arc::clone(&self.0.deliveries).try_acquire_owned() else { return Ok(()) };
        let deadline = deadline_in(BACKGROUND_TIMEOUT);
        if !self.0.db.read(deadline, move |conn| logout_deliveries::any_due(conn, now.seconds())).await? {
            return Ok(());
        }
        let engine = self.clone();
        tokio::spawn(async move {
            let _turn = turn;
            if let Err(fault) = engine.deliver_logouts(now).await {
                log::warn!("logout tokens could not be delivered: {fault}");
            }
        });
        Ok(())
    }

    /// One round: delivers what is due at `now`, at most sixteen, four at a time. Answers how many
    /// were taken up.
    pub async fn deliver_logouts(&self, now: UnixTime) -> Result<usize, Fault> {
        let deadline = deadline_in(BACKGROUND_TIMEOUT);
        let claim = move |tx: &mut Tx<'_>| logout_deliveries::claim_due(tx, now.seconds(), LEASE, ROUND);
        let due = self.0.db.write_background(deadline, claim).await?;
        let count = due.len();
        stream::iter(due)
            .for_each_concurrent(AT_ONCE, async |delivery| {
                if let Err(fault) = self.deliver(&delivery, now).await {
                    // It stays claimed and is due again after the lease.
                    log::warn!("the logout token for client {} is put off: {fault}", delivery.client);
                }
            })
            .await;
        Ok(count)
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
        Ok(match self.0.fetcher.post_form(url, form).await {
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
