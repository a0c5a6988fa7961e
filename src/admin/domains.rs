//! `/providers/{provider}/domains`.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use crate::admin::input::Fields;
use crate::admin::list::{Kind, ListSpec};
use crate::admin::wire::{time, value};
use crate::admin::{call, created, list as listing, shown, version};
use crate::domain::ProviderDomain;
use crate::domain::page::DomainFilter;
use crate::engine::Engine;
use crate::engine::manage::domains::{DomainChange, DomainDraft, Verification};

#[derive(Serialize)]
pub struct DomainOut {
    id: String,
    domain: String,
    verified: bool,
    primary: bool,
    /// What its metadata states; null until it is verified.
    issuer: Option<String>,
    dns_record: DnsRecordOut,
    verified_at: Option<String>,
    created_at: String,
    updated_at: String,
}

/// What the DNS must show before the domain is verified.
#[derive(Serialize)]
struct DnsRecordOut {
    r#type: &'static str,
    name: String,
    value: String,
}

impl From<ProviderDomain> for DomainOut {
    fn from(domain: ProviderDomain) -> Self {
        let dns_record = DnsRecordOut { r#type: "TXT", name: domain.record_name(), value: domain.record_value() };
        let ProviderDomain {
            id,
            provider: _,
            name,
            challenge: _,
            issuer,
            verified_at,
            is_primary,
            version: _,
            created_at,
            updated_at,
        } = domain;
        Self {
            id: id.to_string(),
            domain: name,
            verified: verified_at.is_some(),
            primary: is_primary,
            issuer,
            dns_record,
            verified_at: verified_at.map(time),
            created_at: time(created_at),
            updated_at: time(updated_at),
        }
    }
}

#[derive(Serialize)]
struct VerificationOut {
    verified: bool,
    message: String,
    domain: DomainOut,
}

pub const LIST: ListSpec = ListSpec {
    filters: &[
        ("verified", Kind::Flag, "Only domains that are verified, or that are not."),
        ("domain", Kind::Text, "The one of this name, in lower case."),
    ],
    sorts: &["created_at", "domain"],
};

pub async fn list(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let request = listing::asked(received, &LIST, |filters| {
            Ok(DomainFilter { verified: filters.flag("verified")?, domain: filters.text("domain")? })
        })?;
        let domains = engine.find_domains(&received.ctx, actor, received.path("provider"), request).await?;
        Ok(listing::found(received, domains, |domain| value(DomainOut::from(domain))))
    })
    .await
}

pub async fn create(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let mut fields = Fields::of(received, false)?;
        let draft = DomainDraft { domain: fields.take("domain"), slips: fields.slips() };
        let domain = engine.create_domain(&received.ctx, actor, received.path("provider"), draft).await?;
        let (id, version) = (domain.id.clone(), domain.version);
        Ok(created(received, id.as_str(), Some(version), &DomainOut::from(domain)))
    })
    .await
}

pub async fn read(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let (provider, id) = (received.path("provider"), received.path("domain_id"));
        let domain = engine.read_domain(&received.ctx, actor, provider, id).await?;
        Ok(shown(domain.version, &DomainOut::from(domain)))
    })
    .await
}

/// `{primary}`.
pub async fn update(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let expected = version::expected(received.request.headers())?;
        let mut fields = Fields::of(received, false)?;
        let change = DomainChange { primary: fields.take("primary"), slips: fields.slips() };
        let (provider, id) = (received.path("provider"), received.path("domain_id"));
        let domain = engine.update_domain(&received.ctx, actor, provider, id, change, expected).await?;
        Ok(shown(domain.version, &DomainOut::from(domain)))
    })
    .await
}

pub async fn delete(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let expected = version::expected(received.request.headers())?;
        let (provider, id) = (received.path("provider"), received.path("domain_id"));
        engine.delete_domain(&received.ctx, actor, provider, id, expected).await?;
        Ok(HttpResponse::NoContent().finish())
    })
    .await
}

pub async fn verify(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        Fields::of(received, true)?.finish()?;
        let (provider, id) = (received.path("provider"), received.path("domain_id"));
        let Verification { domain, verified, message } =
            engine.verify_domain(&received.ctx, actor, provider, id).await?;
        Ok(shown(domain.version, &VerificationOut { verified, message, domain: DomainOut::from(domain) }))
    })
    .await
}
