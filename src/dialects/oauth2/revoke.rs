//! RFC 7009: whoever holds a token may end it. The answer to a token that is unknown, dead or
//! another's is the same 200 (§2.2).

use actix_web::{HttpRequest, HttpResponse, web};

use crate::dialects::oauth2::OAuth2;
use crate::domain::{Failed, Refusal};
use crate::edge::form::Form;
use crate::edge::{credentials, exchange};
use crate::engine::Engine;

pub async fn revoke(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    exchange::<OAuth2>(request, payload, async |received| -> Result<HttpResponse, Failed> {
        let call = received.call();
        let form = Form::of(&call)?;
        let token = form.get("token").ok_or_else(|| Refusal::malformed("token is missing."))?;
        let caller = credentials::presented(call.headers, &form)?;
        engine.revoke(call.ctx, &call.provider()?, caller, token).await?;
        Ok(HttpResponse::Ok().finish())
    })
    .await
}
