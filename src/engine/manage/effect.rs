//! What becomes of a change: it is committed; or only tried (`dry_run`); or tried, and committed with the
//! answer that tells of it (`Idempotency-Key`).
//!
//! The last one is why an answer that got lost is given again and nothing is ever made twice: a call
//! first runs with its change taken back, which shows whether it is acceptable and what its answer
//! is. Then one transaction claims the value of the header, makes the change and keeps the answer,
//! sealed. Whatever stops this server in between, either all three are there or none is. Of two calls
//! at once, on whatever nodes, the database lets one claim the value.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::crypto::kept_answer::{self, Kept};
use crate::domain::{Context, Decision, Effect, Failed, Fault, OnceCall, Refusal, RefusalKind};
use crate::engine::Engine;
use crate::store::{Tx, idempotency_keys};

/// An answer is given again for this many seconds.
const KEPT_FOR: i64 = 86_400;

/// A change that was tried.
type HeldJob = Box<dyn FnMut(&mut Tx<'_>) -> Result<Decision<()>, Fault> + Send>;

/// What this node is working on.
#[derive(Default)]
pub(in crate::engine) struct OnceCalls {
    running: Mutex<HashSet<[u8; 32]>>,
    /// By request id.
    held: Mutex<HashMap<String, HeldJob>>,
}

/// How a call with an `Idempotency-Key` goes on.
pub enum Begun {
    /// It is worked on, with [`Effect::WithAnswer`]; then [`Engine::commit_with_answer`].
    First(Turn),
    /// It was answered before, with this.
    Again(Vec<u8>),
    /// It was answered before, with what cannot be given to who calls now: [`Engine::not_given_again`].
    NotAgain,
}

/// The right of one call to go on, on this node, until it is dropped.
pub struct Turn {
    engine: Engine,
    id: [u8; 32],
    request_id: String,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let calls = &self.engine.0.once_calls;
        lock(&calls.running).remove(&self.id);
        lock(&calls.held).remove(&self.request_id);
    }
}

impl Engine {
    /// Does with a change what the context says.
    pub(in crate::engine) async fn carry_out<T, F>(&self, ctx: &Context, job: F) -> Result<T, Failed>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<Decision<T>, Fault> + Send + 'static,
    {
        // The command line comes by here too, and dates what it writes.
        self.require_right_clock(ctx)?;
        let decided = match ctx.effect {
            Effect::Commit => self.0.db.write(ctx.deadline, job).await?,
            Effect::DryRun => self.0.db.try_out(ctx.deadline, job).await?,
            Effect::WithAnswer => {
                let job = Arc::new(Mutex::new(job));
                let tried = Arc::clone(&job);
                let decided = self.0.db.try_out(ctx.deadline, move |tx| (*lock(&tried))(tx)).await?;
                if matches!(decided, Decision::Allow(_)) {
                    self.hold(ctx, Box::new(move |tx| Ok(without_value((*lock(&job))(tx)?))))?;
                }
                decided
            }
        };
        match decided {
            Decision::Allow(value) => Ok(value),
            Decision::Refuse(refusal) => Err(refusal.into()),
        }
    }

    fn hold(&self, ctx: &Context, job: HeldJob) -> Result<(), Fault> {
        let before = lock(&self.0.once_calls.held).insert(ctx.request_id.clone(), job);
        // What is tried second does not see what was tried first.
        if before.is_some() { Err(Fault::store("a call that is made once has two changes")) } else { Ok(()) }
    }

    /// Looks whether the call was answered before.
    ///
    /// Refused: another request was sent under the same value; this node is working on the call.
    pub async fn begin_once(&self, ctx: &Context, call: &OnceCall<'_>) -> Result<Begun, Failed> {
        if let Some(begun) = self.answered_before(ctx, call).await? {
            return Ok(begun);
        }
        let id = kept_answer::id_of(call);
        if !lock(&self.0.once_calls.running).insert(id) {
            let kind = RefusalKind::UnderWay { retry_after: 1 };
            return Err(Refusal::new(kind, "The first call with this Idempotency-Key is still being worked on.").into());
        }
        let turn = Turn { engine: self.clone(), id, request_id: ctx.request_id.clone() };
        // It may have been answered between the look and the turn.
        Ok(self.answered_before(ctx, call).await?.unwrap_or(Begun::First(turn)))
    }

    /// Commits what the call has tried, and keeps its answer. `Some`: another node was faster, and this
    /// is its answer; of this call nothing is left.
    pub async fn commit_with_answer(
        &self,
        ctx: &Context,
        call: &OnceCall<'_>,
        turn: Turn,
        answer: &[u8],
    ) -> Result<Option<Vec<u8>>, Failed> {
        let sealed = kept_answer::seal(call, answer, &self.secrets().peppers, &self.0.random)?;
        let mut job = lock(&self.0.once_calls.held).remove(&ctx.request_id);
        let (id, now) = (turn.id, ctx.now);
        let commit = move |tx: &mut Tx<'_>| {
            if !idempotency_keys::claim(tx, &id, &sealed, now.seconds() + KEPT_FOR, now)? {
                return Ok(Decision::Allow(false));
            }
            let refusal = match &mut job {
                Some(job) => match job(tx)? {
                    Decision::Allow(()) => None,
                    Decision::Refuse(refusal) => Some(refusal),
                },
                None => None,
            };
            let Some(refusal) = refusal else { return Ok(Decision::Allow(true)) };
            // What was acceptable when it was tried is not any more.
            idempotency_keys::release(tx, &id)?;
            Ok(Decision::Refuse(refusal))
        };
        match self.0.db.write(ctx.deadline, commit).await? {
            Decision::Refuse(refusal) => Err(refusal.into()),
            Decision::Allow(true) => {
                // Whoever asked since the change was tried may have filled a cache without it.
                if let Err(fault) = self.poll_changes(ctx.now).await {
                    log::warn!("{} the change log will be read later: {fault}", ctx.request_id);
                }
                Ok(None)
            }
            Decision::Allow(false) => match self.answered_before(ctx, call).await? {
                Some(Begun::Again(answer)) => Ok(Some(answer)),
                Some(_) => Err(Self::not_given_again().into()),
                None => Err(Fault::busy("the answer of another node ended at this moment").into()),
            },
        }
    }

    /// Of a call whose handler has nothing against it, and whose answer is kept for another.
    pub fn not_given_again() -> Refusal {
        Refusal::new(
            RefusalKind::Conflict,
            "The answer to this Idempotency-Key cannot be given again: what the API key may do has changed since, or \
             the key of the answer is gone. Look whether the thing was made.",
        )
    }

    async fn answered_before(&self, ctx: &Context, call: &OnceCall<'_>) -> Result<Option<Begun>, Failed> {
        let (id, now) = (kept_answer::id_of(call), ctx.now);
        let sealed = self.0.db.read(ctx.deadline, move |conn| idempotency_keys::answer(conn, &id, now)).await?;
        let Some(sealed) = sealed else { return Ok(None) };
        match kept_answer::open(call, &sealed, &self.secrets().peppers)? {
            Kept::Answer(answer) => Ok(Some(Begun::Again(answer))),
            Kept::Unreadable => Ok(Some(Begun::NotAgain)),
            Kept::OfAnother => Err(Refusal::invalid_field(
                "",
                "another request was sent with this Idempotency-Key within the last 24 hours",
            )
            .into()),
        }
    }
}

fn without_value<T>(decided: Decision<T>) -> Decision<()> {
    match decided {
        Decision::Allow(_) => Decision::Allow(()),
        Decision::Refuse(refusal) => Decision::Refuse(refusal),
    }
}

/// Every change behind these locks is complete before anything can panic; a job that panicked in its
/// own is not run again.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
