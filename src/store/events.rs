//! `events`: the audit trail. Written in the transaction of the change it tells of, and never changed:
//! a row ends with its retention only. The row and what webhooks are told of it are one statement.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

use crate::domain::actions::is_action;
use crate::domain::event::{ActionPattern, Event, EventFilter, RecordedEvent};
use crate::domain::page::{Page, PageRequest};
use crate::domain::{Fault, ProviderId};
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

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    id: String,
    #[diesel(sql_type = BigInt)]
    at: i64,
    #[diesel(sql_type = Nullable<Text>)]
    provider_id: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    provider_slug: Option<String>,
    #[diesel(sql_type = Text)]
    actor: String,
    #[diesel(sql_type = Text)]
    action: String,
    #[diesel(sql_type = Text)]
    target: String,
    #[diesel(sql_type = Text)]
    request_id: String,
    #[diesel(sql_type = Text)]
    details: String,
}

impl From<Row> for RecordedEvent {
    fn from(row: Row) -> Self {
        let Row { id, at, provider_id, provider_slug, actor, action, target, request_id, details } = row;
        let provider = provider_id.map(ProviderId::from);
        Self { id, at, provider, provider_slug, actor, action, target, request_id, details }
    }
}

const COLUMNS: &str = "SELECT e.id, e.at, e.provider_id, p.slug AS provider_slug, e.actor, e.action, e.target, \
     e.request_id, e.details FROM events e LEFT JOIN providers p ON p.id = e.provider_id";

/// Which webhooks want an event: `$provider` and three patterns.
macro_rules! wanted_by {
    ($provider:literal, $patterns:literal) => {
        concat!(
            " FROM webhooks w WHERE w.enabled AND w.deleted_at IS NULL AND (w.provider_id IS NULL OR w.provider_id = ",
            $provider,
            ") AND EXISTS (SELECT 1 FROM webhook_patterns n WHERE n.webhook_id = w.id AND n.pattern IN (",
            $patterns,
            ")) ON CONFLICT DO NOTHING"
        )
    };
}

/// Writes the event, and a delivery for every webhook that wants it.
pub fn insert(conn: &mut Conn, event: &Event) -> Result<(), Fault> {
    const ON_POSTGRES: &str = concat!(
        "WITH told AS (INSERT INTO events (id, at, provider_id, actor, action, target, request_id, details) ",
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8)) INSERT INTO webhook_deliveries ",
        "(webhook_id, event_id, state, attempts, next_at, created_at) ",
        "SELECT w.id, $1, 'pending', 0, $2 / 1000, $2 / 1000",
        wanted_by!("$3", "$9, $10, $5")
    );
    // SQLite changes nothing below WITH. It numbers binds by first appearance.
    const ON_SQLITE: &str = concat!(
        "INSERT INTO webhook_deliveries (webhook_id, event_id, state, attempts, next_at, created_at) ",
        "SELECT w.id, $1, 'pending', 0, $2 / 1000, $2 / 1000",
        wanted_by!("$3", "$4, $5, $6")
    );
    let Event { id, at, provider, actor, action, target, request_id, details } = event;
    debug_assert!(is_action(action), "{action} is missing in domain/actions.rs");
    let provider = provider.as_ref().map(|provider| provider.as_str());
    let [all, family, exact] = ActionPattern::fitting(action);
    match conn {
        Conn::Postgres(conn) => {
            diesel::sql_query(ON_POSTGRES)
                .bind::<Text, _>(id)
                .bind::<BigInt, _>(at)
                .bind::<Nullable<Text>, _>(provider)
                .bind::<Text, _>(actor)
                .bind::<Text, _>(exact)
                .bind::<Text, _>(target)
                .bind::<Text, _>(request_id)
                .bind::<Text, _>(details)
                .bind::<Text, _>(all)
                .bind::<Text, _>(family)
                .execute(conn)?;
        }
        Conn::Sqlite(conn) => {
            let row = (
                events::id.eq(id),
                events::at.eq(at),
                events::provider_id.eq(provider),
                events::actor.eq(actor),
                events::action.eq(*action),
                events::target.eq(target),
                events::request_id.eq(request_id),
                events::details.eq(details),
            );
            diesel::insert_into(events::table).values(row).execute(conn)?;
            diesel::sql_query(ON_SQLITE)
                .bind::<Text, _>(id)
                .bind::<BigInt, _>(at)
                .bind::<Nullable<Text>, _>(provider)
                .bind::<Text, _>(all)
                .bind::<Text, _>(family)
                .bind::<Text, _>(exact)
                .execute(conn)?;
        }
    }
    Ok(())
}

/// The newest first, `limit` of them.
pub fn newest(conn: &mut Conn, limit: u32) -> Result<Vec<RecordedEvent>, Fault> {
    Ok(list(conn, &EventFilter::default(), &PageRequest::first(limit))?.items)
}

/// Those that fit, the newest first. Ids are in the order of time, so a page goes on below the id that
/// the last one ended with, and times are bounds of ids.
pub fn list(conn: &mut Conn, filter: &EventFilter, page: &PageRequest) -> Result<Page<RecordedEvent>, Fault> {
    let EventFilter { provider, actor, action, target, request_id, since, until } = filter;
    let mut conditions: Vec<(&str, String)> = Vec::new();
    let mut add = |condition: &'static str, value: Option<String>| {
        conditions.extend(value.map(|value| (condition, value)));
    };
    add("e.provider_id =", provider.as_ref().map(ToString::to_string));
    add("e.actor =", actor.clone());
    add("e.target =", target.clone());
    add("e.request_id =", request_id.clone());
    add("e.id >=", since.map(first_id_at));
    add("e.id <", until.map(first_id_at));
    add("e.id <", page.after.clone());
    match action {
        None | Some(ActionPattern::All) => {}
        Some(ActionPattern::Exact(action)) => add("e.action =", Some(action.clone())),
        // Both use the index for a fixed beginning.
        Some(ActionPattern::Family(family)) => match conn {
            Conn::Sqlite(_) => add("e.action GLOB", Some(format!("{family}.*"))),
            Conn::Postgres(_) => add("e.action LIKE", Some(format!("{}.%", family.replace('_', "\\_")))),
        },
    }
    let mut sql = COLUMNS.to_owned();
    for (at, (condition, _)) in conditions.iter().enumerate() {
        let word = if at == 0 { "WHERE" } else { "AND" };
        sql.push_str(&format!(" {word} {condition} ${}", at + 1));
    }
    sql.push_str(&format!(" ORDER BY e.id DESC LIMIT {}", u64::from(page.limit) + 1));
    let rows: Vec<Row> = match conn {
        Conn::Sqlite(conn) => {
            let mut query = diesel::sql_query(sql).into_boxed();
            for (_, value) in conditions {
                query = query.bind::<Text, _>(value);
            }
            query.load(conn)?
        }
        Conn::Postgres(conn) => {
            let mut query = diesel::sql_query(sql).into_boxed();
            for (_, value) in conditions {
                query = query.bind::<Text, _>(value);
            }
            query.load(conn)?
        }
    };
    Ok(Page::cut(rows.into_iter().map(RecordedEvent::from).collect(), page, |event| event.id.clone()))
}

pub fn get(conn: &mut Conn, id: &str) -> Result<Option<RecordedEvent>, Fault> {
    let row: Option<Row> =
        diesel::sql_query(format!("{COLUMNS} WHERE e.id = $1")).bind::<Text, _>(id).get_result(conn).optional()?;
    Ok(row.map(RecordedEvent::from))
}

/// The least UUID v7 of a millisecond.
fn first_id_at(millis: i64) -> String {
    let millis = millis.clamp(0, (1 << 48) - 1);
    format!("{:08x}-{:04x}-7000-8000-000000000000", millis >> 16, millis & 0xffff)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::UnixTime;
    use crate::domain::token::Jti;

    #[test]
    fn the_ids_of_a_millisecond_lie_between_the_bounds_of_it_and_the_next() {
        let millis = 1_800_000_000_123;
        let of_time = format!("{:012x}", UnixTime::from_millis(millis).millis());
        let bytes = u128::from_str_radix(&format!("{of_time}7fffbfffffffffffffff"), 16).unwrap().to_be_bytes();
        let id = Jti(bytes).to_string();
        assert!(first_id_at(millis) <= id && id < first_id_at(millis + 1), "{id}");
    }
}
