//! The checks of a token of another issuer against one row, in their order. Plain functions: the
//! keys are fetched between the ones that need none and the others.

use crate::domain::external::{Check, ExternalToken, MayAct, Named, Outcome};
use crate::domain::trust::{Condition, MapTo, TrustPurpose, TrustRules};
use crate::domain::{AudienceSet, ClientId, TrustedIssuer};
use crate::engine::cache::providers::ProviderEntry;
use crate::engine::trust::conditions;
use crate::engine::trust::work::Work;

/// Clocks that differ a little are forgiven for `nbf` and `iat`, seconds. `exp` is not stretched.
const SKEW: i64 = 10;
/// A token that works once may not live longer: bounds the table of their ids, seconds.
const LONGEST_ONCE: i64 = 24 * 3600;
const MAX_JTI: usize = 256;
const MAX_SUBJECT: usize = 255;
/// Issuer, claim and subject of a link together, bytes: PostgreSQL keeps at most 2,704 in a row of an index.
const MAX_LINK: usize = 2560;

/// RFC 8693 §3: the token types that an external token may be called.
pub const TOKEN_TYPES: [&str; 3] = [
    "urn:ietf:params:oauth:token-type:jwt",
    "urn:ietf:params:oauth:token-type:access_token",
    "urn:ietf:params:oauth:token-type:id_token",
];

/// By whom and as what a token is handed in. `None`: a dry run does not say.
#[derive(Clone, Copy, Default)]
pub struct HandedIn<'a> {
    /// Whose client that is: a `may_act` with `iss` must name one of its issuers.
    pub provider: Option<&'a ProviderEntry>,
    pub client: Option<&'a ClientId>,
    /// `sub` of that client's own tokens.
    pub client_subject: Option<&'a str>,
    /// A token type URI.
    pub token_type: Option<&'a str>,
    /// What it is handed in for.
    pub purpose: TrustPurpose,
}

fn check(name: &'static str, passed: bool, detail: impl Into<String>) -> Check {
    Check { name, outcome: if passed { Outcome::Passed } else { Outcome::Failed }, detail: detail.into() }
}

/// What can be said without a key: whether the row is for this caller and this kind of token.
pub fn before_keys(row: &TrustedIssuer, token: &ExternalToken, handed: HandedIn<'_>) -> Vec<Check> {
    let TrustedIssuer { rules, purpose, enabled, .. } = row;
    let mut checks = vec![
        check("enabled", *enabled, if *enabled { "the row is enabled" } else { "the row is disabled" }),
        match purpose {
            TrustPurpose::Exchange => {
                check("purpose", handed.purpose == *purpose, "tokens of this issuer may be exchanged")
            }
            TrustPurpose::Validate => {
                check("purpose", handed.purpose == *purpose, "tokens of this issuer are only validated")
            }
        },
    ];
    if let Some(client) = handed.client {
        let listed = rules.clients.contains(client);
        let detail = if listed { "the client stands in clients" } else { "the client does not stand in clients" };
        checks.push(check("client", listed, detail));
    }
    if let Some(kind) = handed.token_type {
        let listed = rules.token_types.is_empty() || rules.token_types.iter().any(|own| own == kind);
        let detail = if listed { "this token type is taken" } else { "this token type does not stand in token_types" };
        checks.push(check("token_type", listed, detail));
    }
    let listed = rules.algorithms.contains(&token.algorithm);
    let detail =
        if listed { "the algorithm stands in algorithms" } else { "the algorithm does not stand in algorithms" };
    checks.push(check("algorithm", listed, detail));
    let detail =
        if token.has_critical { "the header has crit: no extension is known" } else { "the header has no crit" };
    checks.push(check("critical", !token.has_critical, detail));
    checks.push(kind(token));
    checks
}

/// A token made for something else is not taken for one that speaks for its subject (RFC 8725 §3.11):
/// logout tokens and proofs have a `typ` or `events` of their own, and one that is bound to a key
/// (`cnf`) would have to be proven.
fn kind(token: &ExternalToken) -> Check {
    let typ = token.typ.as_deref().unwrap_or("jwt").to_ascii_lowercase();
    let is_known = matches!(typ.strip_prefix("application/").unwrap_or(&typ), "jwt" | "at+jwt");
    let detail = if !is_known {
        "the header's typ is that of another kind of token"
    } else if token.claims.contains_key("events") {
        "it tells of events: it is no token that speaks for its subject"
    } else if token.claims.contains_key("cnf") {
        "it is bound to a key by cnf, which cannot be proven here"
    } else {
        return check("kind", true, "it is a token that speaks for its subject");
    };
    check("kind", false, detail)
}

/// What the claims say, whoever signed them, without the conditions.
pub fn claims(row: &TrustedIssuer, token: &ExternalToken, handed: HandedIn<'_>, now: i64) -> Vec<Check> {
    let rules = &row.rules;
    let mut checks = vec![
        audience(rules, token),
        expiry(token, now),
        issued_at(rules, token, now),
        not_before(token, now),
        subject(row, token),
    ];
    if let Some(may_act) = &token.may_act
        && let Some(client) = handed.client
    {
        checks.push(actor(may_act, client, handed));
    }
    if rules.require_jti {
        checks.push(jti(token, now));
    }
    checks
}

/// One condition.
pub fn condition(condition: &Condition, token: &ExternalToken, work: &mut Work) -> Check {
    let (holds, why) = conditions::judge(condition, token.claims.get(&condition.claim), work);
    check("condition", holds, format!("{} {}: {why}", condition.claim, condition.operator.name()))
}

fn audience(rules: &TrustRules, token: &ExternalToken) -> Check {
    audience_among(&rules.audiences, token)
}

/// Whether the token is for one of these.
pub fn audience_among(audiences: &AudienceSet, token: &ExternalToken) -> Check {
    let fits = audiences.iter().any(|value| token.audience.contains(value));
    let detail = match (token.audience.is_empty(), fits) {
        (true, _) => "aud is missing",
        (false, true) => "aud has one of audiences",
        (false, false) => "aud has none of audiences",
    };
    check("audience", fits, detail)
}

fn expiry(token: &ExternalToken, now: i64) -> Check {
    match token.expires_at {
        None => check("expiry", false, "exp is missing"),
        Some(at) if at <= now => check("expiry", false, format!("expired {} s ago", now.saturating_sub(at))),
        Some(at) => check("expiry", true, format!("expires in {} s", at.saturating_sub(now))),
    }
}

fn issued_at(rules: &TrustRules, token: &ExternalToken, now: i64) -> Check {
    match (token.issued_at, rules.max_age) {
        (None, _) => check("issued_at", false, "iat is missing"),
        (Some(at), _) if at > now + SKEW => check("issued_at", false, "iat lies in the future"),
        (Some(at), Some(age)) if at < now.saturating_sub(age) => {
            check("issued_at", false, format!("issued {} s ago: more than max_age", now.saturating_sub(at)))
        }
        (Some(at), _) => check("issued_at", true, format!("issued {} s ago", now.saturating_sub(at).max(0))),
    }
}

fn not_before(token: &ExternalToken, now: i64) -> Check {
    match token.not_before {
        Some(at) if at > now + SKEW => check("not_before", false, "nbf lies in the future"),
        Some(_) => check("not_before", true, "nbf is past"),
        None => check("not_before", true, "there is no nbf"),
    }
}

fn subject(row: &TrustedIssuer, token: &ExternalToken) -> Check {
    let rules = &row.rules;
    if token.text("sub").is_none() {
        return check("subject", false, "sub is missing, or not text");
    }
    let claim = &rules.subject_claim;
    match (token.claims.get(claim), subject_of(rules, token)) {
        (_, Some(subject)) if rules.map_to == MapTo::User && !can_be_linked(row, subject) => check(
            "subject",
            false,
            format!(
                "issuer, claim name and {claim} are longer than {MAX_LINK} bytes together, the most that a link keeps"
            ),
        ),
        (_, Some(_)) => check("subject", true, format!("{claim} names the subject")),
        (None, None) => check("subject", false, format!("{claim} is missing")),
        (Some(_), None) => {
            check("subject", false, format!("{claim} is not text of 1 to 255 characters without control characters"))
        }
    }
}

/// Whether the link of this subject to an account fits into an index of both databases.
fn can_be_linked(row: &TrustedIssuer, subject: &str) -> bool {
    row.issuer.len() + row.rules.subject_claim.len() + subject.len() <= MAX_LINK
}

/// The subject that the row reads from the token.
pub fn subject_of<'a>(rules: &TrustRules, token: &'a ExternalToken) -> Option<&'a str> {
    let text = token.text(&rules.subject_claim)?;
    let fits = text.chars().count() <= MAX_SUBJECT && !text.chars().any(char::is_control);
    // `sub` must be there in any case (RFC 7523 §3).
    (fits && token.text("sub").is_some()).then_some(text)
}

/// RFC 8693 §4.4: a token that names who may act for its subject is for that party alone. All that it says of
/// the party must be true of the client; with `iss` the names are those of one of our issuers.
fn actor(may_act: &MayAct, client: &ClientId, handed: HandedIn<'_>) -> Check {
    let MayAct { issuer, subject, client_id } = may_act;
    let is_client = |name: &str| name == client.as_str();
    let fits = |named: &Named, is: &dyn Fn(&str) -> bool| match named {
        Named::Absent => true,
        Named::Text(name) => is(name),
        Named::Unreadable => false,
    };
    let is_ours = fits(issuer, &|issuer| handed.provider.is_some_and(|provider| provider.answers_to(issuer)));
    let is_named = fits(subject, &|name| is_client(name) || handed.client_subject == Some(name))
        && fits(client_id, &is_client)
        && (subject, client_id) != (&Named::Absent, &Named::Absent);
    let detail = match (is_ours, is_named) {
        (true, true) => "may_act names the client",
        (false, _) => "may_act.iss is no issuer of this provider",
        (true, false) => "may_act names another party than the client",
    };
    check("may_act", is_ours && is_named, detail)
}

fn jti(token: &ExternalToken, now: i64) -> Check {
    let readable = jti_of(token).is_some();
    let far = token.expires_at.is_some_and(|at| at > now.saturating_add(LONGEST_ONCE));
    let detail = match (readable, far) {
        (false, _) => "jti is missing, or not text of at most 256 characters",
        (true, true) => "exp lies more than 24 hours ahead, which a token with a jti that works once may not",
        (true, false) => "there is a jti",
    };
    check("jti", readable && !far, detail)
}

/// The id by which a token is spent.
pub fn jti_of(token: &ExternalToken) -> Option<&str> {
    token.text("jti").filter(|jti| jti.len() <= MAX_JTI && !jti.contains('\0'))
}
