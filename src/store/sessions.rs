//! `sessions`: logins that browsers hold.

use diesel::prelude::*;

use crate::domain::session::{Amr, Session};
use crate::domain::{Fault, ProviderId, SessionId, UnixTime};
use crate::store::connection::{Conn, each};
use crate::store::fault::unreadable;
use crate::store::{ChangedTable, Tx, refresh_families};

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
    }
}

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
        })
    }
}

pub fn insert(conn: &mut Conn, session: &Session, cookie: &CookieDigest) -> Result<(), Fault> {
    let row = (
        sessions::id.eq(session.id.as_str()),
        sessions::provider_id.eq(session.provider.as_str()),
        sessions::user_id.eq(session.user.as_str()),
        sessions::pepper_id.eq(&cookie.pepper_id),
        sessions::digest.eq(cookie.digest.as_slice()),
        sessions::auth_time.eq(session.auth_time),
        sessions::amr.eq(session.amr.joined()),
        sessions::user_agent.eq(&session.user_agent),
        sessions::address.eq(&session.address),
        sessions::created_at.eq(session.created_at),
        sessions::seen_at.eq(session.seen_at),
        sessions::idle_ends_at.eq(session.idle_ends_at),
        sessions::ends_at.eq(session.ends_at),
        sessions::ended_at.eq(session.ended_at),
        sessions::epoch.eq(i64::from(session.epoch)),
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
    tx.changed(ChangedTable::Sessions, &change_id(provider, id), now)?;
    Ok(true)
}

/// How a session is named in the change log.
pub fn change_id(provider: &ProviderId, id: &SessionId) -> String {
    format!("{provider}/{id}")
}
