//! What a provider says of itself: metadata (OpenID Connect Discovery, RFC 8414) and public keys.
//! It says what is on, nothing more. Both answers come from configuration and the database: `Host` only
//! selects among them.

use actix_web::http::header::{self, HeaderMap};
use actix_web::{HttpRequest, HttpResponse, web};

use crate::dialects::oauth2::OAuth2;
use crate::dialects::oauth2::wire::Metadata;
use crate::domain::client::{AuthMethod, GrantType};
use crate::domain::{Failed, Fault, SigningAlg};
use crate::edge::exchange;
use crate::engine::Engine;
use crate::engine::cache::providers::Document;
use crate::engine::discovery::assertion_algs;

/// Of a caller that has a credential.
const AUTH_METHODS: [&str; 3] =
    [AuthMethod::ClientSecretBasic.name(), AuthMethod::ClientSecretPost.name(), AuthMethod::PrivateKeyJwt.name()];
/// Public clients too.
const ALL_METHODS: [&str; 4] = [AUTH_METHODS[0], AUTH_METHODS[1], AUTH_METHODS[2], AuthMethod::None.name()];
const CLAIMS: [&str; 18] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "iat",
    "jti",
    "client_id",
    "auth_time",
    "amr",
    "nonce",
    "sid",
    "preferred_username",
    "name",
    "email",
    "email_verified",
    "groups",
    "roles",
    "updated_at",
];

pub async fn metadata(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    exchange::<OAuth2>(request, payload, async |received| -> Result<HttpResponse, Failed> {
        let call = received.call();
        let entry = engine.described(call.ctx, &call.provider()?).await?;
        let place = entry.place_of(call.ctx)?;
        let document = match place.metadata.get() {
            Some(document) => document,
            None => {
                let made = Document::of(rendered(&place.issuer)?);
                place.metadata.get_or_init(|| made)
            }
        };
        let max_age = entry.provider.ttls.jwks_max_age;
        Ok(cacheable(call.headers, max_age, &document.etag, document.body.clone()))
    })
    .await
}

/// The document of a provider where it answers as this issuer: what states itself is what a client
/// compares with the URL it asked (RFC 8414 §3.3).
fn rendered(issuer: &str) -> Result<Vec<u8>, Fault> {
    let at = |path: &str| format!("{issuer}{path}");
    let algs = assertion_algs();
    let document = Metadata {
        issuer,
        authorization_endpoint: at("/oauth2/authorize"),
        userinfo_endpoint: at("/oauth2/userinfo"),
        end_session_endpoint: at("/oauth2/logout"),
        token_endpoint: at("/oauth2/token"),
        introspection_endpoint: at("/oauth2/introspect"),
        revocation_endpoint: at("/oauth2/revoke"),
        jwks_uri: at("/.well-known/jwks.json"),
        scopes_supported: ["openid", "profile", "email", "offline_access"],
        response_types_supported: ["code"],
        response_modes_supported: ["query", "form_post"],
        grant_types_supported: advertised_grants(),
        code_challenge_methods_supported: ["S256"],
        authorization_response_iss_parameter_supported: true,
        prompt_values_supported: ["none", "login", "consent", "select_account"],
        claims_parameter_supported: true,
        request_parameter_supported: false,
        request_uri_parameter_supported: false,
        ui_locales_supported: ["en", "de"],
        backchannel_logout_supported: true,
        backchannel_logout_session_supported: true,
        subject_types_supported: ["public"],
        id_token_signing_alg_values_supported: [
            SigningAlg::Rs256.name(),
            SigningAlg::Es256.name(),
            SigningAlg::EdDsa.name(),
        ],
        token_endpoint_auth_methods_supported: &ALL_METHODS,
        token_endpoint_auth_signing_alg_values_supported: &algs,
        introspection_endpoint_auth_methods_supported: &AUTH_METHODS,
        introspection_endpoint_auth_signing_alg_values_supported: &algs,
        revocation_endpoint_auth_methods_supported: &ALL_METHODS,
        revocation_endpoint_auth_signing_alg_values_supported: &algs,
        claims_supported: &CLAIMS,
    };
    serde_json::to_vec(&document).map_err(Fault::crypto)
}

/// The password grant is never advertised (RFC 9700 §2.4).
fn advertised_grants() -> Vec<&'static str> {
    let advertised = |grant: &GrantType| grant.is_served() && *grant != GrantType::Password;
    GrantType::ALL.into_iter().filter(advertised).map(GrantType::name).collect()
}

pub async fn jwks(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    exchange::<OAuth2>(request, payload, async |received| -> Result<HttpResponse, Failed> {
        let call = received.call();
        let published = engine.published_keys(call.ctx, &call.provider()?).await?;
        Ok(cacheable(call.headers, published.max_age, &published.ring.etag, published.ring.jwks.clone()))
    })
    .await
}

/// Public JSON that may be kept for `max_age` seconds; 304 if the caller has it already.
fn cacheable(sent: &HeaderMap, max_age: i64, etag: &str, body: web::Bytes) -> HttpResponse {
    let known = sent.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let is_known = known.is_some_and(|list| list.split(',').any(|one| one.trim().trim_start_matches("W/") == etag));
    let mut answer = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    answer.insert_header((header::CACHE_CONTROL, format!("public, max-age={max_age}")));
    answer.insert_header((header::ETAG, etag));
    if is_known {
        return answer.finish();
    }
    answer.insert_header((header::CONTENT_TYPE, "application/json")).body(body)
}
