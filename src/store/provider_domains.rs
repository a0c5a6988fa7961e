//! `provider_domains`. A deleted row stays for a month, so that somebody can look what became of it. Whether a
//! domain is primary stands in `provider_issuers` alone.

use diesel::prelude::*;

use crate::domain::page::{DomainFilter, Found, ListRequest, Page, PageRequest};
use crate::domain::{DomainId, Fault, ProviderDomain, ProviderId, ServedDomain};
use crate::store::connection::{Conn, each};
use crate::store::listing::{By, Listing, Sort, in_order};
use crate::store::providers::provider_issuers;
use crate::store::providers::providers;

diesel::table! {
    provider_domains (id) {
        id -> Text,
        provider_id -> Text,
        domain -> Text,
        challenge -> Text,
        issuer -> Nullable<Text>,
        verified_at -> Nullable<BigInt>,
        version -> BigInt,
        created_at -> BigInt,
        updated_at -> BigInt,
        deleted_at -> Nullable<BigInt>,
    }
}

diesel::joinable!(provider_domains -> providers (provider_id));
diesel::allow_tables_to_appear_in_same_query!(provider_domains, providers);
diesel::allow_tables_to_appear_in_same_query!(provider_domains, provider_issuers);

#[derive(Queryable)]
struct Row {
    id: String,
    provider_id: String,
    domain: String,
    challenge: String,
    issuer: Option<String>,
    verified_at: Option<i64>,
    version: i64,
    created_at: i64,
    updated_at: i64,
    /// Only rows that are not deleted are read.
    _deleted_at: Option<i64>,
}

fn provider_domain((row, primary): (Row, Option<String>)) -> ProviderDomain {
    let Row {
        id,
        provider_id,
        domain,
        challenge,
        issuer,
        verified_at,
        version,
        created_at,
        updated_at,
        _deleted_at: _,
    } = row;
    ProviderDomain {
        id: id.into(),
        provider: provider_id.into(),
        name: domain,
        challenge,
        is_primary: issuer.is_some() && issuer == primary,
        issuer,
        verified_at,
        version,
        created_at,
        updated_at,
    }
}

/// Domains, each beside the issuer of its provider's new tokens if that is a domain's. One statement: a row
/// and what was primary at another moment would show a state that never was.
macro_rules! beside_primary {
    () => {
        provider_domains::table
            .left_join(
                provider_issuers::table.on(provider_issuers::provider_id
                    .eq(provider_domains::provider_id)
                    .and(provider_issuers::is_primary)
                    .and(provider_issuers::is_base.eq(false))),
            )
            .select((provider_domains::all_columns, provider_issuers::issuer.nullable()))
    };
}

/// One of the provider that is not deleted.
pub fn get(conn: &mut Conn, provider: &ProviderId, id: &DomainId) -> Result<Option<ProviderDomain>, Fault> {
    let found: Option<(Row, Option<String>)> = beside_primary!()
        .filter(provider_domains::id.eq(id.as_str()))
        .filter(provider_domains::provider_id.eq(provider.as_str()))
        .filter(provider_domains::deleted_at.is_null())
        .first(conn)
        .optional()?;
    Ok(found.map(provider_domain))
}

/// Those of the provider that are not deleted, ordered by id.
pub fn list(conn: &mut Conn, provider: &ProviderId, page: &PageRequest) -> Result<Page<ProviderDomain>, Fault> {
    let rows: Vec<(Row, Option<String>)> = beside_primary!()
        .filter(provider_domains::provider_id.eq(provider.as_str()))
        .filter(provider_domains::id.gt(page.after.as_deref().unwrap_or_default()))
        .filter(provider_domains::deleted_at.is_null())
        .order(provider_domains::id)
        .limit(i64::from(page.limit) + 1)
        .load(conn)?;
    let items = rows.into_iter().map(provider_domain).collect();
    Ok(Page::cut(items, page, |domain| domain.id.to_string()))
}

/// Those that are not deleted and pass the filter.
pub fn find(
    conn: &mut Conn,
    provider: &ProviderId,
    request: &ListRequest<DomainFilter>,
) -> Result<Found<ProviderDomain>, Fault> {
    const SORTS: [Sort; 2] = [Sort { name: "created_at", by: By::Id }, Sort { name: "domain", by: By::Text("domain") }];
    let DomainFilter { verified, domain } = &request.filter;
    let mut listing = Listing::of(conn, "provider_domains", "id");
    listing.only_with("provider_id = ?", provider.as_str());
    listing.only("deleted_at IS NULL");
    match verified {
        Some(true) => listing.only("verified_at IS NOT NULL"),
        Some(false) => listing.only("verified_at IS NULL"),
        None => {}
    }
    if let Some(domain) = domain {
        listing.only_with("domain = ?", domain);
    }
    let found = listing.ids(conn, &SORTS, request)?;
    let ids = &found.items;
    let rows: Vec<(Row, Option<String>)> =
        each!(conn, conn => beside_primary!().filter(provider_domains::id.eq_any(ids)).load(conn))?;
    let items = rows.into_iter().map(provider_domain).collect();
    Ok(in_order(found, items, |domain| domain.id.to_string()))
}

/// Those of the provider that are not deleted.
pub fn count_live(conn: &mut Conn, provider: &ProviderId) -> Result<i64, Fault> {
    let live = provider_domains::table
        .filter(provider_domains::provider_id.eq(provider.as_str()))
        .filter(provider_domains::deleted_at.is_null());
    Ok(live.count().get_result(conn)?)
}

/// Whether the provider has a domain of this name that is not deleted.
pub fn has(conn: &mut Conn, provider: &ProviderId, name: &str) -> Result<bool, Fault> {
    let same = provider_domains::table
        .filter(provider_domains::provider_id.eq(provider.as_str()))
        .filter(provider_domains::domain.eq(name))
        .filter(provider_domains::deleted_at.is_null());
    let found: Option<String> = same.select(provider_domains::id).first(conn).optional()?;
    Ok(found.is_some())
}

/// A new, unverified domain.
///
/// # Errors
///
/// A broken constraint if the provider has a domain of this name.
pub fn insert(conn: &mut Conn, new: &ProviderDomain) -> Result<(), Fault> {
    let ProviderDomain {
        id,
        provider,
        name,
        challenge,
        issuer,
        verified_at,
        is_primary: _,
        version,
        created_at,
        updated_at,
    } = new;
    diesel::insert_into(provider_domains::table)
        .values((
            provider_domains::id.eq(id.as_str()),
            provider_domains::provider_id.eq(provider.as_str()),
            provider_domains::domain.eq(name),
            provider_domains::challenge.eq(challenge),
            provider_domains::issuer.eq(issuer),
            provider_domains::verified_at.eq(verified_at),
            provider_domains::version.eq(version),
            provider_domains::created_at.eq(created_at),
            provider_domains::updated_at.eq(updated_at),
        ))
        .execute(conn)?;
    Ok(())
}

/// Whether a provider has proven this name.
pub fn is_verified(conn: &mut Conn, name: &str) -> Result<bool, Fault> {
    let proven = provider_domains::table
        .filter(provider_domains::domain.eq(name))
        .filter(provider_domains::verified_at.is_not_null())
        .filter(provider_domains::deleted_at.is_null());
    let found: Option<String> = proven.select(provider_domains::id).first(conn).optional()?;
    Ok(found.is_some())
}

/// Marks a domain as proven. `false`: deleted or proven before. `now` in epoch seconds.
///
/// # Errors
///
/// A broken constraint if another provider has proven the name meanwhile.
pub fn verify(conn: &mut Conn, id: &DomainId, issuer: &str, now: i64) -> Result<bool, Fault> {
    let row = provider_domains::table
        .find(id.as_str())
        .filter(provider_domains::verified_at.is_null())
        .filter(provider_domains::deleted_at.is_null());
    let proven = (
        provider_domains::verified_at.eq(now),
        provider_domains::issuer.eq(issuer),
        provider_domains::updated_at.eq(now),
        provider_domains::version.eq(provider_domains::version + 1),
    );
    Ok(diesel::update(row).set(proven).execute(conn)? == 1)
}

/// Raises the version of the provider's domains with these issuers: what they show has changed.
pub fn touch(conn: &mut Conn, provider: &ProviderId, of_issuers: [&str; 2], now: i64) -> Result<(), Fault> {
    let rows = provider_domains::table
        .filter(provider_domains::provider_id.eq(provider.as_str()))
        .filter(provider_domains::issuer.eq_any(of_issuers))
        .filter(provider_domains::deleted_at.is_null());
    let changed = (provider_domains::updated_at.eq(now), provider_domains::version.eq(provider_domains::version + 1));
    diesel::update(rows).set(changed).execute(conn)?;
    Ok(())
}

/// Writes another issuer for a verified domain. `now` in epoch seconds.
pub fn set_issuer(conn: &mut Conn, provider: &ProviderId, name: &str, issuer: &str, now: i64) -> Result<(), Fault> {
    let row = provider_domains::table
        .filter(provider_domains::provider_id.eq(provider.as_str()))
        .filter(provider_domains::domain.eq(name))
        .filter(provider_domains::deleted_at.is_null());
    let changed = (
        provider_domains::issuer.eq(issuer),
        provider_domains::updated_at.eq(now),
        provider_domains::version.eq(provider_domains::version + 1),
    );
    diesel::update(row).set(changed).execute(conn)?;
    Ok(())
}

/// Ends a domain. `false`: unknown, or deleted before. `now` in epoch seconds.
pub fn soft_delete(conn: &mut Conn, id: &DomainId, now: i64) -> Result<bool, Fault> {
    let row = provider_domains::table.find(id.as_str()).filter(provider_domains::deleted_at.is_null());
    let end = (
        provider_domains::deleted_at.eq(now),
        provider_domains::updated_at.eq(now),
        provider_domains::version.eq(provider_domains::version + 1),
    );
    Ok(diesel::update(row).set(end).execute(conn)? == 1)
}

/// Ends every domain of a provider; how many there were. `now` in epoch seconds.
pub fn end_of_provider(conn: &mut Conn, provider: &ProviderId, now: i64) -> Result<usize, Fault> {
    let rows = provider_domains::table
        .filter(provider_domains::provider_id.eq(provider.as_str()))
        .filter(provider_domains::deleted_at.is_null());
    let end = (provider_domains::deleted_at.eq(now), provider_domains::updated_at.eq(now));
    Ok(diesel::update(rows).set(end).execute(conn)?)
}

/// Every verified domain of the provider with its issuer, the one that was proven first before the
/// others.
pub fn verified(conn: &mut Conn, provider: &ProviderId) -> Result<Vec<(String, String)>, Fault> {
    let rows: Vec<(String, Option<String>)> = provider_domains::table
        .filter(provider_domains::provider_id.eq(provider.as_str()))
        .filter(provider_domains::verified_at.is_not_null())
        .filter(provider_domains::deleted_at.is_null())
        .order((provider_domains::verified_at, provider_domains::id))
        .select((provider_domains::domain, provider_domains::issuer))
        .load(conn)?;
    Ok(rows.into_iter().filter_map(|(name, issuer)| Some((name, issuer?))).collect())
}

/// Every verified domain of every provider that is not deleted.
pub fn served(conn: &mut Conn) -> Result<Vec<ServedDomain>, Fault> {
    let rows: Vec<(String, String)> = provider_domains::table
        .inner_join(providers::table)
        .filter(provider_domains::verified_at.is_not_null())
        .filter(provider_domains::deleted_at.is_null())
        .filter(providers::deleted_at.is_null())
        .select((provider_domains::domain, providers::slug))
        .load(conn)?;
    let served = |(name, slug): (String, String)| ServedDomain { name: name.into(), provider: slug.into() };
    Ok(rows.into_iter().map(served).collect())
}
