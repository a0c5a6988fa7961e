//! `/providers/{provider}/trusted-issuers`.

use actix_web::{HttpRequest, HttpResponse, web};
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Serialize;
use serde_json::{Value, json};

use crate::admin::fields::fields;
use crate::admin::input::{Fields, FromJson, JsonText};
use crate::admin::list::{Kind, ListSpec};
use crate::admin::wire::{list as texts, time, value};
use crate::admin::{call, created, list as listing, shown, version};
use crate::domain::external::{Check, Verdict};
use crate::domain::page::TrustedIssuerFilter;
use crate::domain::patch::Field;
use crate::domain::trust::{Condition, IssuerKeys, Operator, TrustRules};
use crate::domain::{Failed, Refusal, TrustedIssuer};
use crate::edge::OperationDoc;
use crate::edge::Received;
use crate::edge::describe::JSON;
use crate::edge::describe::WireTime;
use crate::engine::Engine;
use crate::engine::manage::Actor;
use crate::engine::manage::trusted_issuer_fields::{ConditionDraft, ConditionValue, TrustedIssuerDraft};
use crate::engine::manage::trusted_issuers::{Trial, TrialDraft};
use crate::engine::trust::rules::TOKEN_TYPES;

fields! {
    /// An issuer whose tokens are exchanged for ours, or only validated.
    TrustedIssuerFields => TrustedIssuerDraft named "TrustedIssuer" required [issuer, audiences] at_creation [] {
        /// `iss` of its tokens, byte for byte. Never one of ours. At most 20 trusted issuers of a provider have the
        /// same.
        issuer: String { "minLength": 1, "maxLength": 2048 },
        /// Its public keys; without these and without `jwks_uri` they are found by its metadata.
        jwks: JsonText => |JsonText(text)| text,
        /// Where they are found. Not beside `jwks`.
        jwks_uri: String { "format": "uri", "maxLength": 2048 },
        purpose: String { "enum": ["exchange", "validate"] },
        /// `client_id`s that may exchange its tokens; none listed: nobody.
        clients: Vec<String> { "items": { "type": "string", "minLength": 1, "maxLength": 64 }, "maxItems": 200 },
        /// One of these must stand in `aud`.
        audiences: Vec<String> { "items": { "type": "string", "minLength": 1 }, "minItems": 1, "maxItems": 50 },
        algorithms: Vec<String> {
            "items": {
                "type": "string",
                "enum": ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"]
            },
            "minItems": 1, "maxItems": 9
        },
        /// By default sub. With `issuer` at most 2048 bytes where a token stands for a user.
        subject_claim: String { "minLength": 1, "maxLength": 255 },
        /// All must be true. On a claim that is absent each is false, and so is one that takes too much work.
        conditions: Vec<ConditionDraft> { "maxItems": 20 },
        /// `subject_token_type` values that it takes; none listed: all.
        token_types: Vec<String> { "items": { "type": "string", "enum": TOKEN_TYPES }, "maxItems": 3 },
        /// Whether a token must have a `jti`, which then passes once.
        require_jti: bool,
        /// Seconds since `iat`.
        max_age: i64 { "minimum": 1, "maximum": 315_360_000 },
        map_to: String { "enum": ["user", "client"] },
        /// jit: an unknown subject becomes a user.
        provision: String { "enum": ["none", "jit"] },
        link_by_verified_email: bool,
        /// Whether an exchange gives a refresh token, too.
        allow_refresh: bool,
        /// The most that a token of ours gets; null: what the client has.
        scope: String { "maxLength": 4096 },
        audience: Vec<String> { "items": { "type": "string", "minLength": 1 }, "maxItems": 50 },
        /// Seconds.
        max_ttl: i64 { "minimum": 1, "maximum": 315_360_000 },
        /// SHA-1 or SHA-256 of a certificate that the server of its keys must prove itself by.
        fingerprints: Vec<String> { "items": { "type": "string", "pattern": "^[0-9A-Fa-f:]+$" }, "maxItems": 5 },
        enabled: bool,
    }
}

fields! {
    /// A token to be judged. Nothing comes of it.
    struct TokenTrial required [token] {
        token: SecretString,
        /// Who would exchange it.
        client_id: String,
        token_type: String,
    }
}

impl FromJson for Vec<ConditionDraft> {
    const KIND: &'static str =
        "a list of objects with claim, operator and value (text, a number, a boolean; a list for in)";

    fn schema() -> Value {
        let one = json!({"type": ["string", "number", "boolean"]});
        let value = json!({"anyOf": [one, {"type": "array", "items": one}]});
        let condition = json!({
            "type": "object",
            "properties": {
                "claim": {"type": "string"},
                "operator": {"type": "string", "enum": ["equals", "like", "not_equals", "not_like", "in"]},
                "value": value,
            },
            "required": ["claim", "operator", "value"],
            "additionalProperties": false,
        });
        json!({"type": "array", "items": condition})
    }

    fn from_json(value: Value) -> Option<Self> {
        let Value::Array(items) = value else { return None };
        items.into_iter().map(condition_draft).collect()
    }
}

/// Exactly these three members.
fn condition_draft(item: Value) -> Option<ConditionDraft> {
    let Value::Object(mut members) = item else { return None };
    let (claim, operator, value) = (members.remove("claim")?, members.remove("operator")?, members.remove("value")?);
    let value = match value {
        Value::Array(items) => ConditionValue::Several(items.into_iter().map(compared).collect::<Option<_>>()?),
        one => ConditionValue::One(compared(one)?),
    };
    let draft = ConditionDraft { claim: String::from_json(claim)?, operator: String::from_json(operator)?, value };
    members.is_empty().then_some(draft)
}

/// As the claim is compared: a number or a boolean as JSON spells it.
fn compared(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A trusted issuer.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "TrustedIssuer")]
pub struct TrustedIssuerOut {
    id: String,
    issuer: String,
    jwks: Option<Value>,
    jwks_uri: Option<String>,
    purpose: &'static str,
    clients: Vec<String>,
    audiences: Vec<String>,
    algorithms: Vec<String>,
    subject_claim: String,
    conditions: Vec<ConditionOut>,
    token_types: Vec<String>,
    require_jti: bool,
    max_age: Option<i64>,
    map_to: &'static str,
    provision: &'static str,
    link_by_verified_email: bool,
    allow_refresh: bool,
    scope: Option<String>,
    audience: Vec<String>,
    max_ttl: Option<i64>,
    fingerprints: Vec<String>,
    enabled: bool,
    /// The tenant that it is of, where a surface's own call has made it; absent for every other.
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    #[schemars(with = "WireTime")]
    created_at: String,
    #[schemars(with = "WireTime")]
    updated_at: String,
}

/// A condition on a claim.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Condition")]
struct ConditionOut {
    claim: String,
    operator: &'static str,
    /// Text; a list for `in`.
    value: Value,
}

impl From<Condition> for ConditionOut {
    fn from(condition: Condition) -> Self {
        let Condition { claim, operator, mut values } = condition;
        let value = match operator {
            Operator::In => json!(values),
            _ => json!(values.pop().unwrap_or_default()),
        };
        Self { claim, operator: operator.name(), value }
    }
}

impl From<TrustedIssuer> for TrustedIssuerOut {
    fn from(issuer: TrustedIssuer) -> Self {
        let TrustedIssuer {
            id,
            provider: _,
            tenant,
            issuer,
            keys,
            purpose,
            rules,
            enabled,
            version: _,
            created_at,
            updated_at,
            deleted_at: _,
        } = issuer;
        let TrustRules {
            clients,
            audiences,
            algorithms,
            subject_claim,
            conditions,
            token_types,
            require_jti,
            max_age,
            map_to,
            provision,
            link_by_verified_email,
            allow_refresh,
            scope,
            audience,
            max_ttl,
            fingerprints,
        } = rules;
        let (jwks, jwks_uri) = match keys {
            IssuerKeys::Pasted(jwks) => (serde_json::from_str(&jwks).ok(), None),
            IssuerKeys::Url(url) => (None, Some(url)),
            IssuerKeys::Discovery => (None, None),
        };
        Self {
            id: id.to_string(),
            issuer,
            jwks,
            jwks_uri,
            purpose: purpose.name(),
            clients: clients.iter().map(ToString::to_string).collect(),
            audiences: texts(&audiences),
            algorithms,
            subject_claim,
            conditions: conditions.into_iter().map(ConditionOut::from).collect(),
            token_types,
            require_jti,
            max_age,
            map_to: map_to.name(),
            provision: provision.name(),
            link_by_verified_email,
            allow_refresh,
            scope: scope.map(|scope| scope.as_str().to_owned()),
            audience: texts(&audience),
            max_ttl,
            fingerprints,
            enabled,
            tenant: tenant.map(|tenant| tenant.to_string()),
            created_at: time(created_at),
            updated_at: time(updated_at),
        }
    }
}

/// What the rows of an issuer think of a token.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "TokenVerdict")]
pub struct TrialOut {
    accepted: bool,
    reason: String,
    /// The `iss` that the token claims.
    issuer: Option<String>,
    rows: Vec<VerdictOut>,
}

/// What one row thinks of it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RowVerdict")]
struct VerdictOut {
    id: String,
    accepted: bool,
    checks: Vec<CheckOut>,
}

/// One check, in the order in which they are made.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Check")]
struct CheckOut {
    name: &'static str,
    /// passed, failed, skipped
    outcome: &'static str,
    detail: String,
}

impl From<Trial> for TrialOut {
    fn from(trial: Trial) -> Self {
        let Trial { accepted, reason, issuer, verdicts } = trial;
        let verdict = |verdict: Verdict| {
            let accepted = verdict.is_accepted();
            let Verdict { row, checks } = verdict;
            let check = |Check { name, outcome, detail }| CheckOut { name, outcome: outcome.name(), detail };
            VerdictOut { id: row.id.to_string(), accepted, checks: checks.into_iter().map(check).collect() }
        };
        Self { accepted, reason, issuer, rows: verdicts.into_iter().map(verdict).collect() }
    }
}

pub const LIST: ListSpec = ListSpec {
    filters: &[
        ("enabled", Kind::Flag, "Only rows that are enabled, or that are not."),
        ("issuer", Kind::Text, "Only rows of this issuer, byte for byte."),
    ],
    sorts: &["created_at"],
    id: Kind::Id,
};

pub async fn list(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let request = listing::asked(received, &LIST, |filters| {
            Ok(TrustedIssuerFilter { enabled: filters.flag("enabled")?, issuer: filters.text("issuer")? })
        })?;
        let read =
            async |request| engine.find_trusted_issuers(&received.ctx, actor, received.path("provider"), request).await;
        listing::found(received, request, read, |issuer| value(TrustedIssuerOut::from(issuer))).await
    })
    .await
}

pub async fn create(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let mut fields = Fields::of(received, false)?;
        let draft = TrustedIssuerFields::draft(&mut fields);
        let issuer = engine.create_trusted_issuer(&received.ctx, actor, received.path("provider"), draft).await?;
        let (id, version) = (issuer.id.clone(), issuer.version);
        Ok(created(received, id.as_str(), Some(version), &TrustedIssuerOut::from(issuer)))
    })
    .await
}

pub async fn read(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let (provider, id) = (received.path("provider"), received.path("issuer_id"));
        let issuer = engine.read_trusted_issuer(&received.ctx, actor, provider, id).await?;
        Ok(shown(issuer.version, &TrustedIssuerOut::from(issuer)))
    })
    .await
}

pub async fn update(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let expected = version::expected(received.request.headers())?;
        let mut fields = Fields::of(received, false)?;
        let change = TrustedIssuerFields::draft(&mut fields);
        let (provider, id) = (received.path("provider"), received.path("issuer_id"));
        let issuer = engine.update_trusted_issuer(&received.ctx, actor, provider, id, change, expected).await?;
        Ok(shown(issuer.version, &TrustedIssuerOut::from(issuer)))
    })
    .await
}

pub async fn delete(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let expected = version::expected(received.request.headers())?;
        let (provider, id) = (received.path("provider"), received.path("issuer_id"));
        engine.delete_trusted_issuer(&received.ctx, actor, provider, id, expected).await?;
        Ok(HttpResponse::NoContent().finish())
    })
    .await
}

pub async fn try_one(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        trial(received, engine, actor, Some(received.path("issuer_id"))).await
    })
    .await
}

pub async fn try_all(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| trial(received, engine, actor, None).await).await
}

pub fn describe_trial(doc: &mut OperationDoc<'_>) {
    doc.takes::<TokenTrial>(&[JSON], true);
    doc.answers::<TrialOut>(200, "Every check of every row, in order. Nothing comes of it.");
}

async fn trial(received: &Received, engine: &Engine, actor: &Actor, id: Option<&str>) -> Result<HttpResponse, Failed> {
    let TokenTrial { token, client_id, token_type } = TokenTrial::read(Fields::of(received, false)?)?;
    let Field::Set(token) = token else { return Err(Refusal::invalid_field("/token", "is needed").into()) };
    let draft = TrialDraft { token, client_id: given(client_id), token_type: given(token_type) };
    let trial = engine.try_trusted_issuer(&received.ctx, actor, received.path("provider"), id, draft).await?;
    Ok(HttpResponse::Ok().json(TrialOut::from(trial)))
}

fn given<T>(field: Field<T>) -> Option<T> {
    if let Field::Set(value) = field { Some(value) } else { None }
}
