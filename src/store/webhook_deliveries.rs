//! `webhook_deliveries`: events that wait to be told. Rows are made by `events::insert`, in the
//! transaction of the change. Of many nodes the one whose guarded update claims a row delivers it.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

use crate::domain::page::{Page, PageRequest};
use crate::domain::webhook::{Delivery, DeliveryState};
use crate::domain::{Fault, ProviderId, WebhookId};
use crate::store::connection::{Conn, each};
use crate::store::fault::unreadable;

diesel::table! {
    webhook_deliveries (webhook_id, event_id) {
        webhook_id -> Text,
        event_id -> Text,
        state -> Text,
        attempts -> BigInt,
        next_at -> Nullable<BigInt>,
        error -> Nullable<Text>,
        created_at -> BigInt,
        finished_at -> Nullable<BigInt>,
    }
}

#[derive(Queryable, QueryableByName)]
#[diesel(table_name = webhook_deliveries)]
struct Row {
    webhook_id: String,
    event_id: String,
    state: String,
    attempts: i64,
    next_at: Option<i64>,
    error: Option<String>,
    created_at: i64,
    finished_at: Option<i64>,
}

impl TryFrom<Row> for Delivery {
    type Error = Fault;

    fn try_from(row: Row) -> Result<Self, Fault> {
        let Row { webhook_id, event_id, state, attempts, next_at, error, created_at, finished_at } = row;
        let state = DeliveryState::from_name(&state).ok_or_else(|| unreadable("webhook_deliveries", "state"))?;
        Ok(Self {
            webhook: webhook_id.into(),
            event: event_id,
            state,
            attempts,
            next_at,
            error,
            created_at,
            finished_at,
        })
    }
}

#[derive(QueryableByName)]
struct DueRow {
    #[diesel(sql_type = Text)]
    id: String,
    #[diesel(sql_type = Nullable<Text>)]
    provider_id: Option<String>,
}

/// Adds a delivery of one event to one webhook, whatever it wants; nothing if there is one.
pub fn insert(conn: &mut Conn, webhook: &WebhookId, event: &str, now: i64) -> Result<(), Fault> {
    const INSERT: &str = "INSERT INTO webhook_deliveries \
         (webhook_id, event_id, state, attempts, next_at, created_at) VALUES ($1, $2, 'pending', 0, $3, $3) \
         ON CONFLICT DO NOTHING";
    diesel::sql_query(INSERT)
        .bind::<Text, _>(webhook.as_str())
        .bind::<Text, _>(event)
        .bind::<BigInt, _>(now)
        .execute(conn)?;
    Ok(())
}

/// A webhook with something due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    pub webhook: WebhookId,
    /// Whose it is; `None`: the installation's.
    pub owner: Option<ProviderId>,
}

/// Webhooks with something due, at most `limit`, and `of_owner` of one owner; those that rest after a failure
/// are left out. Who has not had a turn for the longest comes first, then whose delivery has waited for the
/// longest: neither age nor a backlog puts one before the others.
pub fn due_webhooks(conn: &mut Conn, now: i64, limit: u32, of_owner: u32) -> Result<Vec<Due>, Fault> {
    // One step of an index for each webhook that waits for something: the others are not read.
    let sql = format!(
        "WITH RECURSIVE waiting(id) AS (SELECT min(webhook_id) FROM webhook_deliveries WHERE next_at IS NOT NULL \
         UNION ALL SELECT (SELECT min(n.webhook_id) FROM webhook_deliveries n WHERE n.next_at IS NOT NULL \
         AND n.webhook_id > waiting.id) FROM waiting WHERE waiting.id IS NOT NULL) \
         SELECT id, provider_id FROM (SELECT w.id, w.provider_id, w.rest_until, w.due_at, row_number() OVER \
         (PARTITION BY w.provider_id ORDER BY w.rest_until, w.due_at, w.id) AS place FROM \
         (SELECT h.id, h.provider_id, h.rest_until, (SELECT d.next_at FROM webhook_deliveries d \
         WHERE d.webhook_id = h.id AND d.next_at IS NOT NULL ORDER BY d.next_at LIMIT 1) AS due_at \
         FROM waiting JOIN webhooks h ON h.id = waiting.id WHERE h.enabled AND h.deleted_at IS NULL AND h.rest_until <= $1) w \
         WHERE w.due_at <= $1) due WHERE place <= {of_owner} ORDER BY rest_until, due_at, id LIMIT {limit}"
    );
    let rows: Vec<DueRow> = diesel::sql_query(sql).bind::<BigInt, _>(now).load(conn)?;
    let due = |DueRow { id, provider_id }| Due { webhook: id.into(), owner: provider_id.map(ProviderId::from) };
    Ok(rows.into_iter().map(due).collect())
}

/// Takes at most `limit` due rows of one webhook for `lease` seconds: nobody else gets them meanwhile, and
/// if this process ends they are due again afterwards. One guarded statement.
pub fn claim_due(
    conn: &mut Conn,
    webhook: &WebhookId,
    now: i64,
    lease: i64,
    limit: u32,
) -> Result<Vec<Delivery>, Fault> {
    let skip = if matches!(conn, Conn::Postgres(_)) { " FOR UPDATE SKIP LOCKED" } else { "" };
    let sql = format!(
        "UPDATE webhook_deliveries SET next_at = $1, attempts = attempts + 1 WHERE webhook_id = $2 AND event_id IN \
         (SELECT event_id FROM webhook_deliveries WHERE webhook_id = $2 AND next_at <= $3 \
         ORDER BY next_at LIMIT {limit}{skip}) \
         RETURNING webhook_id, event_id, state, attempts, next_at, error, created_at, finished_at"
    );
    let rows: Vec<Row> = diesel::sql_query(sql)
        .bind::<BigInt, _>(now + lease)
        .bind::<Text, _>(webhook.as_str())
        .bind::<BigInt, _>(now)
        .load(conn)?;
    rows.into_iter().map(Delivery::try_from).collect()
}

/// Lets a claimed row wait until `next_at`. A row that somebody else has claimed since stays as it is.
pub fn postpone(conn: &mut Conn, claimed: &Delivery, next_at: i64, error: &str) -> Result<bool, Fault> {
    let change = (webhook_deliveries::next_at.eq(next_at), webhook_deliveries::error.eq(error));
    let row = webhook_deliveries::table
        .find((claimed.webhook.as_str(), &claimed.event))
        .filter(webhook_deliveries::attempts.eq(claimed.attempts));
    Ok(diesel::update(row).set(change).execute(conn)? == 1)
}

/// Delivered, or dead. A row that somebody else has claimed since stays as it is.
pub fn finish(
    conn: &mut Conn,
    claimed: &Delivery,
    state: DeliveryState,
    now: i64,
    error: Option<&str>,
) -> Result<bool, Fault> {
    const FINISH: &str = "UPDATE webhook_deliveries SET state = $1, next_at = NULL, finished_at = $2, error = $3 \
         WHERE webhook_id = $4 AND event_id = $5 AND attempts = $6 AND state = 'pending'";
    let rows = diesel::sql_query(FINISH)
        .bind::<Text, _>(state.name())
        .bind::<BigInt, _>(now)
        .bind::<Nullable<Text>, _>(error)
        .bind::<Text, _>(claimed.webhook.as_str())
        .bind::<Text, _>(&claimed.event)
        .bind::<BigInt, _>(claimed.attempts)
        .execute(conn)?;
    Ok(rows == 1)
}

/// Ends what has waited since before `before` (epoch seconds), at most `limit` rows.
pub fn give_up(conn: &mut Conn, before: i64, now: i64, limit: u32) -> Result<usize, Fault> {
    let (row, skip) = match conn {
        Conn::Sqlite(_) => ("rowid", ""),
        Conn::Postgres(_) => ("ctid", " FOR UPDATE SKIP LOCKED"),
    };
    let sql = format!(
        "UPDATE webhook_deliveries SET state = 'dead', next_at = NULL, finished_at = $1 WHERE {row} IN \
         (SELECT {row} FROM webhook_deliveries WHERE created_at <= $2 AND next_at IS NOT NULL \
         ORDER BY created_at LIMIT {limit}{skip})"
    );
    Ok(diesel::sql_query(sql).bind::<BigInt, _>(now).bind::<BigInt, _>(before).execute(conn)?)
}

/// A finished row begins anew; `false`: there is none. `now` in epoch seconds.
pub fn begin_anew(conn: &mut Conn, webhook: &WebhookId, event: &str, now: i64) -> Result<bool, Fault> {
    const AGAIN: &str = "UPDATE webhook_deliveries SET state = 'pending', attempts = 0, next_at = $1, created_at = $1, \
         finished_at = NULL WHERE webhook_id = $2 AND event_id = $3 AND state <> 'pending'";
    let rows = diesel::sql_query(AGAIN)
        .bind::<BigInt, _>(now)
        .bind::<Text, _>(webhook.as_str())
        .bind::<Text, _>(event)
        .execute(conn)?;
    Ok(rows == 1)
}

pub fn get(conn: &mut Conn, webhook: &WebhookId, event: &str) -> Result<Option<Delivery>, Fault> {
    let row: Option<Row> = webhook_deliveries::table.find((webhook.as_str(), event)).first(conn).optional()?;
    row.map(Delivery::try_from).transpose()
}

/// Those of a webhook, the newest event first.
pub fn list(
    conn: &mut Conn,
    webhook: &WebhookId,
    state: Option<DeliveryState>,
    page: &PageRequest,
) -> Result<Page<Delivery>, Fault> {
    let limit = i64::from(page.limit) + 1;
    // No id begins with this letter or one behind it.
    let before = page.after.as_deref().unwrap_or("g");
    let rows: Vec<Row> = each!(conn, conn => {
        let all = webhook_deliveries::table
            .filter(webhook_deliveries::webhook_id.eq(webhook.as_str()))
            .filter(webhook_deliveries::event_id.lt(before))
            .order(webhook_deliveries::event_id.desc())
            .limit(limit);
        match state {
            None => all.load(conn)?,
            Some(state) => all.filter(webhook_deliveries::state.eq(state.name())).load(conn)?,
        }
    });
    let items = rows.into_iter().map(Delivery::try_from).collect::<Result<Vec<_>, _>>()?;
    Ok(Page::cut(items, page, |delivery| delivery.event.clone()))
}
