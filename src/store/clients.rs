//! `clients`. A deleted client keeps its row, so neither its id nor its subject is given out again.

use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};

use crate::domain::client::{AuthMethod, GrantType};
use crate::domain::page::{ClientFilter, Found, ListRequest, Page, PageRequest};
use crate::domain::token::AccessTokenFormat;
use crate::domain::{AudienceSet, Client, ClientId, Fault, ProviderId, ScopeSet};
use crate::store::client_policy;
use crate::store::connection::{Conn, each};
use crate::store::fault::unreadable;
use crate::store::listing::{By, Listing, Sort, in_order};
use crate::store::{principal_names, providers};

diesel::table! {
    clients (provider_id, client_id) {
        provider_id -> Text,
        client_id -> Text,
        subject -> Text,
        name -> Text,
        auth_method -> Text,
        auth_signing_alg -> Nullable<Text>,
        jwks -> Nullable<Text>,
        grant_types -> Text,
        scope -> Text,
        audience -> Text,
        resource_server -> Bool,
        resources -> Text,
        access_token_format -> Text,
        access_token_ttl -> Nullable<BigInt>,
        enabled -> Bool,
        only_surface -> Nullable<Text>,
        policy -> Text,
        epoch -> BigInt,
        version -> BigInt,
        created_at -> BigInt,
        updated_at -> BigInt,
        deleted_at -> Nullable<BigInt>,
        jwks_uri -> Nullable<Text>,
    }
}

#[derive(Queryable, Insertable, AsChangeset)]
#[diesel(table_name = clients, primary_key(provider_id, client_id), treat_none_as_null = true)]
struct Row {
    provider_id: String,
    client_id: String,
    subject: String,
    name: String,
    auth_method: String,
    auth_signing_alg: Option<String>,
    jwks: Option<String>,
    grant_types: String,
    scope: String,
    audience: String,
    resource_server: bool,
    resources: String,
    access_token_format: String,
    access_token_ttl: Option<i64>,
    enabled: bool,
    only_surface: Option<String>,
    policy: String,
    epoch: i64,
    version: i64,
    created_at: i64,
    updated_at: i64,
    deleted_at: Option<i64>,
    jwks_uri: Option<String>,
}

impl TryFrom<Row> for Client {
    type Error = Fault;

    fn try_from(row: Row) -> Result<Self, Fault> {
        let Row {
            provider_id,
            client_id,
            subject,
            name,
            auth_method,
            auth_signing_alg,
            jwks,
            grant_types,
            scope,
            audience,
            resource_server,
            resources,
            access_token_format,
            access_token_ttl,
            enabled,
            only_surface,
            policy,
            epoch,
            version,
            created_at,
            updated_at,
            deleted_at,
            jwks_uri,
        } = row;
        let bad = |column| move || unreadable("clients", column);
        let grant_types: Option<Vec<GrantType>> =
            grant_types.split_ascii_whitespace().map(GrantType::from_name).collect();
        Ok(Self {
            provider: ProviderId::from(provider_id),
            client_id: ClientId::from(client_id),
            subject,
            name,
            auth_method: AuthMethod::from_name(&auth_method).ok_or_else(bad("auth_method"))?,
            auth_signing_alg,
            jwks,
            jwks_uri,
            grant_types: grant_types.ok_or_else(bad("grant_types"))?,
            scope: ScopeSet::parse(&scope).map_err(|_| unreadable("clients", "scope"))?,
            audience: AudienceSet::parse(&audience).map_err(|_| unreadable("clients", "audience"))?,
            resource_server,
            resources: AudienceSet::parse(&resources).map_err(|_| unreadable("clients", "resources"))?,
            access_token_format: AccessTokenFormat::from_name(&access_token_format)
                .ok_or_else(bad("access_token_format"))?,
            access_token_ttl,
            enabled,
            only_surface,
            policy: client_policy::read(&policy)?,
            epoch: u32::try_from(epoch).map_err(|_| unreadable("clients", "epoch"))?,
            version,
            created_at,
            updated_at,
            deleted_at,
        })
    }
}

impl From<Client> for Row {
    fn from(client: Client) -> Self {
        let Client {
            provider,
            client_id,
            subject,
            name,
            auth_method,
            auth_signing_alg,
            jwks,
            jwks_uri,
            grant_types,
            scope,
            audience,
            resource_server,
            resources,
            access_token_format,
            access_token_ttl,
            enabled,
            only_surface,
            policy,
            epoch,
            version,
            created_at,
            updated_at,
            deleted_at,
        } = client;
        let grant_types: Vec<&str> = grant_types.into_iter().map(GrantType::name).collect();
        Self {
            provider_id: provider.to_string(),
            client_id: client_id.to_string(),
            subject,
            name,
            auth_method: auth_method.name().to_owned(),
            auth_signing_alg,
            jwks,
            grant_types: grant_types.join(" "),
            scope: scope.as_str().to_owned(),
            audience: audience.as_str().to_owned(),
            resource_server,
            resources: resources.as_str().to_owned(),
            access_token_format: access_token_format.name().to_owned(),
            access_token_ttl,
            enabled,
            only_surface,
            policy: client_policy::write(policy),
            epoch: i64::from(epoch),
            version,
            created_at,
            updated_at,
            deleted_at,
            jwks_uri,
        }
    }
}

/// The id of the client that has this name, as id or as subject; deleted ones count.
pub fn id_named(conn: &mut Conn, provider: &ProviderId, name: &str) -> Result<Option<ClientId>, Fault> {
    let own = clients::table.filter(clients::provider_id.eq(provider.as_str())).select(clients::client_id);
    // Two look-ups: no index answers an OR of two columns.
    let found: Vec<String> = each!(conn, conn => own
        .filter(clients::client_id.eq(name))
        .union_all(own.filter(clients::subject.eq(name)))
        .load(conn))?;
    Ok(found.into_iter().next().map(ClientId::from))
}

/// By its id; also one that is deleted, for callers that must know.
pub fn get(conn: &mut Conn, provider: &ProviderId, client_id: &ClientId) -> Result<Option<Client>, Fault> {
    // Fills the cache on the path of a request: without the enum.
    let row: Option<Row> = each!(conn, conn => clients::table
        .find((provider.as_str(), client_id.as_str()))
        .first(conn)
        .optional())?;
    row.map(Client::try_from).transpose()
}

/// Those that are not deleted, ordered by client_id.
pub fn list(conn: &mut Conn, provider: &ProviderId, page: &PageRequest) -> Result<Page<Client>, Fault> {
    let rows: Vec<Row> = clients::table
        .filter(clients::provider_id.eq(provider.as_str()))
        .filter(clients::client_id.gt(page.after.as_deref().unwrap_or_default()))
        .filter(clients::deleted_at.is_null())
        .order(clients::client_id)
        .limit(i64::from(page.limit) + 1)
        .load(conn)?;
    let items = rows.into_iter().map(Client::try_from).collect::<Result<Vec<_>, _>>()?;
    Ok(Page::cut(items, page, |client| client.client_id.to_string()))
}

const SORTS: [Sort; 3] = [
    Sort { name: "client_id", by: By::Id },
    Sort { name: "client_name", by: By::Text("name") },
    Sort { name: "created_at", by: By::Number("created_at") },
];

/// Those that are not deleted and pass the filter. Without an index on them, grant types and scopes are
/// looked for until the page is full.
pub fn find(
    conn: &mut Conn,
    provider: &ProviderId,
    request: &ListRequest<ClientFilter>,
) -> Result<Found<Client>, Fault> {
    let ClientFilter { enabled, grant_type, scope, name_prefix } = &request.filter;
    let mut listing = Listing::of(conn, "clients", "client_id");
    listing.only_with("provider_id = ?", provider.as_str());
    listing.only("deleted_at IS NULL");
    listing.only_if("enabled", *enabled);
    if let Some(name) = grant_type {
        listing.only_with_word("grant_types", name);
    }
    if let Some(token) = scope {
        listing.only_with_word("scope", token);
    }
    if let Some(prefix) = name_prefix {
        listing.only_beginning("name", prefix);
    }
    let found = listing.ids(conn, &SORTS, request)?;
    let ids = &found.items;
    let rows: Vec<Row> = each!(conn, conn => clients::table
        .filter(clients::provider_id.eq(provider.as_str()))
        .filter(clients::client_id.eq_any(ids))
        .load(conn))?;
    let items = rows.into_iter().map(Client::try_from).collect::<Result<Vec<_>, _>>()?;
    Ok(in_order(found, items, |client| client.client_id.to_string()))
}

/// Those that work on this surface only and are not deleted, ordered by client_id.
pub fn list_of_surface(
    conn: &mut Conn,
    provider: &ProviderId,
    surface: &str,
    page: &PageRequest,
) -> Result<Page<Client>, Fault> {
    let rows: Vec<Row> = clients::table
        .filter(clients::provider_id.eq(provider.as_str()))
        .filter(clients::only_surface.eq(surface))
        .filter(clients::client_id.gt(page.after.as_deref().unwrap_or_default()))
        .filter(clients::deleted_at.is_null())
        .order(clients::client_id)
        .limit(i64::from(page.limit) + 1)
        .load(conn)?;
    let items = rows.into_iter().map(Client::try_from).collect::<Result<Vec<_>, _>>()?;
    Ok(Page::cut(items, page, |client| client.client_id.to_string()))
}

#[derive(QueryableByName)]
struct Answer {
    #[diesel(sql_type = Bool)]
    any: bool,
}

/// Whether there is a live client that works elsewhere than on this surface only.
pub fn any_beside_surface(conn: &mut Conn, provider: &ProviderId, surface: &str) -> Result<bool, Fault> {
    // Three ranges of one index: "is not this surface" would be answered by reading every client of it.
    const SQL: &str = "SELECT EXISTS (SELECT 1 FROM clients WHERE provider_id = $1 AND deleted_at IS NULL AND \
         only_surface IS NULL) OR EXISTS (SELECT 1 FROM clients WHERE provider_id = $1 AND deleted_at IS NULL AND \
         only_surface < $2) OR EXISTS (SELECT 1 FROM clients WHERE provider_id = $1 AND deleted_at IS NULL AND \
         only_surface > $2) AS any";
    let found: Answer =
        diesel::sql_query(SQL).bind::<Text, _>(provider.as_str()).bind::<Text, _>(surface).get_result(conn)?;
    Ok(found.any)
}

pub(in crate::store) fn count_live(conn: &mut Conn, provider: &ProviderId) -> Result<i64, Fault> {
    let live = clients::table.filter(clients::provider_id.eq(provider.as_str())).filter(clients::deleted_at.is_null());
    Ok(live.count().get_result(conn)?)
}

/// A new client. `false`: its client_id or subject is or was a name of somebody at the provider, or the
/// provider is gone. Call it in a transaction: the provider's row is held meanwhile.
pub fn insert(conn: &mut Conn, client: Client) -> Result<bool, Fault> {
    if !providers::lock(conn, &client.provider)?
        || !principal_names::claim(conn, &client.provider, client.client_id.as_str(), &client.subject)?
    {
        return Ok(false);
    }
    let row = Row::from(client);
    let rows = each!(conn, conn => diesel::insert_into(clients::table)
        .values(row)
        .on_conflict_do_nothing()
        .execute(conn))?;
    Ok(rows == 1)
}

/// Writes every field if the row still has `expected_version` and is not deleted; raises the
/// version. `new` is the row as it was read, changed: subject, times of making and end stay.
pub fn update(conn: &mut Conn, new: Client, expected_version: i64) -> Result<bool, Fault> {
    let row = clients::table
        .filter(clients::provider_id.eq(new.provider.to_string()))
        .filter(clients::client_id.eq(new.client_id.to_string()))
        .filter(clients::version.eq(expected_version))
        .filter(clients::deleted_at.is_null());
    let values = Row::from(Client { version: expected_version + 1, ..new });
    Ok(diesel::update(row).set(values).execute(conn)? == 1)
}

/// Ends a client and raises its epoch. `false`: unknown, deleted before, or not of the expected
/// version. `now` in epoch seconds.
pub fn soft_delete(
    conn: &mut Conn,
    provider: &ProviderId,
    client_id: &ClientId,
    expected_version: Option<i64>,
    now: i64,
) -> Result<bool, Fault> {
    let row = clients::table
        .filter(clients::provider_id.eq(provider.as_str()))
        .filter(clients::client_id.eq(client_id.as_str()))
        .filter(clients::deleted_at.is_null());
    let end = (
        clients::deleted_at.eq(now),
        clients::updated_at.eq(now),
        clients::epoch.eq(clients::epoch + 1),
        clients::version.eq(clients::version + 1),
    );
    let rows = match expected_version {
        Some(version) => diesel::update(row.filter(clients::version.eq(version))).set(end).execute(conn)?,
        None => diesel::update(row).set(end).execute(conn)?,
    };
    Ok(rows == 1)
}

/// Ends every token of the client. `false`: unknown or deleted.
pub fn raise_epoch(conn: &mut Conn, provider: &ProviderId, client_id: &ClientId) -> Result<bool, Fault> {
    let row = clients::table
        .filter(clients::provider_id.eq(provider.as_str()))
        .filter(clients::client_id.eq(client_id.as_str()))
        .filter(clients::deleted_at.is_null());
    let raised = (clients::epoch.eq(clients::epoch + 1), clients::version.eq(clients::version + 1));
    Ok(diesel::update(row).set(raised).execute(conn)? == 1)
}

/// Holds the row until the transaction ends; `true` if the client is not deleted. On SQLite there
/// is one writer and nothing to hold.
pub(in crate::store) fn lock(conn: &mut Conn, provider: &ProviderId, client_id: &ClientId) -> Result<bool, Fault> {
    let row = clients::table
        .find((provider.as_str(), client_id.as_str()))
        .filter(clients::deleted_at.is_null())
        .select(clients::client_id);
    let found: Option<String> = match conn {
        Conn::Sqlite(conn) => row.first(conn).optional()?,
        Conn::Postgres(conn) => row.for_update().first(conn).optional()?,
    };
    Ok(found.is_some())
}
