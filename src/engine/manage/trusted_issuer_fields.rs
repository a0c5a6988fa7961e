//! Judges the fields of a trusted issuer: what a new one starts from, and what a change makes of it.

use crate::crypto::ClientKeys;
use crate::crypto::client_keys::{ASSERTION_ALGS, assertion_alg};
use crate::domain::id::is_client_id;
use crate::domain::patch::Field;
use crate::domain::refusal::FieldError;
use crate::domain::trust::{Condition, IssuerKeys, MapTo, Operator, Provision, TrustPurpose, TrustRules, fingerprint};
use crate::domain::{AudienceSet, ClientId, IssuerId, ProviderId, Refusal, TrustedIssuer};
use crate::engine::manage::fields::{Checks, any, audience, one_of, scope, seconds};
use crate::engine::trust::rules::TOKEN_TYPES;
use crate::upstream::Fetcher;

const DAY: i64 = 86_400;
const MAX_ISSUER: usize = 2048;
/// `issuer` and `subject_claim` together, bytes: both stand in an index beside the subject.
const MAX_NAMED: usize = 2048;
const MAX_CLIENTS: usize = 200;
const MAX_CONDITIONS: usize = 20;
const MAX_VALUES: usize = 100;
const MAX_TEXT: usize = 255;
const MAX_FINGERPRINTS: usize = 5;
const ALGORITHMS: [&str; 3] = ["RS256", "ES256", "EdDSA"];

/// A trusted issuer to be made, or a change to one, as it came in.
#[derive(Clone, Debug, Default)]
pub struct TrustedIssuerDraft {
    pub issuer: Field<String>,
    /// JWK Set text.
    pub jwks: Field<String>,
    pub jwks_uri: Field<String>,
    pub purpose: Field<String>,
    pub clients: Field<Vec<String>>,
    pub audiences: Field<Vec<String>>,
    pub algorithms: Field<Vec<String>>,
    pub subject_claim: Field<String>,
    pub conditions: Field<Vec<ConditionDraft>>,
    pub token_types: Field<Vec<String>>,
    pub require_jti: Field<bool>,
    /// Seconds.
    pub max_age: Field<i64>,
    pub map_to: Field<String>,
    pub provision: Field<String>,
    pub link_by_verified_email: Field<bool>,
    pub allow_refresh: Field<bool>,
    pub scope: Field<String>,
    pub audience: Field<Vec<String>>,
    /// Seconds.
    pub max_ttl: Field<i64>,
    pub fingerprints: Field<Vec<String>>,
    pub enabled: Field<bool>,
    /// What could not even be read; told together with what is wrong otherwise.
    pub slips: Vec<FieldError>,
}

/// A condition as it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConditionDraft {
    pub claim: String,
    pub operator: String,
    pub value: ConditionValue,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConditionValue {
    One(String),
    Several(Vec<String>),
}

/// A trusted issuer with every default. Nobody may use it and no token has its audience: `issuer`
/// and `audiences` must be given.
pub fn blank(provider: ProviderId, id: IssuerId, now: i64) -> TrustedIssuer {
    TrustedIssuer {
        id,
        provider,
        tenant: None,
        issuer: String::new(),
        keys: IssuerKeys::Discovery,
        purpose: TrustPurpose::Exchange,
        rules: TrustRules {
            clients: Vec::new(),
            audiences: AudienceSet::default(),
            algorithms: ALGORITHMS.map(str::to_owned).to_vec(),
            subject_claim: "sub".to_owned(),
            conditions: Vec::new(),
            token_types: Vec::new(),
            require_jti: false,
            max_age: None,
            map_to: MapTo::User,
            provision: Provision::None,
            link_by_verified_email: false,
            allow_refresh: false,
            scope: None,
            audience: AudienceSet::default(),
            max_ttl: None,
            fingerprints: Vec::new(),
        },
        enabled: true,
        version: 1,
        created_at: now,
        updated_at: now,
        deleted_at: None,
    }
}

/// `current` with the draft applied, and the names of the fields that changed. `fetcher` says which
/// URLs may be called.
pub fn apply(
    draft: TrustedIssuerDraft,
    current: &TrustedIssuer,
    fetcher: &Fetcher,
) -> Result<(TrustedIssuer, Vec<&'static str>), Refusal> {
    let mut checks = Checks::after(draft.slips);
    let blank = blank(current.provider.clone(), current.id.clone(), current.created_at);
    let (before, default) = (&current.rules, blank.rules);
    let keys = keys(draft.jwks, draft.jwks_uri, &current.keys, fetcher, &mut checks);
    let rules = TrustRules {
        clients: checks.apply("clients", draft.clients, (&before.clients, default.clients), clients),
        audiences: checks.apply("audiences", draft.audiences, (&before.audiences, default.audiences), audience),
        algorithms: checks.apply("algorithms", draft.algorithms, (&before.algorithms, default.algorithms), algorithms),
        subject_claim: checks.apply(
            "subject_claim",
            draft.subject_claim,
            (&before.subject_claim, default.subject_claim),
            claim_name,
        ),
        conditions: conditions(draft.conditions, &before.conditions, &mut checks),
        token_types: checks.apply(
            "token_types",
            draft.token_types,
            (&before.token_types, default.token_types),
            token_types,
        ),
        require_jti: checks.apply("require_jti", draft.require_jti, (&before.require_jti, false), any),
        max_age: checks.optional("max_age", draft.max_age, &before.max_age, seconds(1, 3650 * DAY)),
        map_to: checks.apply(
            "map_to",
            draft.map_to,
            (&before.map_to, default.map_to),
            one_of(MapTo::from_name, "user, client"),
        ),
        provision: checks.apply(
            "provision",
            draft.provision,
            (&before.provision, default.provision),
            one_of(Provision::from_name, "none, jit"),
        ),
        link_by_verified_email: checks.apply(
            "link_by_verified_email",
            draft.link_by_verified_email,
            (&before.link_by_verified_email, false),
            any,
        ),
        allow_refresh: checks.apply("allow_refresh", draft.allow_refresh, (&before.allow_refresh, false), any),
        scope: checks.optional("scope", draft.scope, &before.scope, scope),
        audience: checks.apply("audience", draft.audience, (&before.audience, default.audience), audience),
        max_ttl: checks.optional("max_ttl", draft.max_ttl, &before.max_ttl, seconds(1, 3650 * DAY)),
        fingerprints: checks.apply(
            "fingerprints",
            draft.fingerprints,
            (&before.fingerprints, default.fingerprints),
            fingerprints,
        ),
    };
    let changed = TrustedIssuer {
        issuer: checks.apply("issuer", draft.issuer, (&current.issuer, blank.issuer), issuer),
        keys,
        purpose: checks.apply(
            "purpose",
            draft.purpose,
            (&current.purpose, blank.purpose),
            one_of(TrustPurpose::from_name, "exchange, validate"),
        ),
        rules,
        enabled: checks.apply("enabled", draft.enabled, (&current.enabled, true), any),
        ..current.clone()
    };
    check_together(&changed, fetcher, &mut checks);
    let fields = checks.finish()?;
    Ok((changed, fields))
}

/// What must fit together whatever was changed.
fn check_together(issuer: &TrustedIssuer, fetcher: &Fetcher, checks: &mut Checks) {
    if issuer.issuer.is_empty() {
        checks.refuse("issuer", "is needed: the iss of its tokens, byte for byte");
    } else if issuer.keys == IssuerKeys::Discovery
        && let Err(flaw) = fetcher.accepts(&issuer.issuer)
    {
        checks.refuse("issuer", format!("as the place of its metadata, {flaw}; or give jwks or jwks_uri"));
    }
    if issuer.issuer.len() + issuer.rules.subject_claim.len() > MAX_NAMED && issuer.rules.map_to == MapTo::User {
        checks.refuse("subject_claim", "and issuer must be at most 2048 bytes together. Shorten one of them");
    }
    if !issuer.rules.fingerprints.is_empty() {
        match &issuer.keys {
            IssuerKeys::Pasted(_) => {
                checks.refuse("fingerprints", "are for keys that are fetched: with jwks no server is asked");
            }
            IssuerKeys::Url(url) => refuse_plain("jwks_uri", url, checks),
            IssuerKeys::Discovery => refuse_plain("issuer", &issuer.issuer, checks),
        }
    }
    if issuer.rules.audiences.is_empty() {
        checks.refuse("audiences", "must name at least one aud that its tokens must have");
    }
    if issuer.tenant.is_some() && issuer.purpose != TrustPurpose::Validate {
        checks.refuse("purpose", "must be validate for an issuer of a tenant");
    }
    let to_client = issuer.rules.map_to == MapTo::Client;
    if to_client && issuer.rules.provision != Provision::None {
        checks.refuse("provision", "must be none with map_to client: clients are not made by tokens");
    }
    if to_client && issuer.rules.link_by_verified_email {
        checks.refuse("link_by_verified_email", "is for map_to user");
    }
    if to_client && issuer.rules.allow_refresh {
        checks.refuse("allow_refresh", "is for map_to user: a client's own token has no refresh token");
    }
}

/// A server without TLS shows no certificate.
fn refuse_plain(name: &str, url: &str, checks: &mut Checks) {
    if !url.starts_with("https://") {
        checks.refuse(name, "must be https, since a certificate is asked for");
    }
}

/// At most one of both; none: by discovery.
fn keys(
    jwks: Field<String>,
    jwks_uri: Field<String>,
    current: &IssuerKeys,
    fetcher: &Fetcher,
    checks: &mut Checks,
) -> IssuerKeys {
    let (pasted, url) = match current {
        IssuerKeys::Pasted(jwks) => (Some(jwks.clone()), None),
        IssuerKeys::Url(url) => (None, Some(url.clone())),
        IssuerKeys::Discovery => (None, None),
    };
    let read_jwks = |text: String| match ClientKeys::parse_published(text.as_bytes()) {
        Ok(_) if text.len() <= MAX_JWKS => Ok(text),
        Ok(_) => Err("a JWK Set that is pasted holds at most 64 KiB".to_owned()),
        Err(flaw) => Err(flaw.to_string()),
    };
    let pasted = checks.optional("jwks", jwks, &pasted, read_jwks);
    let url = checks.optional("jwks_uri", jwks_uri, &url, |url| fetcher.accepts(&url).map(|()| url));
    match (pasted, url) {
        (Some(jwks), None) => IssuerKeys::Pasted(jwks),
        (None, Some(url)) => IssuerKeys::Url(url),
        (None, None) => IssuerKeys::Discovery,
        (Some(_), Some(_)) => {
            checks.refuse("jwks_uri", "cannot stand beside jwks: set the other to null");
            current.clone()
        }
    }
}

const MAX_JWKS: usize = 64 * 1024;

fn issuer(text: String) -> Result<String, &'static str> {
    let fits = (1..=MAX_ISSUER).contains(&text.len()) && text.chars().all(|c| !c.is_control() && !c.is_whitespace());
    if fits { Ok(text) } else { Err("must be 1 to 2048 characters without spaces or control characters") }
}

fn clients(ids: Vec<String>) -> Result<Vec<ClientId>, &'static str> {
    if ids.len() > MAX_CLIENTS || !ids.iter().all(|id| is_client_id(id)) {
        return Err("must be at most 200 client_ids");
    }
    Ok(ids.into_iter().map(ClientId::from).collect())
}

/// Asymmetric ones only: never `none`, never a shared secret.
fn algorithms(names: Vec<String>) -> Result<Vec<String>, &'static str> {
    let fits = (1..=ASSERTION_ALGS.len()).contains(&names.len());
    if !fits || !names.iter().all(|name| assertion_alg(name).is_some()) {
        return Err("must be at least one of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA");
    }
    Ok(names)
}

fn fingerprints(texts: Vec<String>) -> Result<Vec<String>, &'static str> {
    if texts.len() <= MAX_FINGERPRINTS && texts.iter().all(|text| fingerprint(text).is_some()) {
        return Ok(texts);
    }
    Err("must be at most 5 SHA-1 or SHA-256 digests of certificates in hexadecimal")
}

fn token_types(types: Vec<String>) -> Result<Vec<String>, String> {
    if types.len() <= TOKEN_TYPES.len() && types.iter().all(|kind| TOKEN_TYPES.contains(&kind.as_str())) {
        return Ok(types);
    }
    Err(format!("must be of {}", TOKEN_TYPES.join(", ")))
}

fn claim_name(text: String) -> Result<String, &'static str> {
    let fits = (1..=MAX_TEXT).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if fits { Ok(text) } else { Err("must be the name of a claim, 1 to 255 characters") }
}

/// Each wrong one is named by its place.
pub(in crate::engine::manage) fn conditions(
    drafts: Field<Vec<ConditionDraft>>,
    current: &Vec<Condition>,
    checks: &mut Checks,
) -> Vec<Condition> {
    let drafts = match drafts {
        Field::Set(drafts) => drafts,
        Field::Keep => return current.clone(),
        Field::Reset => Vec::new(),
    };
    if drafts.len() > MAX_CONDITIONS {
        checks.refuse("conditions", "must be at most 20");
        return current.clone();
    }
    let mut read = Vec::with_capacity(drafts.len());
    for (at, draft) in drafts.into_iter().enumerate() {
        match condition(draft) {
            Ok(condition) => read.push(condition),
            Err((member, why)) => checks.refuse(&format!("conditions/{at}/{member}"), why),
        }
    }
    // Through the usual way, so that a change is noted as one.
    checks.apply("conditions", Field::Set(read), (current, Vec::new()), any)
}

fn condition(draft: ConditionDraft) -> Result<Condition, (&'static str, String)> {
    let ConditionDraft { claim, operator, value } = draft;
    let claim = claim_name(claim).map_err(|why| ("claim", why.to_owned()))?;
    let operators = "equals, like, not_equals, not_like, in";
    let operator = one_of(Operator::from_name, operators)(operator).map_err(|why| ("operator", why))?;
    let values = match (operator, value) {
        (Operator::In, ConditionValue::Several(values)) if (1..=MAX_VALUES).contains(&values.len()) => values,
        (Operator::In, _) => return Err(("value", "must be a list of 1 to 100 values for in".to_owned())),
        (_, ConditionValue::One(value)) => vec![value],
        (_, ConditionValue::Several(_)) => return Err(("value", "must be one value; a list is for in".to_owned())),
    };
    let fits = |value: &String| value.chars().count() <= MAX_TEXT && !value.chars().any(char::is_control);
    if values.iter().all(fits) {
        return Ok(Condition { claim, operator, values });
    }
    Err(("value", "must be at most 255 characters without control characters".to_owned()))
}
