//! `trusted_issuers`. A deleted row stays, so that its id in the log and in `assertion_jtis` goes on
//! meaning what it meant.

use diesel::prelude::*;
use serde::{Deserialize, Serialize};

use crate::domain::page::{Found, ListRequest, Page, PageRequest, TrustedIssuerFilter};
use crate::domain::trust::{
    Condition, IssuerKeys, MAX_ROWS_OF_ISSUER, MapTo, Operator, Provision, TrustPurpose, TrustRules,
};
use crate::domain::{AudienceSet, Fault, IssuerId, ProviderId, ScopeSet, TenantId, TrustedIssuer};
use crate::store::connection::{Conn, each};
use crate::store::fault::unreadable;
use crate::store::listing::{By, Listing, Sort, in_order};
use crate::store::providers::providers;

diesel::table! {
    trusted_issuers (id) {
        id -> Text,
        provider_id -> Text,
        issuer -> Text,
        purpose -> Text,
        jwks -> Nullable<Text>,
        jwks_uri -> Nullable<Text>,
        rules -> Text,
        enabled -> Bool,
        version -> BigInt,
        created_at -> BigInt,
        updated_at -> BigInt,
        deleted_at -> Nullable<BigInt>,
        tenant_id -> Nullable<Text>,
    }
}

diesel::joinable!(trusted_issuers -> providers (provider_id));
diesel::allow_tables_to_appear_in_same_query!(trusted_issuers, providers);

#[derive(Queryable, Insertable, AsChangeset)]
#[diesel(table_name = trusted_issuers, treat_none_as_null = true)]
struct Row {
    id: String,
    provider_id: String,
    issuer: String,
    purpose: String,
    jwks: Option<String>,
    jwks_uri: Option<String>,
    rules: String,
    enabled: bool,
    version: i64,
    created_at: i64,
    updated_at: i64,
    deleted_at: Option<i64>,
    tenant_id: Option<String>,
}

/// The JSON text of `rules`. A field that an older release did not write has its default, and the
/// defaults permit nothing.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Mirror {
    clients: Vec<String>,
    audiences: String,
    algorithms: Vec<String>,
    subject_claim: String,
    conditions: Vec<MirrorCondition>,
    token_types: Vec<String>,
    require_jti: bool,
    max_age: Option<i64>,
    map_to: String,
    provision: String,
    link_by_verified_email: bool,
    allow_refresh: bool,
    scope: Option<String>,
    audience: String,
    max_ttl: Option<i64>,
    fingerprints: Vec<String>,
}

/// A condition as JSON text.
#[derive(Serialize, Deserialize)]
pub(in crate::store) struct MirrorCondition {
    claim: String,
    operator: String,
    values: Vec<String>,
}

impl MirrorCondition {
    /// `None`: an operator of a newer release.
    pub(in crate::store) fn condition(self) -> Option<Condition> {
        let Self { claim, operator, values } = self;
        Some(Condition { claim, operator: Operator::from_name(&operator)?, values })
    }
}

impl From<Condition> for MirrorCondition {
    fn from(condition: Condition) -> Self {
        let Condition { claim, operator, values } = condition;
        Self { claim, operator: operator.name().to_owned(), values }
    }
}

impl TryFrom<Row> for TrustedIssuer {
    type Error = Fault;

    fn try_from(row: Row) -> Result<Self, Fault> {
        let Row {
            id,
            provider_id,
            issuer,
            purpose,
            jwks,
            jwks_uri,
            rules,
            enabled,
            version,
            created_at,
            updated_at,
            deleted_at,
            tenant_id,
        } = row;
        let keys = match (jwks, jwks_uri) {
            (Some(jwks), None) => IssuerKeys::Pasted(jwks),
            (None, Some(url)) => IssuerKeys::Url(url),
            (None, None) => IssuerKeys::Discovery,
            (Some(_), Some(_)) => return Err(unreadable("trusted_issuers", "jwks_uri")),
        };
        Ok(Self {
            id: id.into(),
            provider: provider_id.into(),
            tenant: tenant_id.map(TenantId::from),
            issuer,
            keys,
            purpose: TrustPurpose::from_name(&purpose).ok_or_else(|| unreadable("trusted_issuers", "purpose"))?,
            rules: read_rules(&rules)?,
            enabled,
            version,
            created_at,
            updated_at,
            deleted_at,
        })
    }
}

impl From<TrustedIssuer> for Row {
    fn from(issuer: TrustedIssuer) -> Self {
        let TrustedIssuer {
            id,
            provider,
            tenant,
            issuer,
            keys,
            purpose,
            rules,
            enabled,
            version,
            created_at,
            updated_at,
            deleted_at,
        } = issuer;
        let (jwks, jwks_uri) = match keys {
            IssuerKeys::Pasted(jwks) => (Some(jwks), None),
            IssuerKeys::Url(url) => (None, Some(url)),
            IssuerKeys::Discovery => (None, None),
        };
        Self {
            id: id.to_string(),
            provider_id: provider.to_string(),
            issuer,
            purpose: purpose.name().to_owned(),
            jwks,
            jwks_uri,
            rules: write_rules(rules),
            enabled,
            version,
            created_at,
            updated_at,
            deleted_at,
            tenant_id: tenant.map(|tenant| tenant.to_string()),
        }
    }
}

fn read_rules(text: &str) -> Result<TrustRules, Fault> {
    let bad = || unreadable("trusted_issuers", "rules");
    let Mirror {
        clients,
        audiences,
        algorithms,
        subject_claim,
        conditions,
        token_types,
        require_jti,
        max_age,
        map_to,
        provision,
        link_by_verified_email,
        allow_refresh,
        scope,
        audience,
        max_ttl,
        fingerprints,
    } = serde_json::from_str(text).map_err(|_| bad())?;
    let conditions: Option<Vec<Condition>> = conditions.into_iter().map(MirrorCondition::condition).collect();
    Ok(TrustRules {
        clients: clients.into_iter().map(Into::into).collect(),
        audiences: AudienceSet::parse(&audiences).map_err(|_| bad())?,
        algorithms,
        subject_claim,
        conditions: conditions.ok_or_else(bad)?,
        token_types,
        require_jti,
        max_age,
        map_to: MapTo::from_name(&map_to).ok_or_else(bad)?,
        provision: Provision::from_name(&provision).ok_or_else(bad)?,
        link_by_verified_email,
        allow_refresh,
        scope: scope.map(|scope| ScopeSet::parse(&scope)).transpose().map_err(|_| bad())?,
        audience: AudienceSet::parse(&audience).map_err(|_| bad())?,
        max_ttl,
        fingerprints,
    })
}

fn write_rules(rules: TrustRules) -> String {
    let TrustRules {
        clients,
        audiences,
        algorithms,
        subject_claim,
        conditions,
        token_types,
        require_jti,
        max_age,
        map_to,
        provision,
        link_by_verified_email,
        allow_refresh,
        scope,
        audience,
        max_ttl,
        fingerprints,
    } = rules;
    let mirror = Mirror {
        clients: clients.into_iter().map(|client| client.to_string()).collect(),
        audiences: audiences.as_str().to_owned(),
        algorithms,
        subject_claim,
        conditions: conditions.into_iter().map(MirrorCondition::from).collect(),
        token_types,
        require_jti,
        max_age,
        map_to: map_to.name().to_owned(),
        provision: provision.name().to_owned(),
        link_by_verified_email,
        allow_refresh,
        scope: scope.map(|scope| scope.as_str().to_owned()),
        audience: audience.as_str().to_owned(),
        max_ttl,
        fingerprints,
    };
    // Strings, numbers and lists always serialise; an empty text would be refused when read.
    serde_json::to_string(&mirror).unwrap_or_default()
}

pub fn insert(conn: &mut Conn, issuer: TrustedIssuer) -> Result<(), Fault> {
    diesel::insert_into(trusted_issuers::table).values(Row::from(issuer)).execute(conn)?;
    Ok(())
}

/// One of the provider that is not deleted.
pub fn get(conn: &mut Conn, provider: &ProviderId, id: &IssuerId) -> Result<Option<TrustedIssuer>, Fault> {
    let row: Option<Row> = trusted_issuers::table
        .find(id.as_str())
        .filter(trusted_issuers::provider_id.eq(provider.as_str()))
        .filter(trusted_issuers::deleted_at.is_null())
        .first(conn)
        .optional()?;
    row.map(TrustedIssuer::try_from).transpose()
}

/// Those of the provider that are not deleted, ordered by id.
pub fn list(conn: &mut Conn, provider: &ProviderId, page: &PageRequest) -> Result<Page<TrustedIssuer>, Fault> {
    let rows: Vec<Row> = trusted_issuers::table
        .filter(trusted_issuers::provider_id.eq(provider.as_str()))
        .filter(trusted_issuers::id.gt(page.after.as_deref().unwrap_or_default()))
        .filter(trusted_issuers::deleted_at.is_null())
        .order(trusted_issuers::id)
        .limit(i64::from(page.limit) + 1)
        .load(conn)?;
    let items = rows.into_iter().map(TrustedIssuer::try_from).collect::<Result<Vec<_>, _>>()?;
    Ok(Page::cut(items, page, |issuer| issuer.id.to_string()))
}

/// Those that are not deleted and pass the filter.
pub fn find(
    conn: &mut Conn,
    provider: &ProviderId,
    request: &ListRequest<TrustedIssuerFilter>,
) -> Result<Found<TrustedIssuer>, Fault> {
    let TrustedIssuerFilter { enabled, issuer } = &request.filter;
    let mut listing = Listing::of(conn, "trusted_issuers", "id");
    listing.only_with("provider_id = ?", provider.as_str());
    listing.only("deleted_at IS NULL");
    listing.only_if("enabled", *enabled);
    if let Some(issuer) = issuer {
        listing.only_with("issuer = ?", issuer);
    }
    let found = listing.ids(conn, &[Sort { name: "created_at", by: By::Id }], request)?;
    let ids = &found.items;
    let rows: Vec<Row> =
        each!(conn, conn => trusted_issuers::table.filter(trusted_issuers::id.eq_any(ids)).load(conn))?;
    let items = rows.into_iter().map(TrustedIssuer::try_from).collect::<Result<Vec<_>, _>>()?;
    Ok(in_order(found, items, |issuer| issuer.id.to_string()))
}

/// Those of a tenant that are not deleted, ordered by id.
pub fn of_tenant(conn: &mut Conn, tenant: &TenantId, page: &PageRequest) -> Result<Page<TrustedIssuer>, Fault> {
    let rows: Vec<Row> = trusted_issuers::table
        .filter(trusted_issuers::tenant_id.eq(tenant.as_str()))
        .filter(trusted_issuers::id.gt(page.after.as_deref().unwrap_or_default()))
        .filter(trusted_issuers::deleted_at.is_null())
        .order(trusted_issuers::id)
        .limit(i64::from(page.limit) + 1)
        .load(conn)?;
    let items = rows.into_iter().map(TrustedIssuer::try_from).collect::<Result<Vec<_>, _>>()?;
    Ok(Page::cut(items, page, |issuer| issuer.id.to_string()))
}

/// Ends every row of a tenant. `now` in epoch seconds.
pub fn end_of_tenant(conn: &mut Conn, tenant: &TenantId, now: i64) -> Result<(), Fault> {
    let rows = trusted_issuers::table
        .filter(trusted_issuers::tenant_id.eq(tenant.as_str()))
        .filter(trusted_issuers::deleted_at.is_null());
    let end = (
        trusted_issuers::deleted_at.eq(now),
        trusted_issuers::updated_at.eq(now),
        trusted_issuers::version.eq(trusted_issuers::version + 1),
    );
    diesel::update(rows).set(end).execute(conn)?;
    Ok(())
}

/// The rows of one issuer (`iss`, byte for byte) that a token is judged by: those of the provider itself that
/// are not deleted, disabled ones last, each group in order of their ids. Never more than a provider may make;
/// an older release let it make more.
pub fn of_issuer(conn: &mut Conn, provider: &ProviderId, issuer: &str) -> Result<Vec<TrustedIssuer>, Fault> {
    let rows: Vec<Row> = trusted_issuers::table
        .filter(trusted_issuers::provider_id.eq(provider.as_str()))
        .filter(trusted_issuers::issuer.eq(issuer))
        .filter(trusted_issuers::deleted_at.is_null())
        .filter(trusted_issuers::tenant_id.is_null())
        .order((trusted_issuers::enabled.desc(), trusted_issuers::id))
        .limit(MAX_ROWS_OF_ISSUER as i64)
        .load(conn)?;
    rows.into_iter().map(TrustedIssuer::try_from).collect()
}

/// Whether the provider has as many rows of this issuer as it may have. Decides only under
/// [`crate::store::providers::locked`].
pub fn is_crowded(conn: &mut Conn, provider: &ProviderId, issuer: &str) -> Result<bool, Fault> {
    let rows: Vec<String> = trusted_issuers::table
        .select(trusted_issuers::id)
        .filter(trusted_issuers::provider_id.eq(provider.as_str()))
        .filter(trusted_issuers::issuer.eq(issuer))
        .filter(trusted_issuers::deleted_at.is_null())
        .filter(trusted_issuers::tenant_id.is_null())
        .limit(MAX_ROWS_OF_ISSUER as i64)
        .load(conn)?;
    Ok(rows.len() >= MAX_ROWS_OF_ISSUER)
}

/// Whether the tenant has a row of this issuer that is not deleted.
pub fn tenant_has(conn: &mut Conn, tenant: &TenantId, issuer: &str) -> Result<bool, Fault> {
    let rows = trusted_issuers::table
        .filter(trusted_issuers::tenant_id.eq(tenant.as_str()))
        .filter(trusted_issuers::issuer.eq(issuer))
        .filter(trusted_issuers::deleted_at.is_null());
    Ok(diesel::select(diesel::dsl::exists(rows)).get_result(conn)?)
}

/// Providers with more rows of an issuer than a token is judged by, the issuer and how many: at most `limit`.
/// Reads the whole table.
pub fn overcrowded(conn: &mut Conn, limit: u32) -> Result<Vec<(ProviderId, String, i64)>, Fault> {
    let count = diesel::dsl::count_star();
    let group = (trusted_issuers::provider_id, trusted_issuers::issuer);
    let found: Vec<(String, String, i64)> = trusted_issuers::table
        .inner_join(providers::table)
        .filter(trusted_issuers::deleted_at.is_null())
        .filter(trusted_issuers::tenant_id.is_null())
        .filter(providers::deleted_at.is_null())
        .group_by(group)
        .having(count.gt(MAX_ROWS_OF_ISSUER as i64))
        .select((trusted_issuers::provider_id, trusted_issuers::issuer, count))
        .order(group)
        .limit(i64::from(limit))
        .load(conn)?;
    Ok(found.into_iter().map(|(provider, issuer, rows)| (provider.into(), issuer, rows)).collect())
}

/// Writes every field if the row still has `expected_version` and is not deleted; raises the version.
pub fn update(conn: &mut Conn, new: TrustedIssuer, expected_version: i64) -> Result<bool, Fault> {
    let row = trusted_issuers::table
        .find(new.id.to_string())
        .filter(trusted_issuers::provider_id.eq(new.provider.to_string()))
        .filter(trusted_issuers::version.eq(expected_version))
        .filter(trusted_issuers::deleted_at.is_null());
    let values = Row::from(TrustedIssuer { version: expected_version + 1, ..new });
    Ok(diesel::update(row).set(values).execute(conn)? == 1)
}

/// Ends a row. `false`: unknown, deleted before, or not of the expected version. `now` in epoch
/// seconds.
pub fn soft_delete(
    conn: &mut Conn,
    provider: &ProviderId,
    id: &IssuerId,
    expected_version: Option<i64>,
    now: i64,
) -> Result<bool, Fault> {
    let row = trusted_issuers::table
        .find(id.as_str())
        .filter(trusted_issuers::provider_id.eq(provider.as_str()))
        .filter(trusted_issuers::deleted_at.is_null());
    let end = (
        trusted_issuers::deleted_at.eq(now),
        trusted_issuers::updated_at.eq(now),
        trusted_issuers::version.eq(trusted_issuers::version + 1),
    );
    let rows = match expected_version {
        Some(version) => diesel::update(row.filter(trusted_issuers::version.eq(version))).set(end).execute(conn)?,
        None => diesel::update(row).set(end).execute(conn)?,
    };
    Ok(rows == 1)
}
