//! Lists: `?limit=&cursor=` and what a list can be narrowed and ordered by → `{items, next_cursor}`.

use actix_web::HttpResponse;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::admin::query::Query;
use crate::domain::id::is_uuid_shaped;
use crate::domain::page::{Found, ListRequest, Page, PageRequest, Place};
use crate::domain::{Failed, Refusal};
use crate::edge::Received;
use crate::edge::list::{ListBytes, STEP, too_long};

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "{T}List")]
pub struct Listed<T> {
    items: Vec<T>,
    /// For `cursor`; null on the last page.
    next_cursor: Option<String>,
}

/// What a list can be asked for beside `limit` and `cursor`.
pub struct ListSpec {
    /// Name, kind, and what it does; each a comparison for equality unless it says otherwise.
    pub filters: &'static [(&'static str, Kind, &'static str)],
    /// Fields that it can be ordered by; by the first one if nothing is asked. The first one is the order
    /// of the ids; what ends in `_at` beside it is a number, anything else a text.
    pub sorts: &'static [&'static str],
    /// What its items are called by.
    pub id: Kind,
}

/// What a filter takes.
pub enum Kind {
    Text,
    /// A UUID, as most things are called.
    Id,
    /// A `client_id`.
    ClientId,
    Flag,
    OneOf(&'static [&'static str]),
}

/// Most bytes of a `client_id`.
const MOST_CLIENT_ID: usize = 255;

impl Kind {
    pub fn schema(&self) -> Value {
        match self {
            Self::Text => json!({"type": "string"}),
            Self::Id => json!({"type": "string", "pattern": "^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$"}),
            Self::ClientId => json!({"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"}),
            Self::Flag => json!({"type": "boolean"}),
            Self::OneOf(words) => json!({"type": "string", "enum": words}),
        }
    }

    /// Whether an item can be called so.
    fn is_shape_of(&self, id: &str) -> bool {
        match self {
            Self::Text => !id.is_empty(),
            Self::Id => is_uuid_shaped(id),
            Self::ClientId => {
                (1..=MOST_CLIENT_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
            }
            Self::Flag | Self::OneOf(_) => false,
        }
    }
}

/// The values of a list's filters.
pub struct Filters {
    spec: &'static ListSpec,
    query: Query,
}

impl Filters {
    /// A text as it was sent, one of the words if there is a choice.
    pub fn text(&self, name: &'static str) -> Result<Option<String>, Refusal> {
        let Some(text) = self.query.text(name) else { return Ok(None) };
        let kind = self.spec.filters.iter().find(|(own, ..)| *own == name).map(|(_, kind, _)| kind);
        match kind {
            Some(Kind::OneOf(words)) if !words.contains(&text) => {
                Err(Refusal::with_hint(MALFORMED, format!("{name} must be one of {}.", words.join(", "))))
            }
            _ => Ok(Some(text.to_owned())),
        }
    }

    pub fn flag(&self, name: &'static str) -> Result<Option<bool>, Refusal> {
        self.query.flag(name)
    }
}

const MALFORMED: crate::domain::RefusalKind = crate::domain::RefusalKind::MalformedRequest;
/// Most characters of what a page ends with: the longest name there is, in UTF-8.
const MOST_KEY: usize = 2048;

/// Where a page ended, and what was asked for: with other filters or another order it would name
/// another place.
#[derive(Serialize, Deserialize, PartialEq, Eq)]
struct Cursor {
    /// The path of the list. Nodes of the release before left it out.
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    list: Option<String>,
    #[serde(rename = "q", default)]
    asked: Vec<(String, String)>,
    #[serde(rename = "k", default)]
    key: String,
    #[serde(rename = "i")]
    id: String,
}

impl Cursor {
    fn read(text: &str) -> Option<Self> {
        let cursor: Self = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let fits = |text: &str| text.len() <= MOST_KEY && !text.contains('\0');
        (fits(&cursor.id) && fits(&cursor.key)).then_some(cursor)
    }

    fn text(&self) -> String {
        // Texts always serialise.
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }
}

/// The page of a list without filters and with one order, whose items are called by `id`.
pub fn page(received: &Received, id: &Kind) -> Result<PageRequest, Refusal> {
    let query = Query::of(received)?;
    let after = match cursor(received, &query, id)? {
        Some(cursor) if !cursor.key.is_empty() || !cursor.asked.is_empty() => return Err(not_ours()),
        cursor => cursor.map(|cursor| cursor.id),
    };
    Ok(PageRequest { limit: limit(&query)?, after })
}

/// The page that is asked for, of a list that can be narrowed and ordered; `read` makes the filter.
pub fn asked<F>(
    received: &Received,
    spec: &'static ListSpec,
    read: impl FnOnce(&Filters) -> Result<F, Refusal>,
) -> Result<ListRequest<F>, Refusal> {
    let query = Query::of(received)?;
    let limit = limit(&query)?;
    let (name, descending) = match query.text("sort") {
        None => (None, false),
        Some(text) => text.strip_prefix('-').map_or((Some(text), false), |name| (Some(name), true)),
    };
    let sort = match name {
        None => spec.sorts.first(),
        Some(name) => spec.sorts.iter().find(|sort| **sort == name),
    };
    let unknown = || {
        let hint = format!("sort must be one of {}, with - in front for the other way about.", spec.sorts.join(", "));
        Refusal::with_hint(MALFORMED, hint)
    };
    let sort = *sort.ok_or_else(unknown)?;
    let after = match cursor(received, &query, &spec.id)? {
        Some(cursor) if cursor.asked != questions(received) => {
            return Err(Refusal::malformed("cursor belongs to a list with other filters or another order."));
        }
        Some(Cursor { key, id, .. }) => {
            let is_of_ids = spec.sorts.first() == Some(&sort);
            let fits = match (is_of_ids, sort.ends_with("_at")) {
                (true, _) => key.is_empty(),
                (false, true) => key.parse::<i64>().is_ok(),
                (false, false) => true,
            };
            if !fits {
                return Err(not_ours());
            }
            Some(Place { key, id })
        }
        None => None,
    };
    let filter = read(&Filters { spec, query })?;
    Ok(ListRequest { limit, sort, descending, after, filter })
}

/// The filters of a list that is short by nature.
pub fn filters(received: &Received, spec: &'static ListSpec) -> Result<Filters, Refusal> {
    Ok(Filters { spec, query: Query::of(received)? })
}

fn limit(query: &Query) -> Result<u32, Refusal> {
    let within = |text: &str| text.parse().ok().filter(|limit| (1..=PageRequest::MAX).contains(limit));
    Ok(query.read("limit", "must be 1 to 500", within)?.unwrap_or(PageRequest::DEFAULT))
}

fn cursor(received: &Received, query: &Query, id: &Kind) -> Result<Option<Cursor>, Refusal> {
    let text = match query.text("cursor") {
        None | Some("") => return Ok(None),
        Some(text) => text,
    };
    let cursor = Cursor::read(text).filter(|cursor| id.is_shape_of(&cursor.id)).ok_or_else(not_ours)?;
    if cursor.list.as_deref().is_some_and(|list| list != received.request.path()) {
        return Err(Refusal::malformed("The cursor belongs to another list. Begin again without a cursor."));
    }
    Ok(Some(cursor))
}

fn not_ours() -> Refusal {
    Refusal::malformed("The cursor is not valid. Take it from next_cursor, or begin again without a cursor.")
}

/// What a query asks for beside the place and size of the page, in one order.
fn questions(received: &Received) -> Vec<(String, String)> {
    let all = form_urlencoded::parse(received.request.query_string().as_bytes()).into_owned();
    let mut questions: Vec<_> = all.filter(|(name, _)| !matches!(name.as_str(), "limit" | "cursor")).collect();
    questions.sort();
    questions
}

/// The answer to [`page`]: what `read` finds, as far as it fits.
pub async fn answer<T>(
    received: &Received,
    page: PageRequest,
    read: impl AsyncFn(PageRequest) -> Result<Page<T>, Failed>,
    show: impl Fn(T) -> Value,
) -> Result<HttpResponse, Failed> {
    let step = async |limit, after| {
        let Page { items, next } = read(PageRequest { limit, after }).await?;
        Ok((items, next))
    };
    let (items, next) = gathered(page.limit, page.after, step, show).await?;
    Ok(listed(received, items, next))
}

/// The answer to [`asked`]: what `read` finds, as far as it fits.
pub async fn found<T, F: Clone>(
    received: &Received,
    request: ListRequest<F>,
    read: impl AsyncFn(ListRequest<F>) -> Result<Found<T>, Failed>,
    show: impl Fn(T) -> Value,
) -> Result<HttpResponse, Failed> {
    let ListRequest { limit, after, .. } = request.clone();
    let step = async |limit, after| {
        let Found { items, next } = read(ListRequest { limit, after, ..request.clone() }).await?;
        Ok((items, next))
    };
    let (items, next) = gathered(limit, after, step, show).await?;
    let cursor = |Place { key, id }| Cursor { list: list_of(received), asked: questions(received), key, id }.text();
    Ok(HttpResponse::Ok().json(Listed { items, next_cursor: next.map(cursor) }))
}

/// The answer to [`page`], of a list with small items: read at once.
pub fn small<T>(received: &Received, page: Page<T>, show: impl FnMut(T) -> Value) -> HttpResponse {
    let Page { items, next } = page.map(show);
    listed(received, items, next)
}

fn listed(received: &Received, items: Vec<Value>, next: Option<String>) -> HttpResponse {
    let cursor = |id| Cursor { list: list_of(received), asked: Vec::new(), key: String::new(), id }.text();
    HttpResponse::Ok().json(Listed { items, next_cursor: next.map(cursor) })
}

fn list_of(received: &Received) -> Option<String> {
    Some(received.request.path().to_owned())
}

/// Reads in steps until there are as many items as were asked for, no more, or as many bytes as an answer
/// has; and where to go on. There is at least one item if there is any.
async fn gathered<T, C: Clone>(
    limit: u32,
    mut after: Option<C>,
    read: impl AsyncFn(u32, Option<C>) -> Result<(Vec<T>, Option<C>), Failed>,
    show: impl Fn(T) -> Value,
) -> Result<(Vec<Value>, Option<C>), Failed> {
    let (mut items, mut bytes, mut left) = (Vec::new(), ListBytes::default(), limit);
    loop {
        let step = left.min(STEP);
        let (rows, next) = read(step, after.clone()).await?;
        let (before, mut fitting) = (items.len(), 0);
        let mut rows = rows.into_iter();
        let is_full = loop {
            let Some(row) = rows.next() else { break false };
            let item = show(row);
            if !bytes.fits(&item) {
                break true;
            }
            items.push(item);
            fitting += 1;
        };
        if is_full && fitting == 0 {
            // The page before this step is the whole page, and it has items: the first one always fits.
            return Ok((items, after));
        }
        if is_full {
            // Only the end of a read page has a cursor. So the same place is read again, for just as many.
            items.truncate(before);
            let (rows, next) = read(fitting, after).await?;
            items.extend(rows.into_iter().map(show));
            return Ok((items, next));
        }
        left -= step;
        match next {
            Some(next) if left > 0 => after = Some(next),
            next => return Ok((items, next)),
        }
    }
}

/// Where the same items are listed in pages, too.
pub const IN_PAGES: &str = "Read it in pages: the sessions and grants of a provider take `user`.";
pub const END_SOME: &str = "End those that are not needed, then read it again.";

/// A list that is short by nature: all of it, in the same shape. `instead`: what to do where it is not.
pub fn whole<T>(items: Vec<T>, show: impl Fn(T) -> Value, instead: &'static str) -> Result<HttpResponse, Failed> {
    let (mut shown, mut bytes) = (Vec::new(), ListBytes::default());
    for item in items.into_iter().map(show) {
        if !bytes.fits(&item) {
            return Err(too_long(instead).into());
        }
        shown.push(item);
    }
    Ok(HttpResponse::Ok().json(Listed { items: shown, next_cursor: None }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_nothing_else_does() {
        let cursor =
            Cursor { list: Some("/a".into()), asked: vec![("q".into(), "ä".into())], key: "1".into(), id: "c".into() };
        assert!(Cursor::read(&cursor.text()) == Some(cursor));
        let long = Cursor { list: None, asked: Vec::new(), key: String::new(), id: "x".repeat(MOST_KEY + 1) };
        let nul = Cursor { list: None, asked: Vec::new(), key: "\0".into(), id: "x".into() };
        for bad in ["", "!", "e30", "bnVsbA", &long.text(), &nul.text()] {
            assert!(Cursor::read(bad).is_none(), "{bad}");
        }
    }
}
