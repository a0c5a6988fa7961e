//! The report of secrets that nobody uses and of those that end soon: live secrets of clients and API
//! keys in the order of their ids, looked through a window at a time.

use crate::domain::id::is_uuid_shaped;
use crate::domain::page::{Page, PageRequest};
use crate::domain::{Context, Failed, Refusal, Role};
use crate::engine::Engine;
use crate::engine::manage::Actor;
use crate::store::secret_report::{self, LiveSecret};

const DAY: i64 = 86_400;
/// Rows that one read looks through, and reads of one call: a page may be short, or empty, and have a
/// next one.
const WINDOW: u32 = 1000;
const WINDOWS: u32 = 10;

/// What is asked for. Days; `None`: not asked.
#[derive(Clone, Debug, Default)]
pub struct SecretReportAsk {
    /// Id or slug.
    pub provider: Option<String>,
    pub unused_days: Option<i64>,
    pub expires_within_days: Option<i64>,
}

/// Asked for neither: both, with these.
const UNUSED_DAYS: i64 = 90;
const EXPIRES_WITHIN_DAYS: i64 = 30;

/// Whose secret it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnerKind {
    Client,
    ApiKey,
}

/// One line.
#[derive(Clone, Debug)]
pub struct ReportedSecret {
    pub kind: OwnerKind,
    pub secret: LiveSecret,
    pub unused: bool,
    pub expires_soon: bool,
}

impl Engine {
    /// Unused: neither made nor used within so many days. A bound actor sees its provider's only.
    pub async fn report_secrets(
        &self,
        ctx: &Context,
        actor: &Actor,
        ask: SecretReportAsk,
        page: PageRequest,
    ) -> Result<Page<ReportedSecret>, Failed> {
        actor.require(Role::Admin)?;
        let provider = match (&ask.provider, actor.bound_to()) {
            (Some(named), _) => Some(self.managed_provider(ctx, actor, named).await?.id),
            (None, Some(bound)) => Some(bound.clone()),
            (None, None) => None,
        };
        let (mut unused_days, mut expires_days) = (ask.unused_days, ask.expires_within_days);
        if unused_days.is_none() && expires_days.is_none() {
            (unused_days, expires_days) = (Some(UNUSED_DAYS), Some(EXPIRES_WITHIN_DAYS));
        }
        let now = ctx.now.seconds();
        let judged = move |kind: OwnerKind, secret: LiveSecret| {
            let last = secret.last_used_at.unwrap_or(secret.created_at);
            let unused = unused_days.is_some_and(|days| last < now - days * DAY);
            let expires_soon =
                expires_days.is_some_and(|days| secret.expires_at.is_some_and(|end| end <= now + days * DAY));
            (unused || expires_soon).then_some(ReportedSecret { kind, secret, unused, expires_soon })
        };
        let (mut kind, mut after) = position(page.after.as_deref())?;
        let limit = page.limit as usize;
        let mut items = Vec::new();
        for _ in 0..WINDOWS {
            let (owner, from) = (provider.clone(), after.clone());
            let look = move |conn: &mut _| match kind {
                OwnerKind::Client => secret_report::of_clients(conn, owner.as_ref(), &from, now, WINDOW),
                OwnerKind::ApiKey => secret_report::of_api_keys(conn, owner.as_ref(), &from, now, WINDOW),
            };
            let (live, last) = self.0.db.read(ctx.deadline, look).await?;
            for secret in live {
                if items.len() == limit {
                    return Ok(Page { items, next: Some(cursor(kind, &after)) });
                }
                let id = secret.id.clone();
                items.extend(judged(kind, secret));
                after = id;
            }
            match (last, kind) {
                (Some(last), _) => after = last,
                (None, OwnerKind::Client) => (kind, after) = (OwnerKind::ApiKey, String::new()),
                (None, OwnerKind::ApiKey) => return Ok(Page { items, next: None }),
            }
        }
        Ok(Page { items, next: Some(cursor(kind, &after)) })
    }
}

/// `client.<id>` or `api-key.<id>`: what was looked at last.
fn cursor(kind: OwnerKind, after: &str) -> String {
    match kind {
        OwnerKind::Client => format!("client.{after}"),
        OwnerKind::ApiKey => format!("api-key.{after}"),
    }
}

fn position(cursor: Option<&str>) -> Result<(OwnerKind, String), Refusal> {
    let Some(cursor) = cursor else { return Ok((OwnerKind::Client, String::new())) };
    // Nothing was looked at yet where one kind has just ended.
    let is_place = |after: &str| after.is_empty() || is_uuid_shaped(after);
    match cursor.split_once('.') {
        Some(("client", after)) if is_place(after) => Ok((OwnerKind::Client, after.to_owned())),
        Some(("api-key", after)) if is_place(after) => Ok((OwnerKind::ApiKey, after.to_owned())),
        _ => Err(Refusal::malformed(
            "The cursor is not valid. Take it from next_cursor, or begin again without a cursor.",
        )),
    }
}
