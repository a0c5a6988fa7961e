//! Why a request was decided as it was. The edge hands in what came of each exchange, with the trail that
//! was gathered on the way; it goes into a ring in memory, and a second later, in a batch, into the
//! database, where other nodes find it too.

use std::borrow::Cow;

use crate::domain::clock::deadline_in;
use crate::domain::explanation::{End, Ending, MAX_SENTENCE, Noted, Step, Witness, censored};
use crate::domain::external::Outcome;
use crate::domain::id::is_uuid_shaped;
use crate::domain::{Context, Explanation, Failed, Fault, Refusal, RefusalKind, Role, UnixTime};
use crate::engine::Engine;
use crate::engine::manage::Actor;
use crate::engine::tick::BACKGROUND_TIMEOUT;
use crate::store::{Tx, explanations, providers};

pub mod credentials;
pub mod kept;
mod sentences;
mod visible;

pub use kept::{Bounds, Kept};

use sentences::sentence;

/// Rows of one background job.
const ROWS_PER_JOB: usize = 64;
/// Rows of one job of the sweep, and jobs at a time.
const SWEEP: u32 = 500;
const SWEEPS: usize = 20;

impl Witness for Engine {
    fn ended(&self, ctx: &Context, end: End<'_>) {
        if let Some(explanation) = self.explained(ctx, end) {
            self.0.explanations.push(explanation);
        }
    }
}

impl Engine {
    /// `None`: nothing was decided that anybody asks about.
    fn explained(&self, ctx: &Context, end: End<'_>) -> Option<Explanation> {
        let Noted { kind, mut provider, client, key, provider_before_key, mut steps, refused } = ctx.trail.take();
        let (outcome, rule, said) = match (end, refused) {
            (End::Refused(refusal), _) => {
                let decided = decisive(&mut steps, refusal);
                let said = sentence(&decided.rule, &decided.values);
                let said = said.map_or_else(|| sentence_of(refusal), |said| censored(&said, MAX_SENTENCE));
                (Ending::Refused, decided.rule, said.into())
            }
            (End::Failed(fault), _) => (Ending::Failed, rule_of(fault).into(), sentence_of_fault(fault).into()),
            (End::Turned(why), _) => (Ending::Refused, "request.readable".into(), why.to_owned().into()),
            (End::Answered, Some((rule, said))) => {
                let decided = steps.iter().find(|step| step.outcome == Outcome::Failed);
                let rule = decided.map_or(Cow::Borrowed(rule), |step| step.rule.clone());
                let own = decided.and_then(|step| sentence(&step.rule, &step.values));
                (Ending::Refused, rule, own.map_or(said, |own| censored(&own, MAX_SENTENCE)).into())
            }
            (End::Answered, None) => {
                kind?;
                (Ending::Granted, "granted".into(), "Every rule let it pass.".into())
            }
        };
        if let Some(used) = key.as_ref().filter(|_| rule.starts_with(visible::OF_A_REFUSED_KEY)) {
            // A key that does not exist is refused before more is known of the request. Another provider than it then
            // has would tell that this one exists.
            provider = provider_before_key.or_else(|| used.provider.clone());
        }
        Some(Explanation {
            request_id: ctx.request_id.clone(),
            at: ctx.now,
            node: Cow::Borrowed(self.0.node),
            surface: Cow::Borrowed(ctx.surface),
            kind: Cow::Borrowed(kind.unwrap_or(ctx.surface)),
            outcome,
            client,
            key,
            provider,
            address: ctx.client_address,
            rule,
            sentence: said,
            steps,
            skipped: 0,
        })
    }

    /// Why the request with this id was decided as it was, with the slug of its provider. A key that is bound to a
    /// provider sees what was decided there, without the facts of foreign keys, and what keys of that provider asked.
    pub async fn explain(
        &self,
        ctx: &Context,
        actor: &Actor,
        request_id: &str,
    ) -> Result<(Explanation, Option<String>), Failed> {
        actor.require(Role::Admin)?;
        let found = match self.0.explanations.find(request_id) {
            Some(found) => Some(found),
            None if is_uuid_shaped(request_id) => {
                let wanted = request_id.to_owned();
                self.0.db.read(ctx.deadline, move |conn| explanations::get(conn, &wanted)).await?
            }
            None => None,
        };
        let visible = found.and_then(|found| match actor.bound_to() {
            None => Some(found),
            Some(bound) => visible::to_provider(found, bound),
        });
        let found = visible.ok_or_else(|| self.not_kept(ctx, actor, request_id))?;
        let slug = match found.provider.clone() {
            None => None,
            Some(id) => {
                let read = move |conn: &mut _| providers::by_id(conn, &id);
                self.0.db.read(ctx.deadline, read).await?.map(|provider| provider.slug)
            }
        };
        Ok((found, slug))
    }

    /// Says why there is nothing, as far as the id and this node know. To a bound key no more than that it
    /// has none.
    fn not_kept(&self, ctx: &Context, actor: &Actor, request_id: &str) -> Refusal {
        let keep = i64::from(self.0.options.explain_keep);
        let skipped = self.0.explanations.skipped();
        let why = match decided_at(request_id) {
            None => "it has not the shape of a request id".to_owned(),
            Some(at) if at.seconds() > ctx.now.seconds() + 60 => "its time has not come yet".to_owned(),
            Some(at) if at.seconds() <= ctx.now.seconds() - keep => {
                format!("it is older than the {keep} seconds for which explanations are kept")
            }
            Some(_) if skipped > 0 && actor.bound_to().is_none() => format!(
                "{skipped} refusals were not kept on this node, since more came than are written in a second; or it was \
                 decided on another node and is not written yet, or was a grant that nobody kept"
            ),
            Some(_) => "it was decided on another node and is not written yet, or was a grant that was not kept, or \
                        nothing was decided by it"
                .to_owned(),
        };
        Refusal::with_hint(RefusalKind::UnknownResource, format!("No explanation is kept for this request id: {why}."))
    }

    /// Writes what waits, in small background jobs.
    pub(in crate::engine) async fn write_explanations(&self) -> Result<(), Fault> {
        let mut rows = self.0.explanations.take();
        while !rows.is_empty() {
            let job: Vec<Explanation> = rows.drain(..rows.len().min(ROWS_PER_JOB)).collect();
            let count = job.len();
            let insert = move |tx: &mut Tx<'_>| job.iter().try_for_each(|row| explanations::insert(tx, row));
            if let Err(fault) = self.0.db.write_background(deadline_in(BACKGROUND_TIMEOUT), insert).await {
                self.0.explanations.lost(count + rows.len());
                return Err(fault);
            }
        }
        Ok(())
    }

    /// Drops the oldest beyond the number that is kept; those beyond their time go with the other cleanup.
    pub(in crate::engine) async fn sweep_explanations(&self) -> Result<(), Fault> {
        let keep = self.0.options.explain_keep_rows;
        for _ in 0..SWEEPS {
            let sweep = move |tx: &mut Tx<'_>| explanations::sweep_beyond(tx, keep, SWEEP);
            if self.0.db.write_background(deadline_in(BACKGROUND_TIMEOUT), sweep).await? < SWEEP as usize {
                break;
            }
        }
        Ok(())
    }

    /// Bytes of explanations in memory, and refusals that were not written. Metrics.
    pub fn explanations_held(&self) -> (u64, u64) {
        (self.0.explanations.bytes() as u64, self.0.explanations.skipped())
    }
}

/// The rule that decided: the one that the refusal names, else the first that failed on the way.
fn decisive(steps: &mut Vec<Step>, refusal: &Refusal) -> Step {
    if let Some(cause) = &refusal.cause {
        let named = Step { rule: Cow::Borrowed(cause.rule), outcome: Outcome::Failed, values: cause.values.clone() };
        if !steps.contains(&named) {
            steps.push(named.clone());
        }
        return named;
    }
    if let Some(failed) = steps.iter().find(|step| step.outcome == Outcome::Failed) {
        return failed.clone();
    }
    let plain = Step { rule: Cow::Borrowed(refusal.rule()), outcome: Outcome::Failed, values: Vec::new() };
    steps.push(plain.clone());
    plain
}

/// What the log says, else what the answer said; with every wrong field.
fn sentence_of(refusal: &Refusal) -> String {
    let said = if refusal.about.is_empty() { refusal.hint.as_ref() } else { &refusal.about };
    match &refusal.kind {
        RefusalKind::Invalid(errors) => {
            let fields: Vec<String> =
                errors.iter().take(20).map(|error| format!("{} {}", error.pointer, error.detail)).collect();
            censored(&format!("{said} {}", fields.join("; ")), MAX_SENTENCE)
        }
        _ => censored(said, MAX_SENTENCE),
    }
}

fn rule_of(fault: &Fault) -> &'static str {
    match fault {
        Fault::Store(_) => "server.store",
        Fault::Crypto(_) => "server.cryptography",
        Fault::Upstream(_) => "server.upstream",
        Fault::Busy { .. } => "server.busy",
    }
}

/// The chain of causes stays in the log: it may hold anything.
fn sentence_of_fault(fault: &Fault) -> String {
    match fault {
        Fault::Busy { reason, .. } => format!("The server was too busy: {reason}."),
        Fault::Store(_) | Fault::Crypto(_) | Fault::Upstream(_) => {
            "Something failed on our side; the log has the cause under this request id.".to_owned()
        }
    }
}

/// When a request id was made: ours are UUID v7.
fn decided_at(request_id: &str) -> Option<UnixTime> {
    if !is_uuid_shaped(request_id) {
        return None;
    }
    let digits: String = request_id.chars().filter(|character| *character != '-').take(12).collect();
    i64::from_str_radix(&digits, 16).ok().map(UnixTime::from_millis)
}
