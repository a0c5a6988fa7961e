//! `/providers/{provider}/domains`.

use actix_web::{HttpRequest, HttpResponse, web};
use schemars::JsonSchema;
use serde::Serialize;

use crate::admin::fields::Nothing;
use crate::admin::fields::fields;
use crate::admin::input::Fields;
use crate::admin::list::{Kind, ListSpec};
use crate::admin::problem::Problem;
use crate::admin::wire::{time, value};
use crate::admin::{call, created, list as listing, shown, version};
use crate::domain::ProviderDomain;
use crate::domain::page::DomainFilter;
use crate::edge::OperationDoc;
use crate::edge::describe::{JSON, PROBLEM, WireTime};
use crate::engine::Engine;
use crate::engine::manage::domains::{DomainChange, DomainDraft, Verification};

/// A domain of a provider.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Domain")]
pub struct DomainOut {
    id: String,
    domain: String,
    verified: bool,
    primary: bool,
    /// What its metadata states; null until it is verified.
    issuer: Option<String>,
    dns_record: DnsRecordOut,
    #[schemars(with = "Option<WireTime>")]
    verified_at: Option<String>,
    #[schemars(with = "WireTime")]
    created_at: String,
    #[schemars(with = "WireTime")]
    updated_at: String,
}

/// What the DNS must show before the domain is verified.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DnsRecord")]
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

/// How the proof of a domain came out.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DomainVerification")]
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
    id: Kind::Id,
};
fields! {
    /// A domain to be added.
    DomainFields => DomainDraft named "Domain" required [domain] at_creation [] {
        /// A host name.
        domain: String { "minLength": 1, "maxLength": 253 },
    }
}

fields! {
    /// What can be changed of a domain.
    DomainChangeFields => DomainChange named "Domain" required [] at_creation [] {
        /// Whether new tokens carry its issuer; it must be verified.
        primary: bool,
    }
}

pub async fn list(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let request = listing::asked(received, &LIST, |filters| {
            Ok(DomainFilter { verified: filters.flag("verified")?, domain: filters.text("domain")? })
        })?;
        let read = async |request| engine.find_domains(&received.ctx, actor, received.path("provider"), request).await;
        listing::found(received, request, read, |domain| value(DomainOut::from(domain))).await
    })
    .await
}

pub async fn create(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let mut fields = Fields::of(received, false)?;
        let draft = DomainFields::draft(&mut fields);
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
        let change = DomainChangeFields::draft(&mut fields);
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

pub fn describe_verify(doc: &mut OperationDoc<'_>) {
    doc.takes::<Nothing>(&[JSON], false);
    doc.answers::<VerificationOut>(200, "Whether the record was found, and in a sentence why not.");
    doc.with_header(200, "ETag", "The domain's version.");
    doc.answers_as::<Problem>(409, PROBLEM, "Another provider has proven it.");
}

pub async fn verify(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        Nothing::read(Fields::of(received, true)?)?;
        let (provider, id) = (received.path("provider"), received.path("domain_id"));
        let Verification { domain, verified, message } =
            engine.verify_domain(&received.ctx, actor, provider, id).await?;
        Ok(shown(domain.version, &VerificationOut { verified, message, domain: DomainOut::from(domain) }))
    })
    .await
}
