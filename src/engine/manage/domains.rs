//! Domains of a provider. Who adds one is given a TXT record to publish; once the DNS shows it, the
//! domain is verified: the provider answers under it at once, on every node within a second. It becomes
//! the issuer of new tokens only when it is made primary.

use crate::domain::id::is_uuid_shaped;
use crate::domain::page::{DomainFilter, Found, ListRequest, Page, PageRequest};
use crate::domain::patch::Field;
use crate::domain::provider_domain::{host_of, issuer_at, read_domain};
use crate::domain::refusal::FieldError;
use crate::domain::{
    Context, Decision, DomainId, DomainName, Failed, Fault, Provider, ProviderDomain, Refusal, RefusalKind, Role,
};
use crate::engine::Engine;
use crate::engine::manage::fields::Checks;
use crate::engine::manage::{Actor, Expected, conflict, require_version, unknown_provider};
use crate::store::{ChangedTable, Tx, is_constraint, issuers, provider_domains, providers};
use crate::upstream::TxtFlaw;

/// Domains that one provider may have.
pub const MAX_DOMAINS: i64 = 100;
/// Of a challenge: 256 random bits in base 62.
const CHALLENGE_LENGTH: usize = 43;

/// A domain to be added.
#[derive(Clone, Debug, Default)]
pub struct DomainDraft {
    pub domain: Field<String>,
    /// What could not even be read; told together with what is wrong otherwise.
    pub slips: Vec<FieldError>,
}

/// A change to a domain.
#[derive(Clone, Debug, Default)]
pub struct DomainChange {
    /// Whether new tokens carry its issuer.
    pub primary: Field<bool>,
    /// What could not even be read.
    pub slips: Vec<FieldError>,
}

/// How the proof of a domain came out.
#[derive(Clone, Debug)]
pub struct Verification {
    pub domain: ProviderDomain,
    pub verified: bool,
    /// In a sentence; names the record that is looked for.
    pub message: String,
}

impl Engine {
    /// Adds a domain, unverified: it selects nothing and keeps nobody else from it.
    pub async fn create_domain(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        draft: DomainDraft,
    ) -> Result<ProviderDomain, Failed> {
        actor.require(Role::Admin)?;
        let provider = self.managed_provider(ctx, actor, provider).await?;
        let name = self.acceptable_name(ctx, draft).await?;
        let now = ctx.now.seconds();
        let domain = ProviderDomain {
            id: self.0.random.uuid_v7(ctx.now).into(),
            provider: provider.id.clone(),
            name,
            challenge: self.0.random.base62(CHALLENGE_LENGTH),
            issuer: None,
            verified_at: None,
            is_primary: false,
            version: 1,
            created_at: now,
            updated_at: now,
        };
        let event = self.event(ctx, actor, Some(&provider.id), "domain.created", domain.id.as_str(), &["domain"]);
        let row = domain.clone();
        self.commit(ctx, event, move |tx| {
            // With the provider's row held nobody adds another one meanwhile.
            if providers::locked(tx, &row.provider)?.is_none() {
                return Ok(Decision::Refuse(unknown_provider()));
            }
            if provider_domains::has(tx, &row.provider, &row.name)? {
                return Ok(Decision::Refuse(conflict("The provider has this domain already.")));
            }
            if provider_domains::count_live(tx, &row.provider)? >= MAX_DOMAINS {
                let detail = format!("a provider has at most {MAX_DOMAINS} domains: delete one first");
                return Ok(Decision::Refuse(Refusal::invalid_field("/domain", detail)));
            }
            provider_domains::insert(tx, &row)?;
            Ok(Decision::Allow(()))
        })
        .await?;
        Ok(domain)
    }

    async fn acceptable_name(&self, ctx: &Context, draft: DomainDraft) -> Result<String, Failed> {
        let DomainDraft { domain, slips } = draft;
        let mut checks = Checks::after(slips);
        let name = match domain {
            Field::Set(text) => read_domain(&text).map_err(|flaw| flaw.to_string()),
            Field::Keep | Field::Reset => Err("is needed".to_owned()),
        };
        let public_url = self.public_url(ctx).await?;
        let name = name.and_then(|name| {
            let is_own = self.is_own_host(&public_url, &name);
            if is_own { Err("is a host of this server itself".to_owned()) } else { Ok(name) }
        });
        match name {
            Ok(name) => checks.finish().map(|_| name).map_err(Failed::from),
            Err(detail) => {
                checks.refuse("domain", detail);
                checks.finish().map(|_| String::new()).map_err(Failed::from)
            }
        }
    }

    pub async fn read_domain(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        id: &str,
    ) -> Result<ProviderDomain, Failed> {
        actor.require(Role::Member)?;
        let provider = self.managed_provider(ctx, actor, provider).await?;
        self.stored_domain(ctx, &provider, id).await
    }

    /// Ordered by id.
    pub async fn list_domains(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        page: PageRequest,
    ) -> Result<Page<ProviderDomain>, Failed> {
        actor.require(Role::Member)?;
        let provider = self.managed_provider(ctx, actor, provider).await?;
        let read = move |conn: &mut _| provider_domains::list(conn, &provider.id, &page);
        Ok(self.0.db.read(ctx.deadline, read).await?)
    }

    /// As the request narrows and orders them.
    pub async fn find_domains(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        request: ListRequest<DomainFilter>,
    ) -> Result<Found<ProviderDomain>, Failed> {
        actor.require(Role::Member)?;
        let provider = self.managed_provider(ctx, actor, provider).await?;
        let read = move |conn: &mut _| provider_domains::find(conn, &provider.id, &request);
        Ok(self.0.db.read(ctx.deadline, read).await?)
    }

    /// Looks for the TXT record, and serves the domain if it is there. A verified domain stays so
    /// without another look.
    pub async fn verify_domain(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        id: &str,
    ) -> Result<Verification, Failed> {
        actor.require(Role::Admin)?;
        let provider = self.managed_provider(ctx, actor, provider).await?;
        let domain = self.stored_domain(ctx, &provider, id).await?;
        if domain.verified_at.is_some() {
            return Ok(Verification { domain, verified: true, message: VERIFIED.to_owned() });
        }
        if let Some(message) = self.missing_proof(ctx, &domain).await? {
            return Ok(Verification { domain, verified: false, message });
        }
        let domain = self.mark_verified(ctx, actor, &provider, domain).await?;
        Ok(Verification { domain, verified: true, message: VERIFIED.to_owned() })
    }

    /// What stands in the way of the proof; `None`: nothing.
    async fn missing_proof(&self, ctx: &Context, domain: &ProviderDomain) -> Result<Option<String>, Failed> {
        let (at, expected) = (domain.record_name(), domain.record_value());
        let found = match self.0.txt_records.at(&domain.provider, &at, ctx.deadline).await {
            Ok(texts) if texts.contains(&expected) => return Ok(None),
            Ok(texts) if texts.is_empty() => "There is no TXT record",
            Ok(_) => "There are TXT records, but none with the right value,",
            Err(TxtFlaw::Busy) => return Err(Fault::busy("too many questions to the DNS are under way").into()),
            Err(TxtFlaw::ShareUsed) => return Err(too_many().into()),
            Err(TxtFlaw::Slow) => "The DNS did not answer in time when it was asked for TXT records",
            Err(TxtFlaw::Failed) => "The DNS answered with a failure when it was asked for TXT records",
        };
        Ok(Some(format!("{found} at {at}. Publish one that says {expected}, then verify again.")))
    }

    async fn mark_verified(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &Provider,
        domain: ProviderDomain,
    ) -> Result<ProviderDomain, Failed> {
        let public_url = self.public_url(ctx).await?;
        let issuer = issuer_at(&public_url, &domain.name).ok_or_else(|| Fault::store("the public URL is no URL"))?;
        let event = self.event(ctx, actor, Some(&provider.id), "domain.verified", domain.id.as_str(), &[]);
        let (row, slug, now) = (domain, provider.slug.clone(), ctx.now);
        let done = self
            .commit(ctx, event, move |tx| {
                if providers::locked(tx, &row.provider)?.is_none() {
                    return Ok(Decision::Refuse(unknown_provider()));
                }
                let Some(current) = provider_domains::get(tx, &row.provider, &row.id)? else {
                    return Ok(Decision::Refuse(unknown_domain()));
                };
                if current.verified_at.is_some() {
                    return Ok(Decision::Allow(current));
                }
                let held_by = providers::by_issuer(tx, &issuer)?;
                if provider_domains::is_verified(tx, &row.name)? || held_by.is_some_and(|id| id != row.provider) {
                    return Ok(Decision::Refuse(taken()));
                }
                provider_domains::verify(tx, &row.id, &issuer, now.seconds())?;
                issuers::add(tx, &row.provider, &issuer, now.seconds())?;
                tx.changed(ChangedTable::Providers, &slug, now)?;
                tx.changed(ChangedTable::Domains, row.id.as_str(), now)?;
                let verified = provider_domains::get(tx, &row.provider, &row.id)?;
                Ok(verified.map_or_else(|| Decision::Refuse(unknown_domain()), Decision::Allow))
            })
            .await;
        let verified = done.map_err(|failed| match failed {
            // Another provider has proven the name at the same moment: the index knows one of them.
            Failed::Fault(fault) if is_constraint(&fault) => taken().into(),
            failed => failed,
        })?;
        self.forget_provider(provider);
        self.refresh_hosts(ctx, None).await;
        Ok(verified)
    }

    /// Makes a verified domain primary, or the primary one no longer: then the issuer below the public
    /// URL is that of new tokens again.
    pub async fn update_domain(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        id: &str,
        change: DomainChange,
        expected: Expected,
    ) -> Result<ProviderDomain, Failed> {
        actor.require(Role::Admin)?;
        let provider = self.managed_provider(ctx, actor, provider).await?;
        let domain = self.stored_domain(ctx, &provider, id).await?;
        let DomainChange { primary, slips } = change;
        let mut checks = Checks::after(slips);
        let primary = primary.over(domain.is_primary, false);
        if primary && domain.verified_at.is_none() {
            checks.refuse("primary", "must be false until the domain is verified");
        }
        checks.finish()?;
        require_version(&expected, domain.version)?;
        if primary == domain.is_primary {
            return Ok(domain);
        }
        let event = self.event(ctx, actor, Some(&provider.id), "domain.updated", id, &["primary"]);
        let (slug, now) = (provider.slug.clone(), ctx.now);
        let changed = self
            .commit(ctx, event, move |tx| {
                if providers::locked(tx, &domain.provider)?.is_none() {
                    return Ok(Decision::Refuse(unknown_provider()));
                }
                let Some(current) = provider_domains::get(tx, &domain.provider, &domain.id)? else {
                    return Ok(Decision::Refuse(unknown_domain()));
                };
                if let Err(stale) = require_version(&expected, current.version) {
                    return Ok(Decision::Refuse(stale));
                }
                if current.is_primary != primary {
                    switch_primary(tx, &current, primary, now.seconds())?;
                    tx.changed(ChangedTable::Providers, &slug, now)?;
                }
                let changed = provider_domains::get(tx, &domain.provider, &domain.id)?;
                Ok(changed.map_or_else(|| Decision::Refuse(unknown_domain()), Decision::Allow))
            })
            .await?;
        self.forget_provider(&provider);
        Ok(changed)
    }

    /// Ends a domain: it selects nothing any more, here at once and on every node within a second.
    /// Tokens that carry its issuer verify until they expire.
    pub async fn delete_domain(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        id: &str,
        expected: Expected,
    ) -> Result<(), Failed> {
        actor.require(Role::Admin)?;
        let provider = self.managed_provider(ctx, actor, provider).await?;
        let domain = self.stored_domain(ctx, &provider, id).await?;
        let ended: DomainName = domain.name.as_str().into();
        let was_verified = domain.verified_at.is_some();
        let event = self.event(ctx, actor, Some(&provider.id), "domain.deleted", id, &[]);
        let (slug, now) = (provider.slug.clone(), ctx.now);
        self.commit(ctx, event, move |tx| {
            if providers::locked(tx, &domain.provider)?.is_none() {
                return Ok(Decision::Refuse(unknown_provider()));
            }
            let Some(current) = provider_domains::get(tx, &domain.provider, &domain.id)? else {
                return Ok(Decision::Refuse(unknown_domain()));
            };
            if let Err(stale) = require_version(&expected, current.version) {
                return Ok(Decision::Refuse(stale));
            }
            if current.is_primary {
                return Ok(Decision::Refuse(conflict(
                    "The domain is the issuer of new tokens: take primary from it first.",
                )));
            }
            provider_domains::soft_delete(tx, &domain.id, now.seconds())?;
            let has_ended = end_issuers_of(tx, &current, now.seconds())?;
            if has_ended || current.issuer.is_some() {
                tx.changed(ChangedTable::Providers, &slug, now)?;
                tx.changed(ChangedTable::Domains, domain.id.as_str(), now)?;
            }
            Ok(Decision::Allow(()))
        })
        .await?;
        self.forget_provider(&provider);
        self.refresh_hosts(ctx, was_verified.then_some(&ended)).await;
        Ok(())
    }

    async fn stored_domain(&self, ctx: &Context, provider: &Provider, id: &str) -> Result<ProviderDomain, Failed> {
        if !is_uuid_shaped(id) {
            return Err(unknown_domain().into());
        }
        let (owner, wanted) = (provider.id.clone(), DomainId::from(id));
        let found = self.0.db.read(ctx.deadline, move |conn| provider_domains::get(conn, &owner, &wanted)).await?;
        found.ok_or_else(|| unknown_domain().into())
    }
}

const VERIFIED: &str = "The domain is verified.";

/// Moves `primary` to the domain, or from it to the base. The provider's row is held.
fn switch_primary(tx: &mut Tx<'_>, domain: &ProviderDomain, primary: bool, now: i64) -> Result<(), Fault> {
    let nothing = || Fault::store("a verified domain without an issuer, or a provider without one");
    let own = domain.issuer.as_deref().ok_or_else(nothing)?;
    let before = issuers::primary(tx, &domain.provider)?.ok_or_else(nothing)?;
    let after = if primary { own.to_owned() } else { issuers::base(tx, &domain.provider)?.ok_or_else(nothing)? };
    issuers::make_primary(tx, &domain.provider, &after, now)?;
    provider_domains::touch(tx, &domain.provider, [&before, &after], now)
}

/// Ends what the domain states, and has stated under other public URLs; whether there was any.
fn end_issuers_of(tx: &mut Tx<'_>, domain: &ProviderDomain, now: i64) -> Result<bool, Fault> {
    let Some(issuers) = issuers::of_provider(tx, &domain.provider)? else { return Ok(false) };
    let is_its = |issuer: &&String| **issuer != issuers.base && host_of(issuer).as_deref() == Some(&*domain.name);
    let mut ended = false;
    for issuer in issuers.live.iter().filter(is_its) {
        issuers::end(tx, &domain.provider, issuer, now)?;
        ended = true;
    }
    Ok(ended)
}

fn unknown_domain() -> Refusal {
    Refusal::unknown("There is no such domain.")
}

fn too_many() -> Refusal {
    let kind = RefusalKind::RateLimited { retry_after: 1 };
    Refusal::new(kind, "Too many questions to the DNS are under way. Try again when some have been answered.")
}

fn taken() -> Refusal {
    conflict("Another provider has verified this domain.")
}
