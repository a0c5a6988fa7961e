//! The wire of RFC 6749 itself: what the standard endpoints and every dialect that is RFC 6749 on
//! another path have in common. The only place outside `oauth2` that looks at a refusal's kind.

use std::borrow::Cow;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, HttpResponseBuilder};
use schemars::JsonSchema;
use secrecy::ExposeSecret;
use serde::Serialize;

use crate::domain::client::GrantType;
use crate::domain::grant::{Ask, ExternalForm, Grant, GrantRequest, Granted, PresentedClient, ProviderRef};
use crate::domain::{Context, Fault, Refusal, RefusalKind, ScopeSet};
use crate::edge::form::Form;
use crate::edge::{Call, Failure, credentials};

/// RFC 8693 §3.
const ACCESS_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT_TYPE: &str = "urn:ietf:params:oauth:token-type:jwt";
const REQUESTABLE: [&str; 2] = [ACCESS_TOKEN_TYPE, JWT_TYPE];

/// RFC 6749 §5.1.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OAuthToken")]
pub struct TokenAnswer<'a> {
    access_token: &'a str,
    token_type: &'static str,
    expires_in: i64,
    #[serde(skip_serializing_if = "str::is_empty")]
    scope: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    /// RFC 8693 §2.2.1.
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_token_type: Option<&'static str>,
    /// Of a minted token: good for one use.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    one_time: bool,
}

/// RFC 6749 §5.2.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OAuthError")]
pub struct ErrorAnswer<'a> {
    error: &'a str,
    error_description: Cow<'a, str>,
}

/// What a token endpoint may have of its own.
#[derive(Clone, Copy, Debug, Default)]
pub struct Habits {
    /// The client of a password grant that names none.
    pub password_client: Option<&'static str>,
}

/// Reads a token request (RFC 6749 §3.2).
pub fn token_request(call: &Call<'_>, provider: ProviderRef, habits: Habits) -> Result<GrantRequest, Refusal> {
    let form = Form::of(call)?;
    refuse_unsupported_restrictions(call, &form)?;
    let grant = grant(&form)?;
    let client = match (&grant, habits.password_client) {
        (Grant::Password { .. }, Some(client_id)) if credentials::names_nobody(call.headers, &form) => {
            PresentedClient::Bare { client_id: client_id.into() }
        }
        _ => credentials::presented(call.headers, &form)?,
    };
    let force_jwt = form.get("requested_token_type") == Some(JWT_TYPE);
    let ask = Ask { scope: scope(&form)?, resources: resources(&form), force_jwt, ..Ask::default() };
    Ok(GrantRequest { provider, client, grant, ask })
}

fn grant(form: &Form<'_>) -> Result<Grant, Refusal> {
    let name = form.get("grant_type").ok_or_else(|| Refusal::malformed("grant_type is missing."))?;
    let unsupported = || Refusal::new(RefusalKind::UnsupportedGrantType, "This grant_type is not supported.");
    match GrantType::from_name(name).ok_or_else(unsupported)? {
        GrantType::ClientCredentials => Ok(Grant::ClientCredentials),
        GrantType::AuthorizationCode => Ok(Grant::AuthorizationCode {
            code: form.get("code").ok_or_else(|| Refusal::malformed("code is missing."))?.into(),
            redirect_uri: form.get("redirect_uri").map(str::to_owned),
            verifier: form.get("code_verifier").map(Into::into),
        }),
        GrantType::RefreshToken => Ok(Grant::RefreshToken {
            token: form.get("refresh_token").ok_or_else(|| Refusal::malformed("refresh_token is missing."))?.into(),
        }),
        GrantType::Password => Ok(Grant::Password {
            username: form.get("username").ok_or_else(|| Refusal::malformed("username is missing."))?.to_owned(),
            password: form.get("password").ok_or_else(|| Refusal::malformed("password is missing."))?.into(),
        }),
        GrantType::TokenExchange => token_exchange(form),
        GrantType::JwtBearer => Ok(Grant::External {
            token: form.get("assertion").ok_or_else(|| Refusal::malformed("assertion is missing."))?.into(),
            form: ExternalForm::JwtBearer,
        }),
        GrantType::DeviceCode => Err(unsupported()),
    }
}

/// RFC 8693 §2.1. Nobody acts for another here, and an access token is all there is to get.
fn token_exchange(form: &Form<'_>) -> Result<Grant, Refusal> {
    let token = form.get("subject_token").ok_or_else(|| Refusal::malformed("subject_token is missing."))?;
    let kind = form.get("subject_token_type").ok_or_else(|| Refusal::malformed("subject_token_type is missing."))?;
    if form.get("actor_token").is_some() || form.get("actor_token_type").is_some() {
        return Err(Refusal::malformed("actor_token is not supported."));
    }
    let requested = form.get("requested_token_type");
    if requested.is_some_and(|wanted| !REQUESTABLE.contains(&wanted)) {
        return Err(Refusal::malformed("This requested_token_type is not supported."));
    }
    Ok(Grant::External {
        token: token.into(),
        form: ExternalForm::TokenExchange {
            subject_token_type: kind.to_owned(),
            requested_token_type: requested.map(str::to_owned),
        },
    })
}

fn scope(form: &Form<'_>) -> Result<Option<ScopeSet>, Refusal> {
    let Some(text) = form.get("scope") else { return Ok(None) };
    let scope = ScopeSet::parse(text);
    let scope = scope.map_err(|_| Refusal::new(RefusalKind::InvalidScope, "The scope is malformed."))?;
    Ok((!scope.is_empty()).then_some(scope))
}

/// `resource` (RFC 8707); `audience` is what other servers' clients send for the same wish.
fn resources(form: &Form<'_>) -> Vec<String> {
    form.all("resource").chain(form.all("audience")).map(str::to_owned).collect()
}

/// A restriction that would be silently lost is refused instead: the caller would hold a token
/// that is worth more than it believes.
fn refuse_unsupported_restrictions(call: &Call<'_>, form: &Form<'_>) -> Result<(), Refusal> {
    if call.headers.contains_key("dpop") {
        return Err(Refusal::malformed("DPoP is not supported."));
    }
    if form.get("authorization_details").is_some() {
        return Err(Refusal::malformed("authorization_details is not supported."));
    }
    Ok(())
}

/// Writes RFC 6749 §5.1.
pub fn token_answer(granted: &Granted) -> HttpResponse {
    HttpResponse::Ok().json(TokenAnswer {
        access_token: granted.access_token.expose_secret(),
        token_type: "Bearer",
        expires_in: granted.expires_in,
        scope: granted.scope.as_str(),
        id_token: granted.id_token.as_ref().map(ExposeSecret::expose_secret),
        refresh_token: granted.refresh_token.as_ref().map(ExposeSecret::expose_secret),
        issued_token_type: granted.issued_token_type,
        one_time: granted.one_time,
    })
}

/// Writes RFC 6749 §5.2 for every failure there is.
pub fn failure(failure: Failure<'_>, _ctx: &Context) -> HttpResponse {
    match failure {
        Failure::Refused(refusal) => refused(refusal),
        Failure::Fault(Fault::Busy { .. }) => {
            error(HttpResponse::ServiceUnavailable(), "temporarily_unavailable", "The server cannot answer right now.")
        }
        Failure::Fault(Fault::Store(_) | Fault::Crypto(_) | Fault::Upstream(_)) => {
            error(HttpResponse::InternalServerError(), "server_error", "Something went wrong.")
        }
        Failure::NotFound => error(HttpResponse::NotFound(), "not_found", "There is nothing at this path."),
        Failure::Method(_) => {
            error(HttpResponse::MethodNotAllowed(), "invalid_request", "This method is not allowed here.")
        }
        Failure::TooLarge => error(HttpResponse::BadRequest(), "invalid_request", "The body is too large."),
        Failure::TooSlow => error(HttpResponse::RequestTimeout(), "invalid_request", "The body came too slowly."),
    }
}

/// As [`failure`], but whoever presented nothing is not told of an invalid token (RFC 6750 §3.1).
pub fn failure_of_resource(failure: Failure<'_>, ctx: &Context) -> HttpResponse {
    match failure {
        Failure::Refused(refusal) if refusal.kind == RefusalKind::MissingCredentials => {
            refused_as(refusal, StatusCode::UNAUTHORIZED, "unauthorized")
        }
        other => self::failure(other, ctx),
    }
}

fn refused(refusal: &Refusal) -> HttpResponse {
    let (status, code) = status_and_code(&refusal.kind);
    refused_as(refusal, status, code)
}

fn refused_as(refusal: &Refusal, status: StatusCode, code: &str) -> HttpResponse {
    let mut answer = HttpResponse::build(status);
    match &refusal.kind {
        RefusalKind::InvalidClient => {
            answer.insert_header((header::WWW_AUTHENTICATE, r#"Basic realm="grantd""#));
        }
        RefusalKind::InsufficientScope { needed } => {
            let mut challenge = r#"Bearer error="insufficient_scope""#.to_owned();
            if !needed.is_empty() {
                challenge = format!(r#"{challenge}, scope="{needed}""#);
            }
            answer.insert_header((header::WWW_AUTHENTICATE, challenge));
        }
        RefusalKind::InvalidApiKey | RefusalKind::InvalidToken => {
            answer.insert_header((header::WWW_AUTHENTICATE, r#"Bearer error="invalid_token""#));
        }
        RefusalKind::MissingCredentials => {
            answer.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
        }
        _ => {}
    }
    error(answer, code, &refusal.hint)
}

fn status_and_code(kind: &RefusalKind) -> (StatusCode, &'static str) {
    match kind {
        RefusalKind::MalformedRequest
        | RefusalKind::UnsupportedMediaType
        | RefusalKind::Conflict
        | RefusalKind::UnderWay { .. }
        | RefusalKind::Stale
        | RefusalKind::Invalid(_) => (StatusCode::BAD_REQUEST, "invalid_request"),
        RefusalKind::InvalidClient => (StatusCode::UNAUTHORIZED, "invalid_client"),
        RefusalKind::InvalidApiKey | RefusalKind::InvalidToken | RefusalKind::MissingCredentials => {
            (StatusCode::UNAUTHORIZED, "invalid_token")
        }
        RefusalKind::InsufficientScope { .. } => (StatusCode::FORBIDDEN, "insufficient_scope"),
        RefusalKind::InvalidGrant => (StatusCode::BAD_REQUEST, "invalid_grant"),
        RefusalKind::UnauthorizedClient => (StatusCode::BAD_REQUEST, "unauthorized_client"),
        RefusalKind::UnsupportedGrantType => (StatusCode::BAD_REQUEST, "unsupported_grant_type"),
        RefusalKind::InvalidScope => (StatusCode::BAD_REQUEST, "invalid_scope"),
        RefusalKind::InvalidTarget => (StatusCode::BAD_REQUEST, "invalid_target"),
        RefusalKind::Forbidden => (StatusCode::FORBIDDEN, "access_denied"),
        RefusalKind::RateLimited { .. } => (StatusCode::TOO_MANY_REQUESTS, "temporarily_unavailable"),
        RefusalKind::UnknownResource => (StatusCode::NOT_FOUND, "not_found"),
    }
}

fn error(mut answer: HttpResponseBuilder, code: &str, description: &str) -> HttpResponse {
    answer.json(ErrorAnswer { error: code, error_description: printable(description) })
}

/// RFC 6749 §5.2: `error_description` holds %x20-21, %x23-5B and %x5D-7E only.
fn printable(text: &str) -> Cow<'_, str> {
    let allowed = |c: char| matches!(c, '\x20'..='\x21' | '\x23'..='\x5B' | '\x5D'..='\x7E');
    if text.chars().all(allowed) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|c| if allowed(c) { c } else { '\'' }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_keep_to_the_characters_of_rfc_6749() {
        assert_eq!(printable("plain text"), "plain text");
        assert_eq!(printable("say \"hi\" \\ ä\n"), "say 'hi' ' ''");
    }
}
