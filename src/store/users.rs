//! `users`: local accounts. A deleted account keeps its row, so its id is never given out again;
//! its names are free.

use diesel::prelude::*;

use crate::domain::page::{Found, ListRequest, UserFilter};
use crate::domain::user::PasswordHash;
use crate::domain::{Fault, ProviderId, User, UserId};
use crate::store::connection::{Conn, each};
use crate::store::fault::unreadable;
use crate::store::listing::{By, Listing, Sort, in_order};
use crate::store::{principal_names, providers};

diesel::table! {
    users (id) {
        id -> Text,
        provider_id -> Text,
        username -> Text,
        username_key -> Text,
        email -> Nullable<Text>,
        email_key -> Nullable<Text>,
        email_verified -> Bool,
        name -> Nullable<Text>,
        groups -> Text,
        password -> Nullable<Text>,
        password_changed_at -> Nullable<BigInt>,
        enabled -> Bool,
        locked_at -> Nullable<BigInt>,
        epoch -> BigInt,
        version -> BigInt,
        created_at -> BigInt,
        updated_at -> BigInt,
        deleted_at -> Nullable<BigInt>,
        roles -> Text,
    }
}

/// What the names of an account are compared by (`engine::names`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameKeys {
    pub username: String,
    pub email: Option<String>,
}

impl NameKeys {
    fn all(&self) -> Vec<&str> {
        [Some(self.username.as_str()), self.email.as_deref()].into_iter().flatten().collect()
    }
}

#[derive(Queryable, Insertable, AsChangeset)]
#[diesel(table_name = users, treat_none_as_null = true)]
struct Row {
    id: String,
    provider_id: String,
    username: String,
    username_key: String,
    email: Option<String>,
    email_key: Option<String>,
    email_verified: bool,
    name: Option<String>,
    groups: String,
    password: Option<String>,
    password_changed_at: Option<i64>,
    enabled: bool,
    locked_at: Option<i64>,
    epoch: i64,
    version: i64,
    created_at: i64,
    updated_at: i64,
    deleted_at: Option<i64>,
    roles: String,
}

impl TryFrom<Row> for User {
    type Error = Fault;

    fn try_from(row: Row) -> Result<Self, Fault> {
        let Row {
            id,
            provider_id,
            username,
            username_key: _,
            email,
            email_key: _,
            email_verified,
            name,
            groups,
            password,
            password_changed_at,
            enabled,
            locked_at,
            epoch,
            version,
            created_at,
            updated_at,
            deleted_at,
            roles,
        } = row;
        Ok(Self {
            provider: ProviderId::from(provider_id),
            id: UserId::from(id),
            username,
            email,
            email_verified,
            name,
            groups: serde_json::from_str(&groups).map_err(|_| unreadable("users", "groups"))?,
            roles: serde_json::from_str(&roles).map_err(|_| unreadable("users", "roles"))?,
            password: password.map(PasswordHash),
            password_changed_at,
            enabled,
            locked_at,
            epoch: u32::try_from(epoch).map_err(|_| unreadable("users", "epoch"))?,
            version,
            created_at,
            updated_at,
            deleted_at,
        })
    }
}

impl Row {
    fn of(user: User, keys: NameKeys) -> Self {
        let NameKeys { username: username_key, email: email_key } = keys;
        let User {
            provider,
            id,
            username,
            email,
            email_verified,
            name,
            groups,
            roles,
            password,
            password_changed_at,
            enabled,
            locked_at,
            epoch,
            version,
            created_at,
            updated_at,
            deleted_at,
        } = user;
        Self {
            id: id.to_string(),
            provider_id: provider.to_string(),
            username,
            username_key,
            email,
            email_key,
            email_verified,
            name,
            // A list of strings always serialises; an empty text would be refused when read.
            groups: serde_json::to_string(&groups).unwrap_or_default(),
            roles: serde_json::to_string(&roles).unwrap_or_default(),
            password: password.map(|PasswordHash(text)| text),
            password_changed_at,
            enabled,
            locked_at,
            epoch: i64::from(epoch),
            version,
            created_at,
            updated_at,
            deleted_at,
        }
    }
}

/// By its id; also one that is deleted, for callers that must know.
pub fn get(conn: &mut Conn, provider: &ProviderId, id: &UserId) -> Result<Option<User>, Fault> {
    // Fills the cache on the path of a request: without the enum.
    let row: Option<Row> = each!(conn, conn => users::table
        .find(id.as_str())
        .filter(users::provider_id.eq(provider.as_str()))
        .first(conn)
        .optional())?;
    row.map(User::try_from).transpose()
}

/// The account whose username or email has this key, unless it is deleted. No key ever stands for
/// two of them.
pub fn by_name(conn: &mut Conn, provider: &ProviderId, key: &str) -> Result<Option<User>, Fault> {
    let live = users::table.filter(users::provider_id.eq(provider.as_str())).filter(users::deleted_at.is_null());
    // Two look-ups: SQLite answers an OR over two partial indexes by reading everybody of the provider.
    let rows: Vec<Row> = each!(conn, conn => live
        .filter(users::username_key.eq(key))
        .union_all(live.filter(users::email_key.eq(key)))
        .load(conn))?;
    rows.into_iter().next().map(User::try_from).transpose()
}

/// The account, its row held until the transaction ends, so that nobody ends its access beside this.
/// On SQLite there is one writer and nothing to hold.
pub fn held(conn: &mut Conn, provider: &ProviderId, id: &UserId) -> Result<Option<User>, Fault> {
    let row = users::table.find(id.as_str()).filter(users::provider_id.eq(provider.as_str()));
    let row: Option<Row> = match conn {
        Conn::Sqlite(conn) => row.first(conn).optional()?,
        Conn::Postgres(conn) => row.for_share().first(conn).optional()?,
    };
    row.map(User::try_from).transpose()
}

/// Whether another account than `except` has one of these names, as username or as email: nobody
/// can take another's email as a username, or the other way about. Only true for long while the
/// provider's row is held ([`providers::locked`]).
pub fn is_name_taken(
    conn: &mut Conn,
    provider: &ProviderId,
    keys: &NameKeys,
    except: Option<&UserId>,
) -> Result<bool, Fault> {
    let (names, except) = (keys.all(), except.map_or("", UserId::as_str));
    let others = users::table
        .filter(users::provider_id.eq(provider.as_str()))
        .filter(users::deleted_at.is_null())
        .filter(users::id.ne(except))
        .select(users::id);
    // Two look-ups, as in [`by_name`].
    let taken: Vec<String> = each!(conn, conn => others
        .filter(users::username_key.eq_any(&names))
        .union_all(others.filter(users::email_key.eq_any(&names)))
        .load(conn))?;
    Ok(!taken.is_empty())
}

const SORTS: [Sort; 2] =
    [Sort { name: "created_at", by: By::Id }, Sort { name: "username", by: By::Text("username_key") }];

/// Those that are not deleted and pass the filter, whose names are keys (`engine::names`).
pub fn find(conn: &mut Conn, provider: &ProviderId, request: &ListRequest<UserFilter>) -> Result<Found<User>, Fault> {
    let UserFilter { enabled, locked, username, email, group, role, name_prefix } = &request.filter;
    let mut listing = Listing::of(conn, "users", "id");
    listing.only_with("provider_id = ?", provider.as_str());
    listing.only("deleted_at IS NULL");
    listing.only_if("enabled", *enabled);
    match locked {
        Some(true) => listing.only("locked_at IS NOT NULL"),
        Some(false) => listing.only("locked_at IS NULL"),
        None => {}
    }
    if let Some(key) = username {
        listing.only_with("username_key = ?", key);
    }
    if let Some(key) = email {
        listing.only_with("email_key = ?", key);
    }
    if let Some(prefix) = name_prefix {
        listing.only_beginning("username_key", prefix);
    }
    for (column, name) in [("groups", group), ("roles", role)] {
        if let Some(name) = name {
            listing.only_with_item(column, name);
        }
    }
    let found = listing.ids(conn, &SORTS, request)?;
    let ids = &found.items;
    let rows: Vec<Row> = each!(conn, conn => users::table.filter(users::id.eq_any(ids)).load(conn))?;
    let items = rows.into_iter().map(User::try_from).collect::<Result<Vec<_>, _>>()?;
    Ok(in_order(found, items, |user| user.id.to_string()))
}

pub fn count_live(conn: &mut Conn, provider: &ProviderId) -> Result<i64, Fault> {
    let live = users::table.filter(users::provider_id.eq(provider.as_str())).filter(users::deleted_at.is_null());
    Ok(live.count().get_result(conn)?)
}

/// A new account. `false`: one of its names is another account's, its id is or was a name of
/// somebody, or the provider is gone. Call it in a transaction: the provider's row is held meanwhile.
pub fn insert(conn: &mut Conn, user: &User, keys: &NameKeys) -> Result<bool, Fault> {
    let provider = &user.provider;
    if !providers::lock(conn, provider)?
        || is_name_taken(conn, provider, keys, None)?
        || !principal_names::claim(conn, provider, user.id.as_str(), user.id.as_str())?
    {
        return Ok(false);
    }
    let row = Row::of(user.clone(), keys.clone());
    let rows = each!(conn, conn => diesel::insert_into(users::table)
        .values(row)
        .on_conflict_do_nothing()
        .execute(conn))?;
    Ok(rows == 1)
}

/// Writes every field if the row still has `expected_version` and is not deleted; raises the
/// version. `new` is the row as it was read, changed. Where a name changes, ask [`is_name_taken`]
/// first, in the same transaction and with the provider's row held.
pub fn update(conn: &mut Conn, new: &User, keys: &NameKeys, expected_version: i64) -> Result<bool, Fault> {
    let row = users::table
        .filter(users::id.eq(new.id.as_str()))
        .filter(users::provider_id.eq(new.provider.as_str()))
        .filter(users::version.eq(expected_version))
        .filter(users::deleted_at.is_null());
    let values = Row::of(User { version: expected_version + 1, ..new.clone() }, keys.clone());
    Ok(diesel::update(row).set(values).execute(conn)? == 1)
}

/// The same password under another hash: neither a change of the account nor of the password.
/// `false`: the stored hash is not `old` any more.
pub fn set_password_hash(
    conn: &mut Conn,
    provider: &ProviderId,
    id: &UserId,
    old: &PasswordHash,
    new: &PasswordHash,
) -> Result<bool, Fault> {
    let row = users::table
        .filter(users::id.eq(id.as_str()))
        .filter(users::provider_id.eq(provider.as_str()))
        .filter(users::password.eq(&old.0))
        .filter(users::deleted_at.is_null());
    Ok(diesel::update(row).set(users::password.eq(&new.0)).execute(conn)? == 1)
}
