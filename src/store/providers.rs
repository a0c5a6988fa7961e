//! `providers` and `provider_issuers`.
//!
//! The issuer of a provider is the primary row of `provider_issuers`; what becomes of the issuers of a
//! provider that lives is in `store::issuers`. A deleted provider keeps its row, so its slug is never
//! given out again, while its issuers are ended and free.

use std::collections::HashMap;

use diesel::prelude::*;

use crate::domain::page::{Found, ListRequest, Page, PageRequest, ProviderFilter};
use crate::domain::provider::ProviderTtls;
use crate::domain::{Fault, Provider, ProviderId, SigningAlg};
use crate::store::clients;
use crate::store::connection::{Conn, each};
use crate::store::fault::unreadable;
use crate::store::issuers;
use crate::store::listing::{By, Listing, Sort, in_order};
use crate::store::provider_policy::{self, Policy};
use crate::store::users;

diesel::table! {
    providers (id) {
        id -> Text,
        slug -> Text,
        name -> Text,
        default_audience -> Nullable<Text>,
        access_token_signing_alg -> Text,
        access_token_ttl -> BigInt,
        id_token_ttl -> BigInt,
        authorization_code_ttl -> BigInt,
        refresh_token_ttl -> BigInt,
        refresh_token_max_ttl -> BigInt,
        max_ttl -> BigInt,
        jwks_max_age -> BigInt,
        key_rotation -> BigInt,
        strict_scopes -> Bool,
        surfaces -> Text,
        enabled -> Bool,
        epoch -> BigInt,
        version -> BigInt,
        created_at -> BigInt,
        updated_at -> BigInt,
        deleted_at -> Nullable<BigInt>,
        policy -> Text,
        older_tokens_end_at -> BigInt,
    }
}

diesel::table! {
    provider_issuers (provider_id, issuer) {
        provider_id -> Text,
        issuer -> Text,
        is_primary -> Bool,
        created_at -> BigInt,
        ended_at -> Nullable<BigInt>,
        is_base -> Bool,
    }
}

diesel::joinable!(provider_issuers -> providers (provider_id));
diesel::allow_tables_to_appear_in_same_query!(providers, provider_issuers);

#[derive(Queryable)]
struct Row {
    id: String,
    slug: String,
    name: String,
    default_audience: Option<String>,
    access_token_signing_alg: String,
    access_token_ttl: i64,
    id_token_ttl: i64,
    authorization_code_ttl: i64,
    refresh_token_ttl: i64,
    refresh_token_max_ttl: i64,
    max_ttl: i64,
    jwks_max_age: i64,
    key_rotation: i64,
    strict_scopes: bool,
    surfaces: String,
    enabled: bool,
    epoch: i64,
    version: i64,
    created_at: i64,
    updated_at: i64,
    deleted_at: Option<i64>,
    policy: String,
    older_tokens_end_at: i64,
}

fn provider((row, issuer): (Row, String)) -> Result<Provider, Fault> {
    let Row {
        id,
        slug,
        name,
        default_audience,
        access_token_signing_alg,
        access_token_ttl,
        id_token_ttl,
        authorization_code_ttl,
        refresh_token_ttl,
        refresh_token_max_ttl,
        max_ttl,
        jwks_max_age,
        key_rotation,
        strict_scopes,
        surfaces,
        enabled,
        epoch,
        version,
        created_at,
        updated_at,
        deleted_at,
        policy,
        older_tokens_end_at,
    } = row;
    let Policy { sessions, branding, description } = provider_policy::read(&policy)?;
    Ok(Provider {
        id: ProviderId::from(id),
        slug,
        name,
        description,
        issuer,
        default_audience,
        access_token_signing_alg: SigningAlg::from_name(&access_token_signing_alg)
            .ok_or_else(|| unreadable("providers", "access_token_signing_alg"))?,
        ttls: ProviderTtls {
            access_token: access_token_ttl,
            id_token: id_token_ttl,
            authorization_code: authorization_code_ttl,
            refresh_token: refresh_token_ttl,
            refresh_token_max: refresh_token_max_ttl,
            max: max_ttl,
            jwks_max_age,
            key_rotation,
        },
        strict_scopes,
        surfaces: serde_json::from_str(&surfaces).map_err(|_| unreadable("providers", "surfaces"))?,
        sessions,
        branding,
        enabled,
        epoch: u32::try_from(epoch).map_err(|_| unreadable("providers", "epoch"))?,
        version,
        created_at,
        updated_at,
        deleted_at,
        older_tokens_end_at,
    })
}

/// The columns an update may change, as one assignment, so that insert and update cannot drift.
macro_rules! mutable {
    ($name:expr, $default_audience:expr, $alg:expr, $ttls:expr, $strict_scopes:expr, $surfaces:expr, $enabled:expr,
     $epoch:expr, $updated_at:expr, $policy:expr) => {{
        let ProviderTtls {
            access_token,
            id_token,
            authorization_code,
            refresh_token,
            refresh_token_max,
            max,
            jwks_max_age,
            key_rotation,
        } = $ttls;
        (
            providers::name.eq($name),
            providers::default_audience.eq($default_audience),
            providers::access_token_signing_alg.eq($alg.name()),
            providers::access_token_ttl.eq(access_token),
            providers::id_token_ttl.eq(id_token),
            providers::authorization_code_ttl.eq(authorization_code),
            providers::refresh_token_ttl.eq(refresh_token),
            providers::refresh_token_max_ttl.eq(refresh_token_max),
            providers::max_ttl.eq(max),
            providers::jwks_max_age.eq(jwks_max_age),
            providers::key_rotation.eq(key_rotation),
            providers::strict_scopes.eq($strict_scopes),
            providers::surfaces.eq(serde_json::to_string($surfaces).map_err(Fault::store)?),
            providers::enabled.eq($enabled),
            providers::epoch.eq(i64::from(*$epoch)),
            providers::updated_at.eq($updated_at),
            providers::policy.eq($policy),
        )
    }};
}

/// By id; also one that is deleted, for callers that must know.
pub fn by_id(conn: &mut Conn, id: &ProviderId) -> Result<Option<Provider>, Fault> {
    let row: Option<(Row, String)> = each!(conn, conn => providers::table
        .inner_join(provider_issuers::table)
        .filter(provider_issuers::is_primary)
        .filter(providers::id.eq(id.as_str()))
        .select((providers::all_columns, provider_issuers::issuer))
        .first(conn)
        .optional())?;
    row.map(provider).transpose()
}

/// By slug; also one that is deleted.
pub fn by_slug(conn: &mut Conn, slug: &str) -> Result<Option<Provider>, Fault> {
    let row: Option<(Row, String)> = each!(conn, conn => providers::table
        .inner_join(provider_issuers::table)
        .filter(provider_issuers::is_primary)
        .filter(providers::slug.eq(slug))
        .select((providers::all_columns, provider_issuers::issuer))
        .first(conn)
        .optional())?;
    row.map(provider).transpose()
}

/// The provider that one of its issuers, primary or not, belongs to.
pub fn by_issuer(conn: &mut Conn, issuer: &str) -> Result<Option<ProviderId>, Fault> {
    let live = provider_issuers::table
        .filter(provider_issuers::issuer.eq(issuer))
        .filter(provider_issuers::ended_at.is_null());
    let id: Option<String> = live.select(provider_issuers::provider_id).first(conn).optional()?;
    Ok(id.map(ProviderId::from))
}

/// Those that are not deleted, ordered by id.
pub fn list(conn: &mut Conn, page: &PageRequest) -> Result<Page<Provider>, Fault> {
    let rows: Vec<(Row, String)> = providers::table
        .inner_join(provider_issuers::table)
        .filter(provider_issuers::is_primary)
        .filter(providers::deleted_at.is_null())
        .filter(providers::id.gt(page.after.as_deref().unwrap_or_default()))
        .order(providers::id)
        .limit(i64::from(page.limit) + 1)
        .select((providers::all_columns, provider_issuers::issuer))
        .load(conn)?;
    let items = rows.into_iter().map(provider).collect::<Result<Vec<_>, _>>()?;
    Ok(Page::cut(items, page, |provider| provider.id.to_string()))
}

const SORTS: [Sort; 3] = [
    Sort { name: "created_at", by: By::Id },
    Sort { name: "slug", by: By::Text("slug") },
    Sort { name: "name", by: By::Text("name") },
];

/// Those that are not deleted and pass the filter.
pub fn find(conn: &mut Conn, request: &ListRequest<ProviderFilter>) -> Result<Found<Provider>, Fault> {
    let ProviderFilter { enabled, slug_prefix } = &request.filter;
    let mut listing = Listing::of(conn, "providers", "id");
    listing.only("deleted_at IS NULL");
    listing.only_if("enabled", *enabled);
    if let Some(prefix) = slug_prefix {
        listing.only_beginning("slug", prefix);
    }
    let found = listing.ids(conn, &SORTS, request)?;
    let ids = &found.items;
    let rows: Vec<(Row, String)> = each!(conn, conn => providers::table
        .inner_join(provider_issuers::table)
        .filter(provider_issuers::is_primary)
        .filter(providers::id.eq_any(ids))
        .select((providers::all_columns, provider_issuers::issuer))
        .load(conn))?;
    let items = rows.into_iter().map(provider).collect::<Result<Vec<_>, _>>()?;
    Ok(in_order(found, items, |provider| provider.id.to_string()))
}

/// A new provider with its issuer. `false`: the id, slug or issuer is taken, and nothing is written.
pub fn insert(conn: &mut Conn, new: &Provider) -> Result<bool, Fault> {
    let Provider {
        id,
        slug,
        name,
        description,
        issuer,
        default_audience,
        access_token_signing_alg,
        ttls,
        strict_scopes,
        surfaces,
        sessions,
        branding,
        enabled,
        epoch,
        version,
        created_at,
        updated_at,
        deleted_at,
        // The database's own.
        older_tokens_end_at: _,
    } = new;
    if by_issuer(conn, issuer)?.is_some() {
        return Ok(false);
    }
    let values = (
        (
            providers::id.eq(id.as_str()),
            providers::slug.eq(slug),
            providers::version.eq(version),
            providers::created_at.eq(created_at),
            providers::deleted_at.eq(deleted_at),
        ),
        mutable!(
            name,
            default_audience,
            access_token_signing_alg,
            ttls,
            strict_scopes,
            surfaces,
            enabled,
            epoch,
            updated_at,
            provider_policy::write(sessions, branding, description.as_deref())
        ),
    );
    let rows = each!(conn, conn => diesel::insert_into(providers::table)
        .values(values)
        .on_conflict_do_nothing()
        .execute(conn))?;
    if rows == 1 {
        // Two providers that claim one issuer at the same moment: the index makes the later one a
        // fault, and its transaction takes the provider back too.
        issuers::add_base(conn, id, issuer, *created_at)?;
    }
    Ok(rows == 1)
}

/// Writes the changeable fields of `new` if the row still has `expected_version` and is not
/// deleted; raises the version. Issuers have functions of their own.
pub fn update(conn: &mut Conn, new: &Provider, expected_version: i64) -> Result<bool, Fault> {
    let Provider {
        id,
        slug: _,
        name,
        description,
        issuer: _,
        default_audience,
        access_token_signing_alg,
        ttls,
        strict_scopes,
        surfaces,
        sessions,
        branding,
        enabled,
        epoch,
        version: _,
        created_at: _,
        updated_at,
        deleted_at: _,
        older_tokens_end_at: _,
    } = new;
    let row = providers::table
        .filter(providers::id.eq(id.as_str()))
        .filter(providers::version.eq(expected_version))
        .filter(providers::deleted_at.is_null());
    let values = (
        providers::version.eq(providers::version + 1),
        mutable!(
            name,
            default_audience,
            access_token_signing_alg,
            ttls,
            strict_scopes,
            surfaces,
            enabled,
            epoch,
            updated_at,
            provider_policy::write(sessions, branding, description.as_deref())
        ),
    );
    Ok(diesel::update(row).set(values).execute(conn)? == 1)
}

/// The slugs of these providers, deleted ones included.
pub fn slugs(conn: &mut Conn, ids: &[&ProviderId]) -> Result<HashMap<ProviderId, String>, Fault> {
    let wanted: Vec<&str> = ids.iter().map(|id| id.as_str()).collect();
    let named = providers::table.select((providers::id, providers::slug));
    let rows: Vec<(String, String)> = each!(conn, conn => named.filter(providers::id.eq_any(&wanted)).load(conn))?;
    Ok(rows.into_iter().map(|(id, slug)| (ProviderId::from(id), slug)).collect())
}

/// How a deletion ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    Done,
    /// Unknown, deleted before, or not of the expected version.
    NotCurrent,
    /// It has live clients and `cascade` was not said.
    HasClients,
    /// It has live users and `cascade` was not said.
    HasUsers,
}

/// Ends a provider and its issuers and raises its epoch. `now` in epoch seconds. Call it in a
/// transaction: it locks the provider's row first, so no client or user is made beside it.
pub fn soft_delete(
    conn: &mut Conn,
    id: &ProviderId,
    expected_version: Option<i64>,
    cascade: bool,
    now: i64,
) -> Result<Deletion, Fault> {
    if !lock(conn, id)? {
        return Ok(Deletion::NotCurrent);
    }
    if !cascade && count_live_clients(conn, id)? > 0 {
        return Ok(Deletion::HasClients);
    }
    if !cascade && users::count_live(conn, id)? > 0 {
        return Ok(Deletion::HasUsers);
    }
    let row = providers::table.filter(providers::id.eq(id.as_str())).filter(providers::deleted_at.is_null());
    let end = (
        providers::deleted_at.eq(now),
        providers::updated_at.eq(now),
        providers::epoch.eq(providers::epoch + 1),
        providers::version.eq(providers::version + 1),
    );
    let rows = match expected_version {
        Some(version) => diesel::update(row.filter(providers::version.eq(version))).set(end).execute(conn)?,
        None => diesel::update(row).set(end).execute(conn)?,
    };
    if rows == 0 {
        return Ok(Deletion::NotCurrent);
    }
    let live = provider_issuers::table
        .filter(provider_issuers::provider_id.eq(id.as_str()))
        .filter(provider_issuers::ended_at.is_null());
    diesel::update(live).set(provider_issuers::ended_at.eq(now)).execute(conn)?;
    Ok(Deletion::Done)
}

/// Holds the row until the transaction ends; `true` if the provider is not deleted. On SQLite there
/// is one writer and nothing to hold.
pub(in crate::store) fn lock(conn: &mut Conn, id: &ProviderId) -> Result<bool, Fault> {
    let row = providers::table
        .filter(providers::id.eq(id.as_str()))
        .filter(providers::deleted_at.is_null())
        .select(providers::id);
    let found: Option<String> = match conn {
        Conn::Sqlite(conn) => row.first(conn).optional()?,
        Conn::Postgres(conn) => row.for_update().first(conn).optional()?,
    };
    Ok(found.is_some())
}

/// The provider, its row held until the transaction ends; `None` if it is unknown or deleted.
pub fn locked(conn: &mut Conn, id: &ProviderId) -> Result<Option<Provider>, Fault> {
    if lock(conn, id)? { by_id(conn, id) } else { Ok(None) }
}

/// Ends every token of the provider. `false` if there is none, or it is deleted.
pub fn raise_epoch(conn: &mut Conn, id: &ProviderId) -> Result<bool, Fault> {
    let row = providers::table.filter(providers::id.eq(id.as_str())).filter(providers::deleted_at.is_null());
    let raised = (providers::epoch.eq(providers::epoch + 1), providers::version.eq(providers::version + 1));
    Ok(diesel::update(row).set(raised).execute(conn)? == 1)
}

/// Clients that are not deleted.
pub fn count_live_clients(conn: &mut Conn, id: &ProviderId) -> Result<i64, Fault> {
    clients::count_live(conn, id)
}
