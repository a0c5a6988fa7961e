//! Tokens of other issuers: judged against each row of the issuer, as a list of named checks. The
//! exchange takes the one row that accepts; a dry run shows the whole list.

use std::borrow::Cow;

use secrecy::{ExposeSecret, SecretString};

use crate::crypto::{ForeignFlaw, read_foreign};
use crate::domain::clock::monotonic;
use crate::domain::explanation::{Fact, Step, facts};
use crate::domain::external::{Check, ClaimValue, ExternalToken, Outcome, Verdict};
use crate::domain::trust::TrustRules;
use crate::domain::{ClientId, Context, Fault, ProviderId, TrustedIssuer};
use crate::engine::Engine;
use crate::engine::trust::rules::{HandedIn, jti_of};
use crate::engine::trust::work::Work;
use crate::store::{assertion_jtis, issuers, trusted_issuers};

pub mod conditions;
pub mod people;
pub mod rules;
pub mod validate;
pub mod work;

const SIGNATURE: &str = "signature";

/// An external token that one row accepts.
pub struct Accepted {
    pub row: TrustedIssuer,
    pub token: ExternalToken,
    /// As the row reads it.
    pub subject: String,
    pub expires_at: i64,
}

/// Why a token is not accepted.
pub struct Objection {
    /// For the log.
    pub why: String,
    /// Nobody's slip: its signature is none of the issuer's.
    pub is_forged: bool,
}

impl Objection {
    fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), is_forged: false }
    }
}

/// Whether every check is made, or the first that fails ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thoroughness {
    /// To decide: nobody gets a key fetched or a signature checked who may not hand the token in.
    Decide,
    /// To explain: all that can be said.
    Explain,
}

impl Engine {
    /// The one row that accepts the token, or what every row objects to.
    pub(in crate::engine) async fn accept_external(
        &self,
        ctx: &Context,
        provider: &ProviderId,
        jwt: &SecretString,
        handed: HandedIn<'_>,
    ) -> Result<Result<Accepted, Objection>, Fault> {
        let token = match read_foreign(jwt.expose_secret()) {
            Ok(token) => token,
            Err(flaw) => return Ok(Err(Objection::new(flaw.to_string()))),
        };
        let rows = match self.rows_of_issuer(ctx, provider, &token.issuer, None).await? {
            Ok(rows) => rows,
            Err(why) => return Ok(Err(Objection::new(why))),
        };
        let mut accepted = Vec::new();
        let mut objections = Vec::new();
        let mut is_forged = false;
        let mut work = Work::default();
        for row in rows {
            let verdict = self.judge(ctx, row, (jwt, &token), handed, (Thoroughness::Decide, &mut work)).await?;
            note_checks(ctx, &verdict, &token);
            match verdict.objection() {
                None => accepted.push(verdict.row),
                Some(check) => {
                    is_forged |= check.name == SIGNATURE && check.outcome == Outcome::Failed;
                    objections.push(format!("{} {}: {}", verdict.row.id, check.name, check.detail));
                }
            }
        }
        let row = match (accepted.pop(), accepted.is_empty()) {
            (Some(row), true) => row,
            (Some(_), false) => return Ok(Err(Objection::new("ambiguous: more than one trusted issuer accepts it"))),
            (None, _) => return Ok(Err(Objection { why: objections.join("; "), is_forged })),
        };
        if !self.stands_as_read(ctx, &row).await? {
            return Ok(Err(Objection::new("the row was changed while the token was judged")));
        }
        let subject = rules::subject_of(&row.rules, &token).map(str::to_owned);
        Ok(match (subject, token.expires_at) {
            (Some(subject), Some(expires_at)) => Ok(Accepted { row, token, subject, expires_at }),
            _ => Err(Objection::new("it has no subject or no end")),
        })
    }

    /// Keys may have been fetched meanwhile, which takes seconds: a row that was ended or changed in
    /// them accepts nothing.
    async fn stands_as_read(&self, ctx: &Context, row: &TrustedIssuer) -> Result<bool, Fault> {
        let (provider, id) = (row.provider.clone(), row.id.clone());
        let read = move |conn: &mut _| trusted_issuers::get(conn, &provider, &id);
        let now_is = self.0.db.read(ctx.deadline, read).await?;
        Ok(now_is.is_some_and(|now_is| now_is.version == row.version && now_is.deleted_at.is_none()))
    }

    /// The rows of the issuer that a token is judged by, or the chosen one alone; none for our own, whatever
    /// stands in the table, and none for one that is not known: nothing is fetched for it.
    pub(in crate::engine) async fn rows_of_issuer(
        &self,
        ctx: &Context,
        provider: &ProviderId,
        issuer: &str,
        chosen: Option<TrustedIssuer>,
    ) -> Result<Result<Vec<TrustedIssuer>, &'static str>, Fault> {
        let unknown = match &chosen {
            Some(_) => "the token's iss is not this issuer",
            None => "no trusted issuer has this iss",
        };
        // PostgreSQL takes no NUL, and no issuer has one.
        if issuer.contains('\0') {
            return Ok(Err(unknown));
        }
        let (owner, wanted, is_chosen) = (provider.clone(), issuer.to_owned(), chosen.is_some());
        let read = move |conn: &mut _| {
            let rows = if is_chosen { Vec::new() } else { trusted_issuers::of_issuer(conn, &owner, &wanted)? };
            let is_ours = issuers::is_or_was_ours(conn, &wanted)?;
            Ok((rows, is_ours))
        };
        let (mut rows, is_ours) = self.0.db.read(ctx.deadline, read).await?;
        rows.extend(chosen.filter(|chosen| chosen.issuer == issuer));
        Ok(match (is_ours, rows.is_empty()) {
            (true, _) => Err("it is a token of this server: those are not exchanged"),
            (false, true) => Err(unknown),
            (false, false) => Ok(rows),
        })
    }

    /// All checks of one row, or those up to the first that fails. `work` is what is left for the token.
    pub(in crate::engine) async fn judge(
        &self,
        ctx: &Context,
        row: TrustedIssuer,
        (jwt, token): (&SecretString, &ExternalToken),
        handed: HandedIn<'_>,
        (how, work): (Thoroughness, &mut Work),
    ) -> Result<Verdict, Fault> {
        if monotonic() >= ctx.deadline {
            return Err(Fault::busy("judging an external token took too long"));
        }
        work.pause().await;
        let mut checks = rules::before_keys(&row, token, handed);
        let goes_on = |checks: &[Check]| {
            how == Thoroughness::Explain || checks.iter().all(|check| check.outcome == Outcome::Passed)
        };
        if goes_on(&checks) {
            checks.extend(self.signature(ctx, &row, (jwt, token), work).await);
        }
        if goes_on(&checks) {
            checks.extend(rules::claims(&row, token, handed, ctx.now.seconds()));
        }
        for condition in &row.rules.conditions {
            if !goes_on(&checks) {
                break;
            }
            work.pause().await;
            checks.push(rules::condition(condition, token, work));
        }
        if row.rules.require_jti && goes_on(&checks) {
            checks.push(self.unused(ctx, &row, token).await?);
        }
        Ok(Verdict { row, checks })
    }

    async fn signature(
        &self,
        ctx: &Context,
        row: &TrustedIssuer,
        (jwt, token): (&SecretString, &ExternalToken),
        work: &mut Work,
    ) -> [Check; 2] {
        let check = |name, outcome, detail: String| Check { name, outcome, detail };
        // What can never be signed with a published key does not make anybody fetch one.
        if !row.rules.algorithms.contains(&token.algorithm) {
            let why = || "the algorithm is not one of this row's".to_owned();
            return [check("keys", Outcome::Skipped, why()), check(SIGNATURE, Outcome::Failed, why())];
        }
        let keys = match self.issuer_keys(ctx, row, token).await {
            Ok(keys) => keys,
            Err(why) => {
                let skipped = check(SIGNATURE, Outcome::Skipped, "there are no keys to check it with".to_owned());
                return [check("keys", Outcome::Failed, why), skipped];
            }
        };
        let keys_passed = check("keys", Outcome::Passed, "the issuer's keys are known".to_owned());
        match work.verify(jwt.expose_secret(), &keys).await {
            Ok(()) => [keys_passed, check(SIGNATURE, Outcome::Passed, "a key of the issuer made it".to_owned())],
            // Keys that were exchanged a moment ago make nobody a forger, nor do more keys than are tried.
            Err(flaw @ (ForeignFlaw::UnknownKey | ForeignFlaw::TooManyKeys)) => {
                let skipped = check(SIGNATURE, Outcome::Skipped, "there is no key to check it with".to_owned());
                [check("keys", Outcome::Failed, flaw.to_string()), skipped]
            }
            Err(flaw) => [keys_passed, check(SIGNATURE, Outcome::Failed, flaw.to_string())],
        }
    }

    /// Whether the token's id has been spent; looked at only, to say so early.
    async fn unused(&self, ctx: &Context, row: &TrustedIssuer, token: &ExternalToken) -> Result<Check, Fault> {
        let Some(jti) = jti_of(token) else {
            let detail = "there is no jti to look for".to_owned();
            return Ok(Check { name: "replay", outcome: Outcome::Skipped, detail });
        };
        let (provider, owner, jti) = (row.provider.clone(), spender(row), jti.to_owned());
        let read = move |conn: &mut _| assertion_jtis::is_redeemed(conn, &provider, &owner, &jti);
        let (outcome, detail) = match self.0.db.read(ctx.deadline, read).await? {
            true => (Outcome::Failed, "the token was used before"),
            false => (Outcome::Passed, "the token was not used before"),
        };
        Ok(Check { name: "replay", outcome, detail: detail.to_owned() })
    }

    /// Uses the token up where the row asks for it: `true` for exactly one of all who hand it in. One
    /// guarded statement, after every other check.
    pub(in crate::engine) async fn spend_external(&self, ctx: &Context, accepted: &Accepted) -> Result<bool, Fault> {
        let TrustRules { require_jti, .. } = accepted.row.rules;
        let Some(jti) = jti_of(&accepted.token).filter(|_| require_jti) else { return Ok(!require_jti) };
        let (provider, owner, jti) = (accepted.row.provider.clone(), spender(&accepted.row), jti.to_owned());
        let keep_until = accepted.expires_at;
        self.0
            .db
            .write_one(ctx.deadline, move |conn| assertion_jtis::redeem(conn, &provider, &owner, &jti, keep_until))
            .await
    }
}

/// What a row said of the token, for `explain`. Of a condition its place, what it asks for, and of what kind
/// the claim is: never the claim.
fn note_checks(ctx: &Context, verdict: &Verdict, token: &ExternalToken) {
    let mut conditions = verdict.row.rules.conditions.iter().enumerate();
    for Check { name, outcome, detail } in &verdict.checks {
        // What is noted is looked through for secrets first: not for a step that is dropped.
        if ctx.trail.is_full() {
            return;
        }
        let mut values = facts![trusted_issuer: Fact::text(verdict.row.id.as_str()), detail: Fact::text(detail)];
        let rule = match (*name, conditions.len()) {
            ("condition", left) if left > 0 => {
                if let Some((at, condition)) = conditions.next() {
                    let claim = token.claims.get(&condition.claim);
                    values.extend(facts![
                        condition: Fact::Number(i64::try_from(at + 1).unwrap_or(i64::MAX)),
                        claim: Fact::text(&condition.claim),
                        operator: Fact::word(condition.operator.name()),
                        expected: Fact::list(condition.values.iter().map(String::as_str)),
                        actual: Fact::word(kind_of_claim(claim)),
                    ]);
                }
                Cow::Borrowed("trust.condition")
            }
            (name, _) => Cow::Owned(format!("trust.{name}")),
        };
        ctx.trail.step(Step { rule, outcome: *outcome, values });
    }
}

const fn kind_of_claim(claim: Option<&ClaimValue>) -> &'static str {
    match claim {
        None => "absent",
        Some(ClaimValue::Text(_)) => "another text",
        Some(ClaimValue::Plain(_)) => "a number or a boolean",
        Some(ClaimValue::List(_)) => "a list",
        Some(ClaimValue::Other) => "an object or null",
    }
}

/// Whose ids they are in the table of spent ones: the issuer's, whichever row reads them. A `client_id`
/// has no colon.
fn spender(row: &TrustedIssuer) -> ClientId {
    format!("issuer:{}", row.issuer).into()
}
