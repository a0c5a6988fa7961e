//! `refresh_families`: one compact row a grant that can be refreshed, never a row a token. What
//! becomes of a family is decided by guarded statements only.

use diesel::prelude::*;

use crate::domain::page::{Found, HeldFilter, ListRequest};
use crate::domain::session::Amr;
use crate::domain::token::{Epochs, Jti};
use crate::domain::{
    AudienceSet, Fault, GrantId, PersonGrant, ProviderId, RefreshFamily, ScopeSet, SessionId, UnixTime, UserId,
};
use crate::store::connection::{Conn, each};
use crate::store::fault::unreadable;
use crate::store::listing::{By, Listing, Sort, in_order};

const TABLE: &str = "refresh_families";
/// Most families of one person that are shown.
const LISTED: i64 = 500;

diesel::table! {
    refresh_families (id) {
        id -> Text,
        provider_id -> Text,
        client_id -> Text,
        user_id -> Text,
        session_id -> Nullable<Text>,
        key_id -> Text,
        salt -> Binary,
        generation -> BigInt,
        newest_presented -> Bool,
        rotated_at -> Text,
        scope -> Text,
        audience -> Text,
        claims -> Text,
        auth_time -> BigInt,
        amr -> Text,
        created_at -> BigInt,
        used_at -> BigInt,
        idle_ends_at -> BigInt,
        ends_at -> BigInt,
        revoked_at -> Nullable<BigInt>,
        epochs -> Text,
        max_ttl -> Nullable<BigInt>,
    }
}

#[derive(Queryable, Insertable)]
#[diesel(table_name = refresh_families)]
struct Row {
    id: String,
    provider_id: String,
    client_id: String,
    user_id: String,
    session_id: Option<String>,
    key_id: String,
    salt: Vec<u8>,
    generation: i64,
    newest_presented: bool,
    rotated_at: String,
    scope: String,
    audience: String,
    claims: String,
    auth_time: i64,
    amr: String,
    created_at: i64,
    used_at: i64,
    idle_ends_at: i64,
    ends_at: i64,
    revoked_at: Option<i64>,
    epochs: String,
    max_ttl: Option<i64>,
}

impl TryFrom<Row> for RefreshFamily {
    type Error = Fault;

    fn try_from(row: Row) -> Result<Self, Fault> {
        let Row {
            id,
            provider_id,
            client_id,
            user_id,
            session_id,
            key_id,
            salt,
            generation,
            newest_presented,
            rotated_at,
            scope,
            audience,
            claims,
            auth_time,
            amr,
            created_at,
            used_at,
            idle_ends_at,
            ends_at,
            revoked_at,
            epochs,
            max_ttl,
        } = row;
        let bad = |column| unreadable(TABLE, column);
        let rotated_at: Result<Vec<i64>, _> = rotated_at.split_ascii_whitespace().map(str::parse).collect();
        let grant = PersonGrant {
            id: Jti::parse(&id).ok_or_else(|| bad("id"))?,
            provider: provider_id.into(),
            client: client_id.into(),
            user: user_id.into(),
            session: session_id.map(SessionId::from),
            scope: ScopeSet::parse(&scope).map_err(|_| bad("scope"))?,
            audience: AudienceSet::parse(&audience).map_err(|_| bad("audience"))?,
            claims,
            auth_time,
            amr: Amr::parse(&amr),
        };
        Ok(Self {
            grant,
            key_id,
            salt: salt.try_into().map_err(|_| bad("salt"))?,
            generation: u32::try_from(generation).map_err(|_| bad("generation"))?,
            newest_presented,
            rotated_at: rotated_at.map_err(|_| bad("rotated_at"))?,
            created_at,
            used_at,
            idle_ends_at,
            ends_at,
            revoked_at,
            epochs: Epochs::parse(&epochs).ok_or_else(|| bad("epochs"))?,
            max_ttl,
        })
    }
}

impl From<RefreshFamily> for Row {
    fn from(family: RefreshFamily) -> Self {
        let RefreshFamily {
            grant,
            key_id,
            salt,
            generation,
            newest_presented,
            rotated_at,
            created_at,
            used_at,
            idle_ends_at,
            ends_at,
            revoked_at,
            epochs,
            max_ttl,
        } = family;
        let PersonGrant { id, provider, client, user, session, scope, audience, claims, auth_time, amr } = grant;
        Self {
            id: id.to_string(),
            provider_id: provider.as_str().to_owned(),
            client_id: client.as_str().to_owned(),
            user_id: user.as_str().to_owned(),
            session_id: session.map(|session| session.as_str().to_owned()),
            key_id,
            salt: salt.to_vec(),
            generation: i64::from(generation),
            newest_presented,
            rotated_at: times(&rotated_at),
            scope: scope.as_str().to_owned(),
            audience: audience.as_str().to_owned(),
            claims,
            auth_time,
            amr: amr.joined(),
            created_at,
            used_at,
            idle_ends_at,
            ends_at,
            revoked_at,
            epochs: epochs.to_string(),
            max_ttl,
        }
    }
}

fn times(rotated_at: &[i64]) -> String {
    rotated_at.iter().map(i64::to_string).collect::<Vec<_>>().join(" ")
}

/// One statement, so it fits [`Db::write_one`](crate::store::Db::write_one).
pub fn insert(conn: &mut Conn, family: &RefreshFamily) -> Result<(), Fault> {
    let row = Row::from(family.clone());
    each!(conn, conn => diesel::insert_into(refresh_families::table).values(&row).execute(conn))?;
    Ok(())
}

/// The family, revoked and expired ones too.
pub fn get(conn: &mut Conn, id: &GrantId) -> Result<Option<RefreshFamily>, Fault> {
    let row: Option<Row> = each!(conn, conn => refresh_families::table.find(id.to_string()).first(conn).optional())?;
    row.map(RefreshFamily::try_from).transpose()
}

/// The families of a person that still work at `now` (epoch seconds), the newest first.
pub fn list_live_of_user(conn: &mut Conn, user: &UserId, now: i64) -> Result<Vec<RefreshFamily>, Fault> {
    let rows: Vec<Row> = refresh_families::table
        .filter(refresh_families::user_id.eq(user.as_str()))
        .filter(refresh_families::revoked_at.is_null())
        .filter(refresh_families::idle_ends_at.gt(now))
        .filter(refresh_families::ends_at.gt(now))
        .order(refresh_families::id.desc())
        .limit(LISTED)
        .load(conn)?;
    rows.into_iter().map(RefreshFamily::try_from).collect()
}

/// Those of a provider that still work at `now` (epoch seconds) and pass the filter.
pub fn find(
    conn: &mut Conn,
    provider: &ProviderId,
    request: &ListRequest<HeldFilter>,
    now: i64,
) -> Result<Found<RefreshFamily>, Fault> {
    let HeldFilter { user, client } = &request.filter;
    let mut listing = Listing::of(conn, "refresh_families", "id");
    listing.only_with("provider_id = ?", provider.as_str());
    listing.only(&format!("revoked_at IS NULL AND idle_ends_at > {now} AND ends_at > {now}"));
    if let Some(user) = user {
        listing.only_with("user_id = ?", user);
    }
    if let Some(client) = client {
        listing.only_with("client_id = ?", client);
    }
    let found = listing.ids(conn, &[Sort { name: "created_at", by: By::Id }], request)?;
    let ids = &found.items;
    let rows: Vec<Row> =
        each!(conn, conn => refresh_families::table.filter(refresh_families::id.eq_any(ids)).load(conn))?;
    let items = rows.into_iter().map(RefreshFamily::try_from).collect::<Result<Vec<_>, _>>()?;
    Ok(in_order(found, items, |family| family.grant.id.to_string()))
}

/// The claims that were asked for when the grant was given; `None` if there is no such family.
pub fn claims_of(conn: &mut Conn, id: &GrantId) -> Result<Option<String>, Fault> {
    Ok(each!(conn, conn => refresh_families::table
        .find(id.to_string())
        .select(refresh_families::claims)
        .first(conn)
        .optional())?)
}

/// Stores what a use of the newest token made of a family: generation, rotation times, last use and
/// idle end. `true` if the family is live and still at the generation it was read at, so that of
/// many uses at once one wins. One statement, for [`Db::write_one`](crate::store::Db::write_one).
pub fn renew(conn: &mut Conn, after: &RefreshFamily, generation_before: u32) -> Result<bool, Fault> {
    let rows = each!(conn, conn => diesel::update(refresh_families::table.find(after.grant.id.to_string()))
        .filter(refresh_families::generation.eq(i64::from(generation_before)))
        .filter(refresh_families::revoked_at.is_null())
        .set((
            refresh_families::generation.eq(i64::from(after.generation)),
            refresh_families::newest_presented.eq(after.newest_presented),
            refresh_families::rotated_at.eq(times(&after.rotated_at)),
            refresh_families::used_at.eq(after.used_at),
            refresh_families::idle_ends_at.eq(after.idle_ends_at),
        ))
        .execute(conn))?;
    Ok(rows == 1)
}

/// `false` if there is no such live family.
pub fn revoke(conn: &mut Conn, id: &GrantId, now: UnixTime) -> Result<bool, Fault> {
    let rows = each!(conn, conn => diesel::update(refresh_families::table.find(id.to_string()))
        .filter(refresh_families::revoked_at.is_null())
        .set(refresh_families::revoked_at.eq(now.seconds()))
        .execute(conn))?;
    Ok(rows == 1)
}

/// Those that end with this session; answers how many.
pub fn revoke_of_session(conn: &mut Conn, session: &SessionId, now: UnixTime) -> Result<usize, Fault> {
    Ok(each!(conn, conn => diesel::update(refresh_families::table)
        .filter(refresh_families::session_id.eq(session.as_str()))
        .filter(refresh_families::revoked_at.is_null())
        .set(refresh_families::revoked_at.eq(now.seconds()))
        .execute(conn))?)
}

/// All families of a person; answers how many.
pub fn revoke_of_user(conn: &mut Conn, user: &UserId, now: UnixTime) -> Result<usize, Fault> {
    Ok(each!(conn, conn => diesel::update(refresh_families::table)
        .filter(refresh_families::user_id.eq(user.as_str()))
        .filter(refresh_families::revoked_at.is_null())
        .set(refresh_families::revoked_at.eq(now.seconds()))
        .execute(conn))?)
}
