//! Lists that are filtered and ordered as the caller likes, in pages that cost the same wherever they
//! lie: a page begins behind what the last item of the page before is ordered by (no `OFFSET`).
//!
//! One statement finds the ids by an index on the order; the rows are then read by their ids.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::sql_types::Text;

use crate::domain::Fault;
use crate::domain::page::{Found, ListRequest, Place};
use crate::store::connection::Conn;

/// Sorts behind everything that begins alike.
const LAST: char = '\u{10FFFF}';

/// An order that a list can have.
pub(in crate::store) struct Sort {
    /// As [`ListRequest::sort`] names it.
    pub name: &'static str,
    pub by: By,
}

pub(in crate::store) enum By {
    /// The id itself, which rises with the time of making where it is a UUID v7.
    Id,
    /// A text, by its bytes on both databases.
    Text(&'static str),
    /// Epoch seconds.
    Number(&'static str),
}

/// A list while it is put together. What stands in the texts is ours; values are bound.
pub(in crate::store) struct Listing {
    table: &'static str,
    id: &'static str,
    is_sqlite: bool,
    /// The column whose beginning is looked for.
    searched: Option<&'static str>,
    conditions: Vec<String>,
    binds: Vec<String>,
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    id: String,
    #[diesel(sql_type = Text)]
    key: String,
}

impl Listing {
    pub(in crate::store) fn of(conn: &Conn, table: &'static str, id: &'static str) -> Self {
        let is_sqlite = matches!(conn, Conn::Sqlite(_));
        Self { table, id, is_sqlite, searched: None, conditions: Vec::new(), binds: Vec::new() }
    }

    /// Only rows for which this holds.
    pub(in crate::store) fn only(&mut self, condition: &str) {
        self.conditions.push(condition.to_owned());
    }

    /// Only rows for which this holds with the value in place of `?`.
    pub(in crate::store) fn only_with(&mut self, condition: &str, value: impl Into<String>) {
        self.binds.push(value.into());
        self.conditions.push(condition.replace('?', &format!("${}", self.binds.len())));
    }

    /// Only rows where the truth value is this one, as a partial index names it.
    pub(in crate::store) fn only_if(&mut self, column: &str, value: Option<bool>) {
        match value {
            Some(true) => self.only(column),
            Some(false) => self.only(&format!("NOT {column}")),
            None => {}
        }
    }

    /// Only rows where the text begins so. Those are found by the index on the text, then put in order: along an
    /// index on the order, a beginning that few rows have would be looked for in all of them.
    pub(in crate::store) fn only_beginning(&mut self, column: &'static str, prefix: &str) {
        self.searched = Some(column);
        let column = self.by_bytes(column);
        self.only_with(&format!("{column} >= ?"), prefix);
        self.only_with(&format!("{column} < ?"), format!("{prefix}{LAST}"));
    }

    /// Only rows where the text, words between single spaces, holds this word.
    pub(in crate::store) fn only_with_word(&mut self, column: &str, word: &str) {
        let find = if self.is_sqlite { "instr" } else { "strpos" };
        self.only_with(&format!("{find}(' ' || {column} || ' ', ?) > 0"), format!(" {word} "));
    }

    /// Only rows where the JSON list of texts holds this one.
    pub(in crate::store) fn only_with_item(&mut self, column: &str, item: &str) {
        // Most rows hold none, and nothing needs to be parsed of these.
        self.only(&format!("{column} <> '[]'"));
        let condition = if self.is_sqlite {
            format!("EXISTS (SELECT 1 FROM json_each({}.{column}) AS item WHERE item.value = ?)", self.table)
        } else {
            format!("jsonb_exists({}.{column}::jsonb, ?)", self.table)
        };
        self.only_with(&condition, item);
    }

    /// The ids of the page, in order.
    pub(in crate::store) fn ids<F>(
        mut self,
        conn: &mut Conn,
        sorts: &[Sort],
        request: &ListRequest<F>,
    ) -> Result<Found<String>, Fault> {
        let sort = sorts.iter().find(|sort| sort.name == request.sort);
        let sort = sort.ok_or_else(|| Fault::store(format!("{} has no order by {}", self.table, request.sort)))?;
        let (name, table) = (self.id, self.table);
        let by_search = match (self.searched, &sort.by) {
            (Some(searched), By::Text(column)) => searched != *column,
            (searched, _) => searched.is_some(),
        };
        let plain = |column: &str, is_text: bool| match (by_search, self.is_sqlite, is_text) {
            (false, ..) => column.to_owned(),
            (true, true, _) => format!("+{column}"),
            (true, false, true) => format!("({column} || '')"),
            (true, false, false) => format!("({column} + 0)"),
        };
        let id = plain(name, true);
        let (beyond, order) = if request.descending { ("<", "DESC") } else { (">", "ASC") };
        let key = match sort.by {
            By::Id => None,
            By::Text(column) => Some((self.by_bytes(&plain(column, true)), "?")),
            By::Number(column) => Some((plain(column, false), "CAST(? AS BIGINT)")),
        };
        if let Some(Place { key: last_key, id: last_id }) = &request.after {
            match &key {
                None => self.only_with(&format!("{id} {beyond} ?"), last_id),
                Some((column, bound)) => {
                    self.binds.push(last_key.clone());
                    let bound = bound.replace('?', &format!("${}", self.binds.len()));
                    self.only_with(&format!("({column}, {id}) {beyond} ({bound}, ?)"), last_id);
                }
            }
        }
        let (shown, first) = match &key {
            None => ("''".to_owned(), String::new()),
            Some((column, _)) => (format!("CAST({column} AS TEXT)"), format!("{column} {order}, ")),
        };
        let conditions = if self.conditions.is_empty() { "1 = 1".to_owned() } else { self.conditions.join(" AND ") };
        let limit = request.limit as usize;
        let sql = format!(
            "SELECT {name} AS id, {shown} AS key FROM {table} WHERE {conditions} ORDER BY {first}{id} {order} LIMIT {}",
            limit + 1
        );
        let mut lines = load(conn, sql, self.binds)?;
        let more = lines.len() > limit;
        lines.truncate(limit);
        let last = lines.last().map(|line| Place { key: line.key.clone(), id: line.id.clone() });
        let next = if more { last } else { None };
        Ok(Found { items: lines.into_iter().map(|line| line.id).collect(), next })
    }

    /// Every database orders by bytes in its own words.
    fn by_bytes(&self, column: &str) -> String {
        if self.is_sqlite { column.to_owned() } else { format!("{column} COLLATE \"C\"") }
    }
}

fn load(conn: &mut Conn, sql: String, binds: Vec<String>) -> Result<Vec<Line>, Fault> {
    let query = diesel::sql_query(sql);
    Ok(match conn {
        Conn::Sqlite(conn) => {
            let query = query.into_boxed::<diesel::sqlite::Sqlite>();
            binds.into_iter().fold(query, |query, value| query.bind::<Text, _>(value)).load(conn)?
        }
        Conn::Postgres(conn) => {
            let query = query.into_boxed::<diesel::pg::Pg>();
            binds.into_iter().fold(query, |query, value| query.bind::<Text, _>(value)).load(conn)?
        }
    })
}

/// The rows in the order of the ids; one that was deleted in between is left out.
pub(in crate::store) fn in_order<T>(found: Found<String>, rows: Vec<T>, id: impl Fn(&T) -> String) -> Found<T> {
    let mut by_id: HashMap<String, T> = rows.into_iter().map(|row| (id(&row), row)).collect();
    Found { items: found.items.iter().filter_map(|id| by_id.remove(id)).collect(), next: found.next }
}
