//! `/providers`.

use actix_web::{HttpRequest, HttpResponse, web};

use crate::admin::input::Fields;
use crate::admin::list::{Kind, ListSpec};
use crate::admin::query::Query;
use crate::admin::wire::{ProviderOut, value};
use crate::admin::{call, created, list as listing, shown, version};
use crate::domain::page::ProviderFilter;
use crate::domain::{Failed, Refusal};
use crate::engine::Engine;
use crate::engine::manage::provider_fields::ProviderDraft;
use crate::engine::manage::providers_resource::{LIVE_CLIENTS, LIVE_USERS};

fn draft(fields: &mut Fields) -> ProviderDraft {
    ProviderDraft {
        slug: fields.take("slug"),
        name: fields.take("name"),
        description: fields.take("description"),
        default_audience: fields.take("default_audience"),
        access_token_signing_alg: fields.take("access_token_signing_alg"),
        access_token_ttl: fields.take("access_token_ttl"),
        id_token_ttl: fields.take("id_token_ttl"),
        authorization_code_ttl: fields.take("authorization_code_ttl"),
        refresh_token_ttl: fields.take("refresh_token_ttl"),
        refresh_token_max_ttl: fields.take("refresh_token_max_ttl"),
        max_ttl: fields.take("max_ttl"),
        jwks_max_age: fields.take("jwks_max_age"),
        key_rotation: fields.take("key_rotation"),
        strict_scopes: fields.take("strict_scopes"),
        surfaces: fields.take("surfaces"),
        session_idle_ttl: fields.take("session_idle_ttl"),
        session_max_ttl: fields.take("session_max_ttl"),
        logo_uri: fields.take("logo_uri"),
        brand_color: fields.take("brand_color"),
        enabled: fields.take("enabled"),
        // Last: what is left over is no field.
        slips: fields.slips(),
    }
}

pub const LIST: ListSpec = ListSpec {
    filters: &[
        ("enabled", Kind::Flag, "Only providers that are enabled, or that are not."),
        ("q", Kind::Text, "Only providers whose slug begins so."),
    ],
    sorts: &["created_at", "slug", "name"],
};

pub async fn list(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let request = listing::asked(received, &LIST, |filters| {
            Ok(ProviderFilter { enabled: filters.flag("enabled")?, slug_prefix: filters.text("q")? })
        })?;
        let providers = engine.find_providers(&received.ctx, actor, request).await?;
        Ok(listing::found(received, providers, |provider| value(ProviderOut::from(provider))))
    })
    .await
}

pub async fn create(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let mut fields = Fields::of(received, false)?;
        let draft = draft(&mut fields);
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
        let change = draft(&mut fields);
        let provider = received.path("provider");
        let provider = engine.update_provider(&received.ctx, actor, provider, change, expected).await?;
        Ok(shown(provider.version, &ProviderOut::from(provider)))
    })
    .await
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
