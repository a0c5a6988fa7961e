//! `events`: the audit trail. Written in the transaction of the change it tells of, and never changed:
//! a row ends with its retention only. The row and what webhooks are told of it are one statement.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

use crate::domain::actions::{is_action, of_family};
use crate::domain::event::{ActionPattern, Event, EventFilter, RecordedEvent};
use crate::domain::page::{Page, PageRequest};
use crate::domain::{Fault, ProviderId};
use crate::store::connection::{Conn, each};

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

/// Reads events from a table or a part of it, with the slugs of their providers.
fn columns_of(source: &str) -> String {
    format!(
        "SELECT e.id, e.at, e.provider_id, p.slug AS provider_slug, e.actor, e.action, e.target, e.request_id, \
         e.details FROM {source} e LEFT JOIN providers p ON p.id = e.provider_id"
    )
}

/// Which webhooks want an event: `$provider` and three patterns.
macro_rules! wanted_by {
    ($provider:literal, $patterns:literal) => {
        concat!(
            // Two look-ups: SQLite answers an OR by reading the webhooks of every provider.
            " FROM (SELECT id FROM webhooks WHERE provider_id IS NULL AND enabled AND deleted_at IS NULL UNION ALL ",
            "SELECT id FROM webhooks WHERE provider_id = ",
            $provider,
            " AND enabled AND deleted_at IS NULL) w WHERE EXISTS (SELECT 1 FROM webhook_patterns n WHERE n.webhook_id = w.id AND n.pattern IN (",
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
    let Some((sql, binds)) = statement(filter, page, matches!(conn, Conn::Sqlite(_))) else {
        return Ok(Page::cut(Vec::new(), page, |event: &RecordedEvent| event.id.clone()));
    };
    let rows: Vec<Row> = each!(conn, conn => {
        let mut query = diesel::sql_query(sql).into_boxed();
        for value in binds {
            query = query.bind::<Text, _>(value);
        }
        query.load(conn)?
    });
    Ok(Page::cut(rows.into_iter().map(RecordedEvent::from).collect(), page, |event| event.id.clone()))
}

/// What finds a page of events, and its binds in the order in which they first appear; `None`: no event can
/// fit. An index gives the rows in the order of the answer, for each action that is looked for anew: the
/// actions of a family together would have to be put in order first, all of them.
pub fn statement(filter: &EventFilter, page: &PageRequest, is_sqlite: bool) -> Option<(String, Vec<String>)> {
    let EventFilter { provider, actor, action, target, request_id, since, until } = filter;
    let actions: Vec<&str> = match action {
        None | Some(ActionPattern::All) => Vec::new(),
        Some(ActionPattern::Exact(action)) => vec![action],
        Some(ActionPattern::Family(family)) => {
            let known: Vec<&str> = of_family(family).collect();
            if known.is_empty() {
                return None;
            }
            known
        }
    };
    // The rarest leads, by the index on it.
    let leader = [("request_id", request_id), ("target", target), ("actor", actor)];
    let leader = leader.into_iter().find(|(_, value)| value.is_some()).map(|(column, _)| column);
    // SQLite keeps no statistics here and might prefer the index of a provider that has very many: a plus
    // keeps it from that of a column.
    let plain = |column: &str| if is_sqlite && leader.is_some_and(|leader| leader != column) { "+" } else { "" };
    let (mut conditions, mut binds): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    for (column, operator, value) in [
        ("provider_id", "=", provider.as_ref().map(ToString::to_string)),
        ("request_id", "=", request_id.clone()),
        ("target", "=", target.clone()),
        ("actor", "=", actor.clone()),
        ("id", ">=", since.map(first_id_at)),
        ("id", "<", until.map(first_id_at)),
        ("id", "<", page.after.clone()),
    ] {
        let Some(value) = value else { continue };
        binds.push(value);
        let plain = if column == "id" { "" } else { plain(column) };
        conditions.push(format!("{plain}e.{column} {operator} ${}", binds.len()));
    }
    let common = binds.len();
    binds.extend(actions.iter().map(|action| (*action).to_owned()));
    let places = (common + 1..=binds.len()).map(|place| format!("${place}"));
    let of_action: Vec<String> = match (actions.is_empty(), leader) {
        (true, _) => vec![String::new()],
        (false, None) => places.map(|place| format!("e.action = {place}")).collect(),
        (false, Some(_)) => {
            vec![format!("{}e.action IN ({})", plain("action"), places.collect::<Vec<_>>().join(", "))]
        }
    };
    let limit = u64::from(page.limit) + 1;
    let parts: Vec<String> = of_action
        .into_iter()
        .map(|of_action| {
            let all = conditions.iter().cloned().chain(Some(of_action).filter(|condition| !condition.is_empty()));
            let all = all.collect::<Vec<_>>().join(" AND ");
            let wanted = if all.is_empty() { all } else { format!(" WHERE {all}") };
            format!("SELECT * FROM (SELECT * FROM events e{wanted} ORDER BY e.id DESC LIMIT {limit}) part")
        })
        .collect();
    let source = format!("({})", parts.join(" UNION ALL "));
    Some((format!("{} ORDER BY e.id DESC LIMIT {limit}", columns_of(&source)), binds))
}

pub fn get(conn: &mut Conn, id: &str) -> Result<Option<RecordedEvent>, Fault> {
    let sql = format!("{} WHERE e.id = $1", columns_of("events"));
    let row: Option<Row> = diesel::sql_query(sql).bind::<Text, _>(id).get_result(conn).optional()?;
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
