//! VocalStack: `GET /security/generate-token`, an API key turned into a token for a browser, by
//! default good for ten seconds, for reading, and for one use. Its client never reads the body of an
//! error, and gives up on every answer that does not tell the version of the API.

use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::{HttpResponse, web};
use secrecy::ExposeSecret;

use crate::dialects::vocalstack::wire::{TokenAnswer, TokenQuery};
use crate::dialects::{Dialect, serve};
use crate::domain::grant::{Ask, Grant, GrantRequest, Granted, PresentedClient};
use crate::domain::{Context, MintAsk, Refusal};
use crate::edge::{Call, Failure, OperationDoc, RouteSpec, Surface, credentials};

mod describe;
mod fail;
mod wire;

/// `GET /security/generate-token`.
pub struct VocalStack;

/// The version of the API that is spoken here: its client takes the same major, and this or later.
const VERSION: HeaderValue = HeaderValue::from_static("1.1.0");
const VERSION_HEADER: HeaderName = HeaderName::from_static("x-api-version");
const EXPECTED_VERSION: &str = "x-expected-api-version";
/// Seconds, where the call names none.
const USUAL_LIFETIME: i64 = 10;

impl Surface for VocalStack {
    const NAME: &'static str = "vocalstack";
    const PREFIXES: &'static [&'static str] = &["/security"];

    fn routes() -> &'static [RouteSpec] {
        static ROUTES: [RouteSpec; 1] = [RouteSpec::new(
            Method::GET,
            "/security/generate-token",
            "vocalstack_generate_token",
            "VocalStack client-side token: access=readonly|readwrite, lifetime_s=1..120, one_time=true|false",
            || web::to(serve::<VocalStack>),
        )
        .doc(describe::token)];
        &ROUTES
    }

    fn fail(failure: Failure<'_>, _ctx: &Context) -> HttpResponse {
        fail::fail(failure)
    }

    fn describe(doc: &mut OperationDoc<'_>) {
        describe::every(doc);
    }

    fn dress(response: &mut HttpResponse, _ctx: &Context) {
        tell_version(response);
    }
}

impl VocalStack {
    /// What its client sends to any path of ours, it wants answered with the version.
    pub fn dress_for(request: &HeaderMap, response: &mut HttpResponse) {
        if request.contains_key(EXPECTED_VERSION) {
            tell_version(response);
        }
    }
}

impl Dialect for VocalStack {
    fn parse(call: &Call<'_>) -> Result<GrantRequest, Refusal> {
        let key = credentials::api_key(call.headers)?;
        let TokenQuery { access, lifetime, one_time } = TokenQuery::read(call.query)?;
        let mint = MintAsk { ttl: lifetime, one_time, access: Some(access), ..MintAsk::default() };
        // The wire has no scope: all that the key may give.
        let ask = Ask { usual_lifetime: Some(USUAL_LIFETIME), scope_of_client: true, ..Ask::default() };
        Ok(GrantRequest {
            provider: call.surface_provider()?,
            client: PresentedClient::ApiKey { key },
            grant: Grant::Mint(Box::new(mint)),
            ask,
        })
    }

    fn render(granted: Granted, _ctx: &Context) -> HttpResponse {
        HttpResponse::Ok().json(TokenAnswer { status: "done", data: granted.access_token.expose_secret() })
    }
}

/// The version, and that a page of any origin may read it once its gateway lets it.
fn tell_version(response: &mut HttpResponse) {
    let headers = response.headers_mut();
    headers.insert(VERSION_HEADER, VERSION);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("X-API-Version"));
}
