//! `/providers`.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use crate::admin::fields::fields;
use crate::admin::input::Fields;
use crate::admin::list::{Kind, ListSpec};
use crate::admin::query::Query;
use crate::admin::wire::{ProviderOut, value};
use crate::admin::{call, created, describe, list as listing, shown, version};
use crate::domain::page::ProviderFilter;
use crate::domain::{Failed, Refusal};
use crate::edge::OperationDoc;
use crate::engine::Engine;
use crate::engine::manage::provider_fields::ProviderDraft;
use crate::engine::manage::providers_resource::{LIVE_CLIENTS, LIVE_USERS};

fields! {
    /// A provider: an issuer with its own keys, clients and users. Lifetimes in seconds; what is left out, or null,
    /// has its default.
    ProviderFields => ProviderDraft named "Provider" required [slug] at_creation [slug] {
        /// Its name in paths. Never changes, never used again; not shaped like a UUID.
        slug: String { "pattern": "^[a-z0-9][a-z0-9-]{0,62}$" },
        /// For people; by default the slug.
        name: String { "minLength": 1, "maxLength": 255 },
        description: String { "minLength": 1, "maxLength": 255 },
        /// `aud` of tokens whose client has no audience; null: the issuer.
        default_audience: String { "minLength": 1, "maxLength": 2048 },
        access_token_signing_alg: String { "enum": ["ES256", "RS256", "EdDSA"] },
        /// At most `max_ttl`.
        access_token_ttl: i64 { "minimum": 1, "maximum": 315_360_000 },
        id_token_ttl: i64 { "minimum": 1, "maximum": 315_360_000 },
        authorization_code_ttl: i64 { "minimum": 1, "maximum": 600 },
        /// Without use.
        refresh_token_ttl: i64 { "minimum": 1, "maximum": 315_360_000 },
        /// In all.
        refresh_token_max_ttl: i64 { "minimum": 1, "maximum": 315_360_000 },
        /// The longest life of any access token.
        max_ttl: i64 { "minimum": 1, "maximum": 315_360_000 },
        /// For how long verifiers may keep the keys.
        jwks_max_age: i64 { "minimum": 0, "maximum": 2_592_000 },
        /// The life of a signing key until the next one takes over.
        key_rotation: i64 { "minimum": 86_400, "maximum": 315_360_000 },
        /// Whether a scope that does not exist is refused, rather than made by the admin who writes it.
        strict_scopes: bool,
        /// The foreign APIs that it answers below its own path.
        surfaces: Vec<String> {
            "items": { "type": "string", "enum": ["runai", "deepgram", "usegrant", "vocalstack", "endorsed"] }
        },
        /// Of a login, without use.
        session_idle_ttl: i64 { "minimum": 60, "maximum": 315_360_000 },
        /// Of a login, in all.
        session_max_ttl: i64 { "minimum": 60, "maximum": 315_360_000 },
        /// A `data:` URI of an image, for the pages.
        logo_uri: String {
            "pattern": "^data:image/(png|jpeg|webp|svg\\+xml);base64,[A-Za-z0-9+/=]+$", "maxLength": 32_768
        },
        /// `#rrggbb`.
        brand_color: String { "pattern": "^#[0-9a-fA-F]{6}$" },
        /// Switched off it answers nobody, and its tokens end. Only a key that is bound to no provider changes it.
        enabled: bool,
    }
}

pub const LIST: ListSpec = ListSpec {
    filters: &[
        ("enabled", Kind::Flag, "Only providers that are enabled, or that are not."),
        ("q", Kind::Text, "Only providers whose slug begins so."),
    ],
    sorts: &["created_at", "slug", "name"],
    id: Kind::Id,
};

pub async fn list(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let request = listing::asked(received, &LIST, |filters| {
            Ok(ProviderFilter { enabled: filters.flag("enabled")?, slug_prefix: filters.text("q")? })
        })?;
        let read = async |request| engine.find_providers(&received.ctx, actor, request).await;
        listing::found(received, request, read, |provider| value(ProviderOut::from(provider))).await
    })
    .await
}

pub async fn create(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let mut fields = Fields::of(received, false)?;
        let draft = ProviderFields::draft(&mut fields);
        let provider = engine.create_provider(&received.ctx, actor, draft).await?;
        let (id, version) = (provider.id.clone(), provider.version);
        Ok(created(received, id.as_str(), Some(version), &ProviderOut::from(provider)))
    })
    .await
}

pub async fn read(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let provider = engine.read_provider(&received.ctx, actor, received.path("provider")).await?;
        Ok(shown(provider.version, &ProviderOut::from(provider)))
    })
    .await
}

pub async fn update(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let expected = version::expected(received.request.headers())?;
        let mut fields = Fields::of(received, false)?;
        let change = ProviderFields::draft(&mut fields);
        let provider = received.path("provider");
        let provider = engine.update_provider(&received.ctx, actor, provider, change, expected).await?;
        Ok(shown(provider.version, &ProviderOut::from(provider)))
    })
    .await
}

pub fn describe_delete(doc: &mut OperationDoc<'_>) {
    doc.query(
        "cascade",
        "Whether live clients and users end with it; else they are a 409. API keys that are bound to it always end with \
         it; one that the caller may not delete is a 409.",
        json!({"type": "boolean"}),
    );
    describe::deletes(doc);
}

pub async fn delete(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let expected = version::expected(received.request.headers())?;
        let cascade = Query::of(received)?.flag("cascade")?.unwrap_or(false);
        let ended = engine.delete_provider(&received.ctx, actor, received.path("provider"), cascade, expected).await;
        ended.map_err(with_way_out)?;
        Ok(HttpResponse::NoContent().finish())
    })
    .await
}

/// Here what lives at a provider can end with it.
fn with_way_out(failed: Failed) -> Failed {
    match failed {
        Failed::Refused(refusal) if [LIVE_CLIENTS, LIVE_USERS].contains(&refusal.hint.as_ref()) => {
            Refusal::with_hint(refusal.kind, format!("{} Or say ?cascade=true.", refusal.hint)).into()
        }
        failed => failed,
    }
}

pub async fn revoke_tokens(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        engine.revoke_provider_tokens(&received.ctx, actor, received.path("provider")).await?;
        Ok(HttpResponse::NoContent().finish())
    })
    .await
}
