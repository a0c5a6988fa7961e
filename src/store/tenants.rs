//! `tenants`. A deleted tenant keeps its row, since issuers and policies name it.

use diesel::prelude::*;

use crate::domain::page::{Page, PageRequest};
use crate::domain::{Fault, ProviderId, Tenant, TenantId};
use crate::store::connection::Conn;

diesel::table! {
    tenants (id) {
        id -> Text,
        provider_id -> Text,
        name -> Text,
        description -> Text,
        created_at -> BigInt,
        updated_at -> BigInt,
        deleted_at -> Nullable<BigInt>,
    }
}

#[derive(Queryable, Insertable)]
#[diesel(table_name = tenants)]
struct Row {
    id: String,
    provider_id: String,
    name: String,
    description: String,
    created_at: i64,
    updated_at: i64,
    deleted_at: Option<i64>,
}

impl From<Row> for Tenant {
    fn from(row: Row) -> Self {
        let Row { id, provider_id, name, description, created_at, updated_at, deleted_at } = row;
        let (id, provider) = (id.into(), provider_id.into());
        Self { id, provider, name, description, created_at, updated_at, deleted_at }
    }
}

impl From<Tenant> for Row {
    fn from(tenant: Tenant) -> Self {
        let Tenant { id, provider, name, description, created_at, updated_at, deleted_at } = tenant;
        let (id, provider_id) = (id.to_string(), provider.to_string());
        Self { id, provider_id, name, description, created_at, updated_at, deleted_at }
    }
}

pub fn insert(conn: &mut Conn, tenant: Tenant) -> Result<(), Fault> {
    diesel::insert_into(tenants::table).values(Row::from(tenant)).execute(conn)?;
    Ok(())
}

/// One of the provider that is not deleted.
pub fn get(conn: &mut Conn, provider: &ProviderId, id: &TenantId) -> Result<Option<Tenant>, Fault> {
    let row: Option<Row> = tenants::table
        .find(id.as_str())
        .filter(tenants::provider_id.eq(provider.as_str()))
        .filter(tenants::deleted_at.is_null())
        .first(conn)
        .optional()?;
    Ok(row.map(Tenant::from))
}

/// As [`get`], the row held until the transaction ends. On SQLite there is one writer and nothing to
/// hold.
pub fn locked(conn: &mut Conn, provider: &ProviderId, id: &TenantId) -> Result<Option<Tenant>, Fault> {
    let row = tenants::table
        .find(id.as_str())
        .filter(tenants::provider_id.eq(provider.as_str()))
        .filter(tenants::deleted_at.is_null());
    let found: Option<Row> = match conn {
        Conn::Sqlite(conn) => row.first(conn).optional()?,
        Conn::Postgres(conn) => row.for_update().first(conn).optional()?,
    };
    Ok(found.map(Tenant::from))
}

/// Those of the provider that are not deleted, ordered by id.
pub fn list(conn: &mut Conn, provider: &ProviderId, page: &PageRequest) -> Result<Page<Tenant>, Fault> {
    let rows: Vec<Row> = tenants::table
        .filter(tenants::provider_id.eq(provider.as_str()))
        .filter(tenants::id.gt(page.after.as_deref().unwrap_or_default()))
        .filter(tenants::deleted_at.is_null())
        .order(tenants::id)
        .limit(i64::from(page.limit) + 1)
        .load(conn)?;
    Ok(Page::cut(rows.into_iter().map(Tenant::from).collect(), page, |tenant| tenant.id.to_string()))
}

/// Ends a tenant. `false`: unknown or deleted before. `now` in epoch seconds.
pub fn soft_delete(conn: &mut Conn, provider: &ProviderId, id: &TenantId, now: i64) -> Result<bool, Fault> {
    let row = tenants::table
        .find(id.as_str())
        .filter(tenants::provider_id.eq(provider.as_str()))
        .filter(tenants::deleted_at.is_null());
    let end = (tenants::deleted_at.eq(now), tenants::updated_at.eq(now));
    Ok(diesel::update(row).set(end).execute(conn)? == 1)
}
