//! `/v1/tenants/{tenantId}/providers`: issuers whose tokens are validated for the tenant.

use actix_web::{HttpRequest, HttpResponse, web};

use crate::dialects::usegrant::wire::{self, Body, TenantProviderOut};
use crate::dialects::usegrant::{DELETE_SOME, MANAGES, call};
use crate::domain::patch::Field;
use crate::domain::trust::fingerprint;
use crate::domain::{Failed, Refusal, RefusalKind};
use crate::edge::list::whole;
use crate::engine::Engine;
use crate::engine::manage::trusted_issuer_fields::TrustedIssuerDraft;

const LONGEST_URL: usize = 2048;
/// Hours.
const LONGEST_AGE: f64 = 12.0;
const HOUR: f64 = 3600.0;

/// The fields of a trusted issuer by the names that this API has for them.
const NAMES: [(&str, &str); 3] =
    [("/issuer", "/url"), ("/audiences", "/audience"), ("/max_age", "/earliestIssuanceTimeAllowed")];

fn draft(body: &Body) -> Result<TrustedIssuerDraft, Refusal> {
    let url = body.trimmed("url", 1..=LONGEST_URL)?;
    let age = body.number("earliestIssuanceTimeAllowed", LONGEST_AGE)?;
    let age = age.ok_or_else(|| wire::wrong("earliestIssuanceTimeAllowed", "is needed"))?;
    Ok(TrustedIssuerDraft {
        // As the published client does.
        issuer: Field::Set(url.strip_suffix('/').unwrap_or(&url).to_owned()),
        fingerprints: Field::Set(fingerprints(body)?),
        audiences: Field::Set(vec![body.trimmed("audience", 3..=100)?]),
        // 0 asks for no age: a token is not younger than the moment it was issued.
        max_age: if age > 0.0 { Field::Set((age * HOUR).ceil() as i64) } else { Field::Keep },
        ..TrustedIssuerDraft::default()
    })
}

fn fingerprints(body: &Body) -> Result<Vec<String>, Refusal> {
    let mut all = Vec::new();
    for (at, item) in body.list("fingerprints", 1..=5)?.iter().enumerate() {
        let name = format!("fingerprints/{at}");
        let text = wire::text(Some(item), &name, 32..=64)?;
        if fingerprint(&text).is_none() {
            return Err(wire::wrong(&name, "must be the SHA-1 or SHA-256 of a certificate in hexadecimal"));
        }
        all.push(text);
    }
    Ok(all)
}

/// What the engine objects to, by the names of this API.
fn renamed(failed: Failed) -> Failed {
    let Failed::Refused(mut refusal) = failed else { return failed };
    if let RefusalKind::Invalid(errors) = &mut refusal.kind {
        for error in errors {
            if let Some((_, own)) = NAMES.iter().find(|(name, _)| *name == error.pointer) {
                error.pointer = (*own).to_owned();
            }
        }
    }
    refusal.into()
}

pub async fn list(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, MANAGES, async |here| {
        let (ctx, home) = (&here.received.ctx, here.home().await?);
        let list = async |page| {
            here.engine.list_tenant_providers(ctx, here.actor, home.id.as_str(), here.tenant(), page).await
        };
        Ok(HttpResponse::Ok().json(whole(list, |issuer| Some(TenantProviderOut::from(issuer)), DELETE_SOME).await?))
    })
    .await
}

pub async fn create(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, MANAGES, async |here| {
        let draft = draft(&Body::read(&here.received.body)?)?;
        let (ctx, home) = (&here.received.ctx, here.home().await?);
        let made = here.engine.create_tenant_provider(ctx, here.actor, home.id.as_str(), here.tenant(), draft).await;
        let issuer = made.map_err(renamed)?;
        Ok(HttpResponse::Created().json(TenantProviderOut::from(&issuer)))
    })
    .await
}

pub async fn read(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, MANAGES, async |here| {
        let (ctx, home) = (&here.received.ctx, here.home().await?);
        let place = (here.tenant(), here.issuer());
        let issuer = here.engine.read_tenant_provider(ctx, here.actor, home.id.as_str(), place).await?;
        Ok(HttpResponse::Ok().json(TenantProviderOut::from(&issuer)))
    })
    .await
}

pub async fn delete(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, MANAGES, async |here| {
        let (ctx, home) = (&here.received.ctx, here.home().await?);
        let place = (here.tenant(), here.issuer());
        here.engine.delete_tenant_provider(ctx, here.actor, home.id.as_str(), place).await?;
        Ok(HttpResponse::NoContent().finish())
    })
    .await
}
