//! `session_clients`: which clients took part in a session and want to be told of its end.

use diesel::prelude::*;

use crate::domain::{ClientId, Fault, SessionId, UnixTime};
use crate::store::connection::{Conn, each};

diesel::table! {
    session_clients (session_id, client_id) {
        session_id -> Text,
        client_id -> Text,
        created_at -> BigInt,
    }
}

/// Notes that this client got tokens in this session; once is enough.
pub fn note(conn: &mut Conn, session: &SessionId, client: &ClientId, now: UnixTime) -> Result<(), Fault> {
    let row = (
        session_clients::session_id.eq(session.as_str()),
        session_clients::client_id.eq(client.as_str()),
        session_clients::created_at.eq(now.seconds()),
    );
    each!(conn, conn => diesel::insert_into(session_clients::table).values(row).on_conflict_do_nothing().execute(conn))?;
    Ok(())
}
