//! `events`: the audit trail. Written in the transaction of the change it tells of.

use diesel::prelude::*;

use crate::domain::Fault;
use crate::domain::event::Event;
use crate::store::connection::Conn;

diesel::table! {
    events (id) {
        id -> Text,
        at -> BigInt,
        provider_id -> Nullable<Text>,
        actor -> Text,
        action -> Text,
        target -> Text,
        request_id -> Text,
        details -> Text,
    }
}

/// An event as it is read back: its action is text, since any release may have written it.
#[derive(Clone, Debug, PartialEq, Eq, Queryable)]
pub struct StoredEvent {
    pub id: String,
    /// Epoch milliseconds.
    pub at: i64,
    pub provider: Option<String>,
    pub actor: String,
    pub action: String,
    pub target: String,
    pub request_id: String,
    /// JSON text.
    pub details: String,
}

pub fn insert(conn: &mut Conn, event: &Event) -> Result<(), Fault> {
    let Event { id, at, provider, actor, action, target, request_id, details } = event;
    let row = (
        events::id.eq(id),
        events::at.eq(at),
        events::provider_id.eq(provider.as_ref().map(|provider| provider.as_str())),
        events::actor.eq(actor),
        events::action.eq(*action),
        events::target.eq(target),
        events::request_id.eq(request_id),
        events::details.eq(details),
    );
    diesel::insert_into(events::table).values(row).execute(conn)?;
    Ok(())
}

/// The newest first, `limit` of them.
pub fn newest(conn: &mut Conn, limit: u32) -> Result<Vec<StoredEvent>, Fault> {
    Ok(events::table.order((events::at.desc(), events::id.desc())).limit(i64::from(limit)).load(conn)?)
}
