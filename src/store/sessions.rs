//! `sessions`: logins that browsers hold. The cookie's secret lies here as a keyed digest. A session
//! that ends takes along, in the same transaction, the refresh families that are tied to it, and
//! leaves word for the clients that want to be told.

use diesel::prelude::*;

use crate::domain::page::{Found, HeldFilter, ListRequest};
use crate::domain::session::{Amr, Session};
use crate::domain::{Fault, ProviderId, SessionId, UnixTime, UserId};
use crate::store::connection::{Conn, each};
use crate::store::fault::unreadable;
use crate::store::listing::{By, Listing, Sort, in_order};
use crate::store::{ChangedTable, Tx, logout_deliveries, refresh_families};

diesel::table! {
    sessions (id) {
        id -> Text,
        provider_id -> Text,
        user_id -> Text,
        pepper_id -> Text,
        digest -> Binary,
        auth_time -> BigInt,
        amr -> Text,
        user_agent -> Text,
        address -> Text,
        created_at -> BigInt,
        seen_at -> BigInt,
        idle_ends_at -> BigInt,
        ends_at -> BigInt,
        ended_at -> Nullable<BigInt>,
        epoch -> BigInt,
        provider_epoch -> BigInt,
    }
}

/// Most sessions of one person that are listed.
const LISTED: i64 = 200;

/// What the cookie's secret is kept as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieDigest {
    pub pepper_id: String,
    pub digest: [u8; 32],
}

#[derive(Queryable)]
struct Row {
    id: String,
    provider_id: String,
    user_id: String,
    _pepper_id: String,
    _digest: Vec<u8>,
    auth_time: i64,
    amr: String,
    user_agent: String,
    address: String,
    created_at: i64,
    seen_at: i64,
    idle_ends_at: i64,
    ends_at: i64,
    ended_at: Option<i64>,
    epoch: i64,
    provider_epoch: i64,
}

impl TryFrom<Row> for Session {
    type Error = Fault;

    fn try_from(row: Row) -> Result<Self, Fault> {
        let Row {
            id,
            provider_id,
            user_id,
            _pepper_id,
            _digest,
            auth_time,
            amr,
            user_agent,
            address,
            created_at,
            seen_at,
            idle_ends_at,
            ends_at,
            ended_at,
            epoch,
            provider_epoch,
        } = row;
        Ok(Self {
            provider: provider_id.into(),
            id: id.into(),
            user: user_id.into(),
            auth_time,
            amr: Amr::parse(&amr),
            user_agent,
            address,
            created_at,
            seen_at,
            idle_ends_at,
            ends_at,
            ended_at,
            epoch: u32::try_from(epoch).map_err(|_| unreadable("sessions", "epoch"))?,
            provider_epoch: u32::try_from(provider_epoch).map_err(|_| unreadable("sessions", "provider_epoch"))?,
        })
    }
}

pub fn insert(conn: &mut Conn, session: &Session, cookie: &CookieDigest) -> Result<(), Fault> {
    let Session {
        provider,
        id,
        user,
        auth_time,
        amr,
        user_agent,
        address,
        created_at,
        seen_at,
        idle_ends_at,
        ends_at,
        ended_at,
        epoch,
        provider_epoch,
    } = session;
    let row = (
        sessions::id.eq(id.as_str()),
        sessions::provider_id.eq(provider.as_str()),
        sessions::user_id.eq(user.as_str()),
        sessions::pepper_id.eq(&cookie.pepper_id),
        sessions::digest.eq(cookie.digest.as_slice()),
        sessions::auth_time.eq(auth_time),
        sessions::amr.eq(amr.joined()),
        sessions::user_agent.eq(user_agent),
        sessions::address.eq(address),
        sessions::created_at.eq(created_at),
        sessions::seen_at.eq(seen_at),
        sessions::idle_ends_at.eq(idle_ends_at),
        sessions::ends_at.eq(ends_at),
        sessions::ended_at.eq(ended_at),
        sessions::epoch.eq(i64::from(*epoch)),
        sessions::provider_epoch.eq(i64::from(*provider_epoch)),
    );
    diesel::insert_into(sessions::table).values(row).execute(conn)?;
    Ok(())
}

/// Also one that has ended, for callers that must know.
pub fn get(conn: &mut Conn, provider: &ProviderId, id: &SessionId) -> Result<Option<Session>, Fault> {
    let row: Option<Row> = each!(conn, conn => sessions::table
        .find(id.as_str())
        .filter(sessions::provider_id.eq(provider.as_str()))
        .first(conn)
        .optional())?;
    row.map(Session::try_from).transpose()
}

/// The session whose cookie has this digest, ended or not.
pub fn by_cookie(conn: &mut Conn, provider: &ProviderId, cookie: &CookieDigest) -> Result<Option<Session>, Fault> {
    let row: Option<Row> = each!(conn, conn => sessions::table
        .filter(sessions::digest.eq(cookie.digest.as_slice()))
        .filter(sessions::pepper_id.eq(&cookie.pepper_id))
        .filter(sessions::provider_id.eq(provider.as_str()))
        .first(conn)
        .optional())?;
    row.map(Session::try_from).transpose()
}

/// The sessions of a person that are not over at `now` (epoch seconds), newest first.
pub fn list_live(conn: &mut Conn, user: &UserId, now: i64) -> Result<Vec<Session>, Fault> {
    let rows: Vec<Row> = sessions::table
        .filter(sessions::user_id.eq(user.as_str()))
        .filter(sessions::ended_at.is_null())
        .filter(sessions::idle_ends_at.gt(now))
        .filter(sessions::ends_at.gt(now))
        .order(sessions::id.desc())
        .limit(LISTED)
        .load(conn)?;
    rows.into_iter().map(Session::try_from).collect()
}

/// Those that are not over at `now` (epoch seconds) and pass the filter.
pub fn find(
    conn: &mut Conn,
    provider: &ProviderId,
    request: &ListRequest<HeldFilter>,
    now: i64,
) -> Result<Found<Session>, Fault> {
    let HeldFilter { user, client } = &request.filter;
    let mut listing = Listing::of(conn, "sessions", "id");
    listing.only_with("provider_id = ?", provider.as_str());
    listing.only(&format!("ended_at IS NULL AND idle_ends_at > {now} AND ends_at > {now}"));
    if let Some(user) = user {
        listing.only_with("user_id = ?", user);
    }
    if let Some(client) = client {
        listing.only_with(
            "(EXISTS (SELECT 1 FROM session_clients c WHERE c.session_id = sessions.id AND c.client_id = ?) OR \
             EXISTS (SELECT 1 FROM refresh_families f WHERE f.session_id = sessions.id AND f.client_id = ?))",
            client,
        );
    }
    let found = listing.ids(conn, &[Sort { name: "created_at", by: By::Id }], request)?;
    let ids = &found.items;
    let rows: Vec<Row> = each!(conn, conn => sessions::table.filter(sessions::id.eq_any(ids)).load(conn))?;
    let items = rows.into_iter().map(Session::try_from).collect::<Result<Vec<_>, _>>()?;
    Ok(in_order(found, items, |session| session.id.to_string()))
}

/// The same person logged in again: `session` is the row as it shall be, under a new secret. `false`
/// if it has ended meanwhile.
pub fn renew(tx: &mut Tx<'_>, session: &Session, cookie: &CookieDigest, now: UnixTime) -> Result<bool, Fault> {
    let row = sessions::table.filter(sessions::id.eq(session.id.as_str())).filter(sessions::ended_at.is_null());
    let values = (
        sessions::pepper_id.eq(&cookie.pepper_id),
        sessions::digest.eq(cookie.digest.as_slice()),
        sessions::auth_time.eq(session.auth_time),
        sessions::amr.eq(session.amr.joined()),
        sessions::user_agent.eq(&session.user_agent),
        sessions::address.eq(&session.address),
        sessions::seen_at.eq(session.seen_at),
        sessions::idle_ends_at.eq(session.idle_ends_at),
        sessions::ends_at.eq(session.ends_at),
        sessions::provider_epoch.eq(i64::from(session.provider_epoch)),
    );
    let renewed = diesel::update(row).set(values).execute(&mut **tx)? == 1;
    if renewed {
        // Other nodes hold when it would have been over.
        tx.changed(ChangedTable::Sessions, &change_id(&session.provider, &session.id), now)?;
    }
    Ok(renewed)
}

/// It is in use: over at `idle_ends_at` if it is not again. One statement. Never moves an end back, but
/// for a use that lies in the future: the clock has gone back.
pub fn touch(conn: &mut Conn, id: &SessionId, seen_at: i64, idle_ends_at: i64) -> Result<(), Fault> {
    let row = sessions::table
        .filter(sessions::id.eq(id.as_str()))
        .filter(sessions::ended_at.is_null())
        .filter(sessions::seen_at.lt(seen_at).or(sessions::seen_at.gt(seen_at + UnixTime::AHEAD)));
    let values = (sessions::seen_at.eq(seen_at), sessions::idle_ends_at.eq(idle_ends_at));
    diesel::update(row).set(values).execute(conn)?;
    Ok(())
}

/// Ends a session and what hangs on it. `false`: unknown, or ended before.
pub fn end(tx: &mut Tx<'_>, provider: &ProviderId, id: &SessionId, now: UnixTime) -> Result<bool, Fault> {
    let live = sessions::table
        .filter(sessions::id.eq(id.as_str()))
        .filter(sessions::provider_id.eq(provider.as_str()))
        .filter(sessions::ended_at.is_null());
    let end = (sessions::ended_at.eq(now.seconds()), sessions::epoch.eq(sessions::epoch + 1));
    if diesel::update(live).set(end).execute(&mut **tx)? == 0 {
        return Ok(false);
    }
    refresh_families::revoke_of_session(tx, id, now)?;
    if let Some(session) = get(tx, provider, id)? {
        logout_deliveries::enqueue(tx, provider, &session.user, id, now.seconds())?;
    }
    tx.changed(ChangedTable::Sessions, &change_id(provider, id), now)?;
    Ok(true)
}

/// Ends every session of a person but one; answers which.
pub fn end_of_user(
    tx: &mut Tx<'_>,
    provider: &ProviderId,
    user: &UserId,
    except: Option<&SessionId>,
    now: UnixTime,
) -> Result<Vec<SessionId>, Fault> {
    let ids: Vec<String> = sessions::table
        // Not by the provider too, which [`end`] looks at: SQLite would read every session of it instead.
        .filter(sessions::user_id.eq(user.as_str()))
        .filter(sessions::ended_at.is_null())
        .filter(sessions::ends_at.gt(now.seconds()))
        .order(sessions::id)
        .select(sessions::id)
        .load(&mut **tx)?;
    let mut ended = Vec::new();
    for id in ids.into_iter().map(SessionId::from).filter(|id| Some(id) != except) {
        if end(tx, provider, &id, now)? {
            ended.push(id);
        }
    }
    Ok(ended)
}

/// How a session is named in the change log.
pub fn change_id(provider: &ProviderId, id: &SessionId) -> String {
    format!("{provider}/{id}")
}
