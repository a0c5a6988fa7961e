//! `api_keys`. A deleted key keeps its row, since its id was the subject of tokens. There is always
//! an owner key left: every change that could take the last one away is guarded by the database.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

use crate::domain::page::{ApiKeyFilter, Found, ListRequest, Page, PageRequest};
use crate::domain::{ApiKey, ApiKeyId, AudienceSet, Fault, ProviderId, Role, ScopeSet};
use crate::store::connection::{Conn, each};
use crate::store::fault::unreadable;
use crate::store::listing::{By, Listing, Sort, in_order};
use crate::store::usage::{self, UsageKind};
use crate::store::{principal_names, providers};

diesel::table! {
    api_keys (id) {
        id -> Text,
        name -> Text,
        role -> Text,
        provider_id -> Nullable<Text>,
        scope -> Nullable<Text>,
        audience -> Text,
        max_ttl -> Nullable<BigInt>,
        may_set_subject -> Bool,
        pepper_id -> Text,
        digest -> Binary,
        hint -> Text,
        expires_at -> Nullable<BigInt>,
        created_at -> BigInt,
        updated_at -> BigInt,
        deleted_at -> Nullable<BigInt>,
        epoch -> BigInt,
        version -> BigInt,
    }
}

#[derive(Queryable, Insertable)]
#[diesel(table_name = api_keys)]
struct Row {
    id: String,
    name: String,
    role: String,
    provider_id: Option<String>,
    scope: Option<String>,
    audience: String,
    max_ttl: Option<i64>,
    may_set_subject: bool,
    pepper_id: String,
    digest: Vec<u8>,
    hint: String,
    expires_at: Option<i64>,
    created_at: i64,
    updated_at: i64,
    deleted_at: Option<i64>,
    epoch: i64,
    version: i64,
}

impl TryFrom<Row> for ApiKey {
    type Error = Fault;

    fn try_from(row: Row) -> Result<Self, Fault> {
        let Row {
            id,
            name,
            role,
            provider_id,
            scope,
            audience,
            max_ttl,
            may_set_subject,
            pepper_id: _,
            digest: _,
            hint,
            expires_at,
            created_at,
            updated_at,
            deleted_at,
            epoch,
            version,
        } = row;
        let scope = scope.as_deref().map(ScopeSet::parse).transpose();
        Ok(Self {
            id: ApiKeyId::from(id),
            name,
            role: Role::from_name(&role).ok_or_else(|| unreadable("api_keys", "role"))?,
            provider: provider_id.map(ProviderId::from),
            scope: scope.map_err(|_| unreadable("api_keys", "scope"))?,
            audience: AudienceSet::parse(&audience).map_err(|_| unreadable("api_keys", "audience"))?,
            max_ttl,
            may_set_subject,
            hint,
            expires_at,
            last_used_at: None,
            created_at,
            updated_at,
            deleted_at,
            epoch: u32::try_from(epoch).map_err(|_| unreadable("api_keys", "epoch"))?,
            version,
        })
    }
}

/// The keyed digest of an API key, by which it is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyDigest {
    pub pepper_id: String,
    pub digest: [u8; 32],
}

/// By id; also one that is deleted.
pub fn by_id(conn: &mut Conn, id: &ApiKeyId) -> Result<Option<ApiKey>, Fault> {
    let row: Option<Row> = api_keys::table.find(id.as_str()).first(conn).optional()?;
    let Some(row) = row else { return Ok(None) };
    Ok(with_usage(conn, vec![row])?.pop())
}

/// Those that are not deleted, ordered by id; of one provider, or all.
pub fn list(conn: &mut Conn, provider: Option<&ProviderId>, page: &PageRequest) -> Result<Page<ApiKey>, Fault> {
    let live = api_keys::table
        .filter(api_keys::deleted_at.is_null())
        .filter(api_keys::id.gt(page.after.as_deref().unwrap_or_default()))
        .order(api_keys::id)
        .limit(i64::from(page.limit) + 1);
    let rows: Vec<Row> = match provider {
        Some(provider) => live.filter(api_keys::provider_id.eq(provider.as_str())).load(conn)?,
        None => live.load(conn)?,
    };
    let keys = with_usage(conn, rows)?;
    Ok(Page::cut(keys, page, |key| key.id.to_string()))
}

const SORTS: [Sort; 2] = [Sort { name: "created_at", by: By::Id }, Sort { name: "name", by: By::Text("name") }];

/// Those that are not deleted and pass the filter; of one provider, or all. What the filter says of a
/// provider is not looked at.
pub fn find(
    conn: &mut Conn,
    provider: Option<&ProviderId>,
    request: &ListRequest<ApiKeyFilter>,
) -> Result<Found<ApiKey>, Fault> {
    let ApiKeyFilter { role, provider: _ } = &request.filter;
    let mut listing = Listing::of(conn, "api_keys", "id");
    listing.only("deleted_at IS NULL");
    if let Some(provider) = provider {
        listing.only_with("provider_id = ?", provider.as_str());
    }
    if let Some(role) = role {
        listing.only_with("role = ?", role);
    }
    let found = listing.ids(conn, &SORTS, request)?;
    let ids = &found.items;
    let rows: Vec<Row> = each!(conn, conn => api_keys::table.filter(api_keys::id.eq_any(ids)).load(conn))?;
    let keys = with_usage(conn, rows)?;
    Ok(in_order(found, keys, |key| key.id.to_string()))
}

fn with_usage(conn: &mut Conn, rows: Vec<Row>) -> Result<Vec<ApiKey>, Fault> {
    let mut keys = rows.into_iter().map(ApiKey::try_from).collect::<Result<Vec<_>, _>>()?;
    let ids: Vec<&str> = keys.iter().map(|key| key.id.as_str()).collect();
    let used = usage::of(conn, UsageKind::ApiKey, &ids)?;
    for key in &mut keys {
        key.last_used_at = used.get(key.id.as_str()).and_then(|usage| usage.last_used_at);
    }
    Ok(keys)
}

/// Whether a key was ever made, deleted ones included.
pub fn has_any(conn: &mut Conn) -> Result<bool, Fault> {
    let any: Option<String> = api_keys::table.select(api_keys::id).order(api_keys::id).first(conn).optional()?;
    Ok(any.is_some())
}

/// A new key. `false`: the digest is or was in use, the id is or was a name of somebody anywhere, or the provider
/// is gone. Call it in a transaction: the provider's row is held meanwhile.
pub fn insert(conn: &mut Conn, key: &ApiKey, digest: &KeyDigest) -> Result<bool, Fault> {
    if let Some(provider) = &key.provider
        && !providers::lock(conn, provider)?
    {
        return Ok(false);
    }
    if !principal_names::claim_everywhere(conn, &key.id)? {
        return Ok(false);
    }
    let ApiKey {
        id,
        name,
        role,
        provider,
        scope,
        audience,
        max_ttl,
        may_set_subject,
        hint,
        expires_at,
        last_used_at: _,
        created_at,
        updated_at,
        deleted_at,
        epoch,
        version,
    } = key.clone();
    let row = Row {
        id: id.to_string(),
        name,
        role: role.name().to_owned(),
        provider_id: provider.map(|provider| provider.to_string()),
        scope: scope.map(|scope| scope.as_str().to_owned()),
        audience: audience.as_str().to_owned(),
        max_ttl,
        may_set_subject,
        pepper_id: digest.pepper_id.clone(),
        digest: digest.digest.to_vec(),
        hint,
        expires_at,
        created_at,
        updated_at,
        deleted_at,
        epoch: i64::from(epoch),
        version,
    };
    let rows = each!(conn, conn => diesel::insert_into(api_keys::table)
        .values(row)
        .on_conflict_do_nothing()
        .execute(conn))?;
    if rows == 0 {
        principal_names::release(conn, &key.id)?;
    }
    Ok(rows == 1)
}

/// How a change of a key ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Done,
    /// Unknown, deleted before, or not of the expected version.
    NotCurrent,
    /// No owner key would be left.
    LastOwner,
}

/// Another owner key with a live secret that reaches as far: what must exist before this row stops being one.
/// `$1` is now. SQLite numbers `$n` by first appearance, so binds appear in order in each text. A plus keeps a column
/// from an index that most keys are in; a LIMIT lets PostgreSQL look up the secrets of one key, not join all.
const ANOTHER_OWNER: &str = "EXISTS (SELECT 1 FROM api_keys other WHERE other.id <> api_keys.id \
     AND other.role = 'owner' AND other.deleted_at IS NULL \
     AND (+other.expires_at IS NULL OR +other.expires_at > $1) \
     AND (SELECT 1 FROM api_key_secrets s WHERE s.key_id = other.id AND s.revoked_at IS NULL \
      AND (s.expires_at IS NULL OR s.expires_at > $1) LIMIT 1) IS NOT NULL \
     AND (other.provider_id IS NULL OR api_keys.provider_id IS NOT NULL))";

/// The same, of those that never expire, nor does one of their secrets: what must exist before this row is given an end. Names `$1`
/// so that both texts take the same binds.
const ANOTHER_LASTING_OWNER: &str = "EXISTS (SELECT 1 FROM api_keys other WHERE other.id <> api_keys.id \
     AND other.role = 'owner' AND other.deleted_at IS NULL AND +other.expires_at IS NULL AND $1 > 0 \
     AND (SELECT 1 FROM api_key_secrets s WHERE s.key_id = other.id AND s.revoked_at IS NULL \
      AND s.expires_at IS NULL LIMIT 1) IS NOT NULL \
     AND (other.provider_id IS NULL OR api_keys.provider_id IS NOT NULL))";

/// Writes every changeable field if the row still has `expected_version` and is not deleted; raises
/// the version. Provider, digest and times of making stay. `now` in epoch seconds. Call it in a
/// transaction.
pub fn update(conn: &mut Conn, new: &ApiKey, expected_version: i64, now: i64) -> Result<Change, Fault> {
    let ApiKey {
        id,
        name,
        role,
        provider: _,
        scope,
        audience,
        max_ttl,
        may_set_subject,
        hint: _,
        expires_at,
        last_used_at: _,
        created_at: _,
        updated_at,
        deleted_at: _,
        epoch,
        version: _,
    } = new;
    let stays_owner = *role == Role::Owner && expires_at.is_none_or(|end| end > now);
    if !stays_owner && is_last_owner(conn, id, now, ANOTHER_OWNER)? {
        return Ok(Change::LastOwner);
    }
    let gets_an_end = expires_at.is_some() && *expires_at != expiry(conn, id)?;
    if stays_owner && gets_an_end && is_last_owner(conn, id, now, ANOTHER_LASTING_OWNER)? {
        return Ok(Change::LastOwner);
    }
    let row = api_keys::table
        .filter(api_keys::id.eq(id.as_str()))
        .filter(api_keys::version.eq(expected_version))
        .filter(api_keys::deleted_at.is_null());
    let values = (
        api_keys::name.eq(name),
        api_keys::role.eq(role.name()),
        api_keys::scope.eq(scope.as_ref().map(ScopeSet::as_str)),
        api_keys::audience.eq(audience.as_str()),
        api_keys::max_ttl.eq(max_ttl),
        api_keys::may_set_subject.eq(may_set_subject),
        api_keys::expires_at.eq(expires_at),
        api_keys::updated_at.eq(updated_at),
        api_keys::epoch.eq(i64::from(*epoch)),
        api_keys::version.eq(api_keys::version + 1),
    );
    let rows = diesel::update(row).set(values).execute(conn)?;
    Ok(if rows == 1 { Change::Done } else { Change::NotCurrent })
}

/// Ends a key and raises its epoch. `now` in epoch seconds. Call it in a transaction.
pub fn soft_delete(conn: &mut Conn, id: &ApiKeyId, expected_version: Option<i64>, now: i64) -> Result<Change, Fault> {
    if is_last_owner(conn, id, now, ANOTHER_OWNER)? {
        return Ok(Change::LastOwner);
    }
    let end = format!(
        "UPDATE api_keys SET deleted_at = $1, updated_at = $1, epoch = epoch + 1, version = version + 1 \
         WHERE id = $2 AND deleted_at IS NULL AND ($3 IS NULL OR version = $3) AND (role <> 'owner' OR {ANOTHER_OWNER})"
    );
    let rows = diesel::sql_query(end)
        .bind::<BigInt, _>(now)
        .bind::<Text, _>(id.as_str())
        .bind::<Nullable<BigInt>, _>(expected_version)
        .execute(conn)?;
    Ok(if rows == 1 { Change::Done } else { Change::NotCurrent })
}

fn expiry(conn: &mut Conn, id: &ApiKeyId) -> Result<Option<i64>, Fault> {
    let found: Option<Option<i64>> =
        api_keys::table.find(id.as_str()).select(api_keys::expires_at).first(conn).optional()?;
    Ok(found.flatten())
}

/// The keys that are bound to this provider and not deleted, their rows held until the transaction ends.
/// When each was last used is left out. On SQLite there is one writer and nothing to hold.
pub fn held_of_provider(conn: &mut Conn, provider: &ProviderId) -> Result<Vec<ApiKey>, Fault> {
    // In one order, so that two transactions never wait for each other.
    let bound = api_keys::table
        .filter(api_keys::provider_id.eq(provider.as_str()))
        .filter(api_keys::deleted_at.is_null())
        .order(api_keys::id);
    let rows: Vec<Row> = match conn {
        Conn::Sqlite(conn) => bound.load(conn)?,
        Conn::Postgres(conn) => bound.for_update().load(conn)?,
    };
    rows.into_iter().map(ApiKey::try_from).collect()
}

/// Ends every key that is bound to this provider. `now` in epoch seconds.
pub fn end_of_provider(conn: &mut Conn, provider: &ProviderId, now: i64) -> Result<(), Fault> {
    let bound =
        api_keys::table.filter(api_keys::provider_id.eq(provider.as_str())).filter(api_keys::deleted_at.is_null());
    let end = (
        api_keys::deleted_at.eq(now),
        api_keys::updated_at.eq(now),
        api_keys::epoch.eq(api_keys::epoch + 1),
        api_keys::version.eq(api_keys::version + 1),
    );
    diesel::update(bound).set(end).execute(conn)?;
    Ok(())
}

/// Whether `id` is an owner key without another one beside it. Holds all owner keys until the
/// transaction ends: on PostgreSQL two owners that end each other at the same moment would both
/// still see the other one.
fn is_last_owner(conn: &mut Conn, id: &ApiKeyId, now: i64, another: &str) -> Result<bool, Fault> {
    if let Conn::Postgres(conn) = conn {
        // In one order, so that two transactions never wait for each other.
        api_keys::table
            .filter(api_keys::role.eq(Role::Owner.name()))
            .filter(api_keys::deleted_at.is_null())
            .order(api_keys::id)
            .select(api_keys::id)
            .for_update()
            .load::<String>(conn)?;
    }
    let last = format!("NOT ({another}) AND id = $2 AND role = 'owner' AND deleted_at IS NULL");
    let found: Vec<FoundId> = diesel::sql_query(format!("SELECT id FROM api_keys WHERE {last}"))
        .bind::<BigInt, _>(now)
        .bind::<Text, _>(id.as_str())
        .load(conn)?;
    Ok(!found.is_empty())
}

#[derive(QueryableByName)]
struct FoundId {
    #[diesel(sql_type = Text, column_name = "id")]
    _id: String,
}

/// Holds a live key until the transaction ends, so that changes of its secrets come one after the
/// other. `false`: unknown or deleted.
pub fn lock(conn: &mut Conn, id: &ApiKeyId) -> Result<bool, Fault> {
    let row = api_keys::table.filter(api_keys::id.eq(id.as_str())).filter(api_keys::deleted_at.is_null());
    let row = row.select(api_keys::id);
    let found: Option<String> = match conn {
        Conn::Sqlite(conn) => row.first(conn).optional()?,
        Conn::Postgres(conn) => row.for_update().first(conn).optional()?,
    };
    Ok(found.is_some())
}

/// Whether `id` is an owner key, and no other one has a secret that never expires: what must not be
/// so when its own last lasting secret is given an end. Call it in a transaction.
pub fn is_last_lasting_owner(conn: &mut Conn, id: &ApiKeyId, now: i64) -> Result<bool, Fault> {
    is_last_owner(conn, id, now, ANOTHER_LASTING_OWNER)
}

/// Shows another secret's last characters as the key's; raises the version.
pub fn show_hint(conn: &mut Conn, id: &ApiKeyId, hint: &str, now: i64) -> Result<(), Fault> {
    let values = (api_keys::hint.eq(hint), api_keys::updated_at.eq(now), api_keys::version.eq(api_keys::version + 1));
    diesel::update(api_keys::table.find(id.as_str())).set(values).execute(conn)?;
    Ok(())
}

/// Ends every token the key minted. `false`: unknown or deleted.
pub fn raise_epoch(conn: &mut Conn, id: &ApiKeyId) -> Result<bool, Fault> {
    let row = api_keys::table.filter(api_keys::id.eq(id.as_str())).filter(api_keys::deleted_at.is_null());
    let raised = (api_keys::epoch.eq(api_keys::epoch + 1), api_keys::version.eq(api_keys::version + 1));
    Ok(diesel::update(row).set(raised).execute(conn)? == 1)
}
