//! `provider_roles`, `provider_groups`, and `scopes` as things with a description: one set of statements
//! over three tables of one shape. Who has a role or is in a group stands in `users`.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

use crate::domain::page::{Page, PageRequest};
use crate::domain::{Fault, Named, NamedKind, ProviderId, UnixTime};
use crate::store::connection::Conn;
use crate::store::fault::unreadable;

/// Most accounts from which one call takes a name.
pub const MOST_HOLDERS: i64 = 10_000;

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Nullable<Text>)]
    description: Option<String>,
    #[diesel(sql_type = Text)]
    roles: String,
    #[diesel(sql_type = BigInt)]
    version: i64,
    #[diesel(sql_type = BigInt)]
    created_at: i64,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

#[derive(QueryableByName)]
struct Item {
    #[diesel(sql_type = Text)]
    roles: String,
}

const fn table(kind: NamedKind) -> &'static str {
    match kind {
        NamedKind::Scope => "scopes",
        NamedKind::Role => "provider_roles",
        NamedKind::Group => "provider_groups",
    }
}

/// The columns of [`Row`].
const fn columns(kind: NamedKind) -> &'static str {
    match kind {
        NamedKind::Scope | NamedKind::Role => "name, description, '[]' AS roles, version, created_at",
        NamedKind::Group => "name, description, roles, version, created_at",
    }
}

fn named(provider: &ProviderId, row: Row) -> Result<Named, Fault> {
    let Row { name, description, roles, version, created_at } = row;
    let roles = serde_json::from_str(&roles).map_err(|_| unreadable("provider_groups", "roles"))?;
    Ok(Named { provider: provider.clone(), name, description, roles, version, created_at })
}

/// A list of texts always serialises; an empty text would be refused when read.
fn json(names: &[String]) -> String {
    serde_json::to_string(names).unwrap_or_default()
}

pub fn get(conn: &mut Conn, kind: NamedKind, provider: &ProviderId, name: &str) -> Result<Option<Named>, Fault> {
    let sql = format!("SELECT {} FROM {} WHERE provider_id = $1 AND name = $2", columns(kind), table(kind));
    let rows: Vec<Row> = diesel::sql_query(sql).bind::<Text, _>(provider.as_str()).bind::<Text, _>(name).load(conn)?;
    rows.into_iter().next().map(|row| named(provider, row)).transpose()
}

/// Ordered by name.
pub fn list(conn: &mut Conn, kind: NamedKind, provider: &ProviderId, page: &PageRequest) -> Result<Page<Named>, Fault> {
    let sql = format!(
        "SELECT {} FROM {} WHERE provider_id = $1 AND name > $2 ORDER BY name LIMIT {}",
        columns(kind),
        table(kind),
        i64::from(page.limit) + 1
    );
    let rows: Vec<Row> = diesel::sql_query(sql)
        .bind::<Text, _>(provider.as_str())
        .bind::<Text, _>(page.after.as_deref().unwrap_or_default())
        .load(conn)?;
    let items = rows.into_iter().map(|row| named(provider, row)).collect::<Result<Vec<_>, _>>()?;
    Ok(Page::cut(items, page, |item| item.name.clone()))
}

/// `false`: there is one of this name.
pub fn insert(conn: &mut Conn, kind: NamedKind, new: &Named) -> Result<bool, Fault> {
    let (more, values) = match kind {
        NamedKind::Scope => ("", ""),
        NamedKind::Role => (", updated_at", ", $5"),
        NamedKind::Group => (", updated_at, roles", ", $5, $6"),
    };
    let sql = format!(
        "INSERT INTO {} (provider_id, name, description, version, created_at{more}) \
         VALUES ($1, $2, $3, $4, $5{values}) ON CONFLICT DO NOTHING",
        table(kind)
    );
    let query = diesel::sql_query(sql)
        .bind::<Text, _>(new.provider.as_str())
        .bind::<Text, _>(&new.name)
        .bind::<Nullable<Text>, _>(&new.description)
        .bind::<BigInt, _>(new.version)
        .bind::<BigInt, _>(new.created_at);
    let rows = match kind {
        NamedKind::Scope | NamedKind::Role => query.execute(conn)?,
        NamedKind::Group => query.bind::<Text, _>(json(&new.roles)).execute(conn)?,
    };
    Ok(rows == 1)
}

/// Makes those that are missing, in one order, so that two writers never wait for each other.
pub fn insert_missing(
    conn: &mut Conn,
    kind: NamedKind,
    provider: &ProviderId,
    names: &[String],
    now: UnixTime,
) -> Result<(), Fault> {
    let mut names: Vec<&String> = names.iter().collect();
    names.sort();
    for name in names {
        let new = Named {
            provider: provider.clone(),
            name: name.clone(),
            description: None,
            roles: Vec::new(),
            version: 1,
            created_at: now.seconds(),
        };
        insert(conn, kind, &new)?;
    }
    Ok(())
}

/// Writes description and roles if the row still has this version; raises it.
pub fn update(
    conn: &mut Conn,
    kind: NamedKind,
    new: &Named,
    expected_version: i64,
    now: UnixTime,
) -> Result<bool, Fault> {
    let (table, now) = (table(kind), now.seconds());
    let at = if kind == NamedKind::Scope { String::new() } else { format!(", updated_at = {now}") };
    let rows = if kind == NamedKind::Group {
        let sql = format!(
            "UPDATE {table} SET description = $1, roles = $2, version = version + 1{at} \
             WHERE provider_id = $3 AND name = $4 AND version = $5"
        );
        diesel::sql_query(sql)
            .bind::<Nullable<Text>, _>(&new.description)
            .bind::<Text, _>(json(&new.roles))
            .bind::<Text, _>(new.provider.as_str())
            .bind::<Text, _>(&new.name)
            .bind::<BigInt, _>(expected_version)
            .execute(conn)?
    } else {
        let sql = format!(
            "UPDATE {table} SET description = $1, version = version + 1{at} \
             WHERE provider_id = $2 AND name = $3 AND version = $4"
        );
        diesel::sql_query(sql)
            .bind::<Nullable<Text>, _>(&new.description)
            .bind::<Text, _>(new.provider.as_str())
            .bind::<Text, _>(&new.name)
            .bind::<BigInt, _>(expected_version)
            .execute(conn)?
    };
    Ok(rows == 1)
}

/// `false`: unknown, or not of the expected version.
pub fn delete(
    conn: &mut Conn,
    kind: NamedKind,
    provider: &ProviderId,
    name: &str,
    expected_version: Option<i64>,
) -> Result<bool, Fault> {
    let sql =
        format!("DELETE FROM {} WHERE provider_id = $1 AND name = $2 AND ($3 IS NULL OR version = $3)", table(kind));
    let rows = diesel::sql_query(sql)
        .bind::<Text, _>(provider.as_str())
        .bind::<Text, _>(name)
        .bind::<Nullable<BigInt>, _>(expected_version)
        .execute(conn)?;
    Ok(rows == 1)
}

/// Holds the row until the transaction ends; on SQLite there is one writer and nothing to hold.
pub fn lock(conn: &mut Conn, kind: NamedKind, provider: &ProviderId, name: &str) -> Result<(), Fault> {
    if matches!(conn, Conn::Postgres(_)) {
        let sql = format!("SELECT 1 FROM {} WHERE provider_id = $1 AND name = $2 FOR UPDATE", table(kind));
        diesel::sql_query(sql).bind::<Text, _>(provider.as_str()).bind::<Text, _>(name).execute(conn)?;
    }
    Ok(())
}

/// Whether a live client has the scope.
pub fn is_scope_in_use(conn: &mut Conn, provider: &ProviderId, name: &str) -> Result<bool, Fault> {
    let find = if matches!(conn, Conn::Sqlite(_)) { "instr" } else { "strpos" };
    let sql = format!(
        "SELECT count(*) AS count FROM (SELECT 1 FROM clients WHERE provider_id = $1 AND deleted_at IS NULL \
         AND {find}(' ' || scope || ' ', $2) > 0 LIMIT 1) AS found"
    );
    let found: Count = diesel::sql_query(sql)
        .bind::<Text, _>(provider.as_str())
        .bind::<Text, _>(format!(" {name} "))
        .get_result(conn)?;
    Ok(found.count > 0)
}

/// What the members of these groups are given, each role once.
pub fn roles_of_groups(conn: &mut Conn, provider: &ProviderId, groups: &[String]) -> Result<Vec<String>, Fault> {
    let mut roles: Vec<String> = Vec::new();
    for group in groups {
        let items: Vec<Item> =
            diesel::sql_query("SELECT roles FROM provider_groups WHERE provider_id = $1 AND name = $2")
                .bind::<Text, _>(provider.as_str())
                .bind::<Text, _>(group)
                .load(conn)?;
        for Item { roles: text } in items {
            let given: Vec<String> = serde_json::from_str(&text).map_err(|_| unreadable("provider_groups", "roles"))?;
            roles.extend(given.into_iter().filter(|role| !roles.contains(role)).collect::<Vec<_>>());
        }
    }
    Ok(roles)
}

/// Table, column and condition of the rows that may hold a name.
const fn holders(kind: NamedKind) -> &'static [(&'static str, &'static str, &'static str)] {
    match kind {
        NamedKind::Scope => &[],
        NamedKind::Group => &[("users", "groups", "deleted_at IS NULL")],
        NamedKind::Role => &[("users", "roles", "deleted_at IS NULL"), ("provider_groups", "roles", "1 = 1")],
    }
}

/// Whether the JSON list of texts in a column holds the one that is bound to `name`.
fn has(conn: &Conn, (table, column): (&str, &str), name: &str) -> String {
    let holds = match conn {
        Conn::Sqlite(_) => {
            format!("EXISTS (SELECT 1 FROM json_each({table}.{column}) AS item WHERE item.value = {name})")
        }
        Conn::Postgres(_) => format!("jsonb_exists({table}.{column}::jsonb, {name})"),
    };
    // Most rows hold none, and nothing needs to be parsed of these.
    format!("{table}.{column} <> '[]' AND {holds}")
}

/// Whether more than [`MOST_HOLDERS`] rows hold a group or role, too many for one call.
pub fn is_too_wide(conn: &mut Conn, kind: NamedKind, provider: &ProviderId, name: &str) -> Result<bool, Fault> {
    for (table, column, condition) in holders(kind) {
        let has = has(conn, (table, column), "$2");
        let sql = format!(
            "SELECT count(*) AS count FROM (SELECT 1 FROM {table} WHERE provider_id = $1 AND {condition} AND {has} \
             LIMIT {}) AS found",
            MOST_HOLDERS + 1
        );
        let found: Count =
            diesel::sql_query(sql).bind::<Text, _>(provider.as_str()).bind::<Text, _>(name).get_result(conn)?;
        if found.count > MOST_HOLDERS {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Takes a group off its members, or a role off whom it was given to, accounts and groups.
pub fn take_off(
    conn: &mut Conn,
    kind: NamedKind,
    provider: &ProviderId,
    name: &str,
    now: UnixTime,
) -> Result<(), Fault> {
    for (table, column, condition) in holders(kind) {
        let has = has(conn, (table, column), "$1");
        let without = match conn {
            Conn::Sqlite(_) => format!(
                "(SELECT json_group_array(item.value) FROM json_each({table}.{column}) AS item WHERE item.value <> $1)"
            ),
            Conn::Postgres(_) => format!("({table}.{column}::jsonb - $1)::text"),
        };
        let sql = format!(
            "UPDATE {table} SET {column} = {without}, version = version + 1, updated_at = {} \
             WHERE provider_id = $2 AND {condition} AND {has}",
            now.seconds()
        );
        diesel::sql_query(sql).bind::<Text, _>(name).bind::<Text, _>(provider.as_str()).execute(conn)?;
    }
    Ok(())
}
