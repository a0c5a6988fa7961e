//! `webhooks` and `webhook_patterns`. A deleted webhook keeps its row until its deliveries are swept.

use diesel::prelude::*;

use crate::domain::page::{Page, PageRequest};
use crate::domain::webhook::{Webhook, WebhookSecrets};
use crate::domain::{Fault, ProviderId, WebhookId};
use crate::store::connection::{Conn, each};

diesel::table! {
    webhooks (id) {
        id -> Text,
        provider_id -> Nullable<Text>,
        url -> Text,
        events -> Text,
        enabled -> Bool,
        secret -> Binary,
        old_secret -> Nullable<Binary>,
        old_secret_until -> Nullable<BigInt>,
        failures -> BigInt,
        rest_until -> BigInt,
        version -> BigInt,
        created_at -> BigInt,
        updated_at -> BigInt,
        deleted_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    webhook_patterns (webhook_id, pattern) {
        webhook_id -> Text,
        pattern -> Text,
    }
}

#[derive(Queryable, Insertable)]
#[diesel(table_name = webhooks)]
struct Row {
    id: String,
    provider_id: Option<String>,
    url: String,
    events: String,
    enabled: bool,
    secret: Vec<u8>,
    old_secret: Option<Vec<u8>>,
    old_secret_until: Option<i64>,
    failures: i64,
    rest_until: i64,
    version: i64,
    created_at: i64,
    updated_at: i64,
    deleted_at: Option<i64>,
}

impl From<Row> for Webhook {
    fn from(row: Row) -> Self {
        let Row { id, provider_id, url, events, enabled, secret, old_secret, old_secret_until, .. } = row;
        Self {
            id: id.into(),
            provider: provider_id.map(ProviderId::from),
            url,
            events: events.split(' ').map(str::to_owned).collect(),
            enabled,
            secrets: WebhookSecrets { current: secret, previous: old_secret.zip(old_secret_until) },
            failures: row.failures,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// Of those that make a webhook of the installation at once on PostgreSQL one goes on at a time.
const LOCK: &str = "SELECT pg_advisory_xact_lock(7307199725474115704)";

/// Adds a webhook with its patterns while its owner has fewer than `most`. `false`: it has that many. Call it
/// in a transaction, the provider's row held.
pub fn insert_below(conn: &mut Conn, webhook: &Webhook, most: i64) -> Result<bool, Fault> {
    if let (Conn::Postgres(conn), None) = (&mut *conn, &webhook.provider) {
        diesel::sql_query(LOCK).execute(conn)?;
    }
    if count_live(conn, webhook.provider.as_ref())? >= most {
        return Ok(false);
    }
    insert(conn, webhook)?;
    Ok(true)
}

/// Those that are not deleted, switched on or off: of a provider, or with `None` of the installation.
fn count_live(conn: &mut Conn, owner: Option<&ProviderId>) -> Result<i64, Fault> {
    let live = webhooks::table.filter(webhooks::deleted_at.is_null()).count();
    Ok(match owner {
        Some(provider) => live.filter(webhooks::provider_id.eq(provider.as_str())).first(conn)?,
        None => live.filter(webhooks::provider_id.is_null()).first(conn)?,
    })
}

fn insert(conn: &mut Conn, webhook: &Webhook) -> Result<(), Fault> {
    let Webhook { id, provider, url, events, enabled, secrets, failures, version, created_at, updated_at } = webhook;
    let WebhookSecrets { current, previous } = secrets.clone();
    let (old_secret, old_secret_until) = previous.unzip();
    let row = Row {
        id: id.to_string(),
        provider_id: provider.as_ref().map(ToString::to_string),
        url: url.clone(),
        events: events.join(" "),
        enabled: *enabled,
        secret: current,
        old_secret,
        old_secret_until,
        failures: *failures,
        rest_until: 0,
        version: *version,
        created_at: *created_at,
        updated_at: *updated_at,
        deleted_at: None,
    };
    diesel::insert_into(webhooks::table).values(row).execute(conn)?;
    put_patterns(conn, webhook)
}

fn put_patterns(conn: &mut Conn, webhook: &Webhook) -> Result<(), Fault> {
    for pattern in &webhook.events {
        let row = (webhook_patterns::webhook_id.eq(webhook.id.as_str()), webhook_patterns::pattern.eq(pattern));
        diesel::insert_into(webhook_patterns::table).values(row).execute(conn)?;
    }
    Ok(())
}

/// One that is not deleted.
pub fn get(conn: &mut Conn, id: &WebhookId) -> Result<Option<Webhook>, Fault> {
    let row: Option<Row> =
        webhooks::table.find(id.as_str()).filter(webhooks::deleted_at.is_null()).first(conn).optional()?;
    Ok(row.map(Webhook::from))
}

/// Those of a provider, or with `None` all of them, ordered by id.
pub fn list(conn: &mut Conn, provider: Option<&ProviderId>, page: &PageRequest) -> Result<Page<Webhook>, Fault> {
    let after = page.after.as_deref().unwrap_or_default();
    let limit = i64::from(page.limit) + 1;
    let rows: Vec<Row> = each!(conn, conn => {
        let all = webhooks::table.filter(webhooks::deleted_at.is_null()).filter(webhooks::id.gt(after));
        match provider {
            None => all.order(webhooks::id).limit(limit).load(conn)?,
            Some(provider) => {
                all.filter(webhooks::provider_id.eq(provider.as_str())).order(webhooks::id).limit(limit).load(conn)?
            }
        }
    });
    Ok(Page::cut(rows.into_iter().map(Webhook::from).collect(), page, |webhook| webhook.id.to_string()))
}

/// Writes what can be changed, if the row is still of the version before. Begins afresh with an endpoint
/// that has failed. Call it in a transaction.
pub fn update(conn: &mut Conn, webhook: &Webhook) -> Result<bool, Fault> {
    let row = webhooks::table
        .find(webhook.id.as_str())
        .filter(webhooks::version.eq(webhook.version - 1))
        .filter(webhooks::deleted_at.is_null());
    let (old_secret, old_secret_until) = webhook.secrets.previous.clone().unzip();
    let change = (
        webhooks::url.eq(&webhook.url),
        webhooks::events.eq(webhook.events.join(" ")),
        webhooks::enabled.eq(webhook.enabled),
        webhooks::secret.eq(&webhook.secrets.current),
        webhooks::old_secret.eq(old_secret),
        webhooks::old_secret_until.eq(old_secret_until),
        webhooks::failures.eq(0),
        webhooks::rest_until.eq(0),
        webhooks::version.eq(webhook.version),
        webhooks::updated_at.eq(webhook.updated_at),
    );
    if diesel::update(row).set(change).execute(conn)? == 0 {
        return Ok(false);
    }
    let known = webhook_patterns::table.filter(webhook_patterns::webhook_id.eq(webhook.id.as_str()));
    diesel::delete(known).execute(conn)?;
    put_patterns(conn, webhook)?;
    Ok(true)
}

/// Ends a webhook of this version. `false`: it is of another one, or gone. `now` in epoch seconds.
pub fn soft_delete(conn: &mut Conn, id: &WebhookId, version: i64, now: i64) -> Result<bool, Fault> {
    let row =
        webhooks::table.find(id.as_str()).filter(webhooks::version.eq(version)).filter(webhooks::deleted_at.is_null());
    let end = (webhooks::deleted_at.eq(now), webhooks::updated_at.eq(now), webhooks::version.eq(version + 1));
    Ok(diesel::update(row).set(end).execute(conn)? == 1)
}

/// Ends every webhook of a provider. What waits for them is not told any more. `now` in epoch seconds.
pub fn end_of_provider(conn: &mut Conn, provider: &ProviderId, now: i64) -> Result<usize, Fault> {
    let live =
        webhooks::table.filter(webhooks::provider_id.eq(provider.as_str())).filter(webhooks::deleted_at.is_null());
    let end = (webhooks::deleted_at.eq(now), webhooks::updated_at.eq(now), webhooks::version.eq(webhooks::version + 1));
    Ok(diesel::update(live).set(end).execute(conn)?)
}

/// It has had a turn at `now` (epoch seconds) and is not through: others come before it.
pub fn note_turn(conn: &mut Conn, id: &WebhookId, now: i64) -> Result<(), Fault> {
    let row = webhooks::table.find(id.as_str()).filter(webhooks::rest_until.lt(now));
    diesel::update(row).set(webhooks::rest_until.eq(now)).execute(conn)?;
    Ok(())
}

/// The endpoint took a delivery: it has no failures behind it any more.
pub fn note_success(conn: &mut Conn, id: &WebhookId) -> Result<(), Fault> {
    let row = webhooks::table.find(id.as_str()).filter(webhooks::failures.ne(0));
    diesel::update(row).set((webhooks::failures.eq(0), webhooks::rest_until.eq(0))).execute(conn)?;
    Ok(())
}

/// The endpoint failed: it is left alone until `rest_until` (epoch seconds).
pub fn note_failure(conn: &mut Conn, id: &WebhookId, rest_until: i64) -> Result<(), Fault> {
    let change = (webhooks::failures.eq(webhooks::failures + 1), webhooks::rest_until.eq(rest_until));
    diesel::update(webhooks::table.find(id.as_str())).set(change).execute(conn)?;
    Ok(())
}

/// Switches a webhook off whose endpoint is gone for good. `false`: it was off already.
pub fn disable(conn: &mut Conn, id: &WebhookId, now: i64) -> Result<bool, Fault> {
    let row = webhooks::table.find(id.as_str()).filter(webhooks::enabled.eq(true));
    let change =
        (webhooks::enabled.eq(false), webhooks::version.eq(webhooks::version + 1), webhooks::updated_at.eq(now));
    Ok(diesel::update(row).set(change).execute(conn)? == 1)
}
