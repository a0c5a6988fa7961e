//! OpenID Connect Core §5.3: what the person's access token may learn about them. The token comes in
//! the header or, by POST, in the body (RFC 6750 §2), never in the query, where it would be logged.

use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse, web};
use secrecy::{ExposeSecret, SecretString};
use url::form_urlencoded;

use crate::dialects::oauth2::OAuth2;
use crate::dialects::oauth2::wire::UserInfoAnswer;
use crate::domain::token::Profile;
use crate::domain::{Failed, Refusal, RefusalKind};
use crate::edge::credentials::{Authorization, authorization};
use crate::edge::form::Form;
use crate::edge::{Call, exchange};
use crate::engine::Engine;
use crate::engine::userinfo::UserInfo;

pub async fn userinfo(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    exchange::<OAuth2>(request, payload, async |received| -> Result<HttpResponse, Failed> {
        let call = received.call();
        let token = presented_token(&call)?;
        let info = engine.userinfo(call.ctx, &call.provider()?, token.expose_secret()).await?;
        Ok(HttpResponse::Ok().json(answer(&info)))
    })
    .await
}

fn presented_token(call: &Call<'_>) -> Result<SecretString, Refusal> {
    if form_urlencoded::parse(call.query.as_bytes()).any(|(name, _)| name == "access_token") {
        return Err(Refusal::malformed("An access token must not stand in the URL."));
    }
    let unreadable = |_| Refusal::new(RefusalKind::InvalidToken, "The access token is not valid.");
    let in_header = authorization(call.headers).map_err(unreadable)?;
    let in_body = body_token(call)?;
    match (in_header, in_body) {
        (Some(_), Some(_)) => Err(Refusal::malformed("More than one access token.")),
        (Some(Authorization::Bearer(token)), None) | (None, Some(token)) => Ok(token),
        (Some(Authorization::Basic { .. }) | None, None) => {
            Err(Refusal::new(RefusalKind::MissingCredentials, "An access token is needed."))
        }
    }
}

/// RFC 6750 §2.2: a form, and never by GET.
fn body_token(call: &Call<'_>) -> Result<Option<SecretString>, Refusal> {
    if *call.method != Method::POST || call.body.is_empty() || call.media_type().is_none() {
        return Ok(None);
    }
    let form = Form::of(call)?;
    Ok(form.get("access_token").map(Into::into))
}

fn answer(info: &UserInfo) -> UserInfoAnswer<'_> {
    let UserInfo { subject, profile } = info;
    let Profile { preferred_username, name, email, email_verified, groups, roles, updated_at } = profile;
    UserInfoAnswer {
        sub: subject,
        preferred_username: preferred_username.as_deref(),
        name: name.as_deref(),
        email: email.as_deref(),
        email_verified: *email_verified,
        groups: groups.as_deref(),
        roles: roles.as_deref(),
        updated_at: *updated_at,
    }
}
