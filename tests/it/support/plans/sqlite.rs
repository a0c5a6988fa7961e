//! How SQLite finds the rows of a statement. No statistics are kept, so a plan depends on the text and the
//! indexes alone, not on the rows.

use std::collections::{BTreeMap, BTreeSet};

use diesel::connection::SimpleConnection as _;
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel::{Connection as _, RunQueryDsl as _, SqliteConnection};

use super::text::{Scope, scopes, tokens};
use super::{is_small, ordered_page};

/// A database with the tables of this release.
pub struct Plans {
    conn: SqliteConnection,
    columns: BTreeMap<String, BTreeSet<String>>,
    indexes: BTreeMap<String, Index>,
}

struct Index {
    table: String,
    columns: Vec<String>,
    is_unique: bool,
    /// Columns of its own condition: what it holds has been compared already.
    condition: BTreeSet<String>,
}

#[derive(diesel::QueryableByName)]
struct Part {
    #[diesel(sql_type = Text)]
    table_name: String,
    #[diesel(sql_type = Text)]
    index_name: String,
    #[diesel(sql_type = BigInt)]
    is_unique: i64,
    #[diesel(sql_type = Nullable<Text>)]
    column_name: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    made_by: Option<String>,
}

#[derive(diesel::QueryableByName)]
struct Column {
    #[diesel(sql_type = Text)]
    table_name: String,
    #[diesel(sql_type = Text)]
    column_name: String,
}

#[derive(diesel::QueryableByName)]
struct Step {
    #[diesel(sql_type = Text)]
    detail: String,
}

impl Plans {
    pub fn of(path: &str) -> Self {
        const COLUMNS: &str = "SELECT m.name AS table_name, c.name AS column_name FROM sqlite_master m, \
             pragma_table_info(m.name) c WHERE m.type = 'table'";
        const INDEXES: &str = "SELECT m.name AS table_name, l.name AS index_name, l.\"unique\" AS is_unique, \
             i.name AS column_name, (SELECT sql FROM sqlite_master x WHERE x.name = l.name) AS made_by \
             FROM sqlite_master m, pragma_index_list(m.name) l, pragma_index_info(l.name) i WHERE m.type = 'table' \
             ORDER BY l.name, i.seqno";
        let mut conn = SqliteConnection::establish(path).expect("the database of the plans does not open");
        let mut columns: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for Column { table_name, column_name } in diesel::sql_query(COLUMNS).load(&mut conn).unwrap() {
            columns.entry(table_name).or_default().insert(column_name);
        }
        let mut indexes: BTreeMap<String, Index> = BTreeMap::new();
        for Part { table_name, index_name, is_unique, column_name, made_by } in
            diesel::sql_query(INDEXES).load(&mut conn).unwrap()
        {
            let condition = made_by.as_deref().and_then(|sql| sql.split_once(" WHERE ")).map(|(_, condition)| {
                tokens(condition).into_iter().filter(|token| columns[&table_name].contains(token)).collect()
            });
            let index = indexes.entry(index_name).or_insert_with(|| Index {
                table: table_name,
                columns: Vec::new(),
                is_unique: is_unique == 1,
                condition: condition.unwrap_or_default(),
            });
            index.columns.push(column_name.unwrap_or_else(|| "<expr>".to_owned()));
        }
        Self { conn, columns, indexes }
    }

    /// For a test that takes an index away.
    pub fn execute(&mut self, sql: &str) {
        self.conn.batch_execute(sql).unwrap();
    }

    /// What is wrong with the plan of a statement.
    pub fn flaw(&mut self, text: &str) -> Option<String> {
        let steps: Result<Vec<Step>, _> = diesel::sql_query(format!("EXPLAIN QUERY PLAN {text}")).load(&mut self.conn);
        let steps = match steps {
            Ok(steps) => steps,
            Err(error) => return Some(format!("cannot be explained: {error}")),
        };
        let sorts = steps.iter().any(|step| step.detail.contains("TEMP B-TREE FOR ORDER BY"));
        let scopes = scopes(text);
        let is_page = ordered_page(text) && !sorts;
        let flaws: Vec<&str> = steps
            .iter()
            .map(|step| step.detail.as_str())
            .filter(|detail| (!is_page || detail.contains("AUTOMATIC")) && !self.is_fine(detail, &scopes))
            .collect();
        let plan: Vec<&str> = steps.iter().map(|step| step.detail.as_str()).collect();
        (!flaws.is_empty()).then(|| format!("{} (plan: {})", flaws.join("; "), plan.join(" | ")))
    }

    fn is_fine(&self, detail: &str, scopes: &[Scope]) -> bool {
        let (is_scan, rest) = match (detail.strip_prefix("SCAN "), detail.strip_prefix("SEARCH ")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            (None, None) => return true,
        };
        let name = rest.split(' ').next().unwrap_or_default();
        let of_scopes: Vec<(&Scope, &String)> =
            scopes.iter().filter_map(|scope| Some((scope, scope.tables.get(name)?))).collect();
        let tables: BTreeSet<&String> = of_scopes.iter().map(|(_, table)| *table).collect();
        // A table function, a subquery, a table that holds a handful of rows.
        if detail.contains("VIRTUAL TABLE") || !tables.iter().any(|table| self.columns.contains_key(*table)) {
            return true;
        }
        if tables.iter().all(|table| is_small(table)) {
            return true;
        }
        if is_scan || detail.contains("AUTOMATIC") {
            return false;
        }
        // The least or greatest key of an index, or the row itself.
        let Some((_, used)) = rest.split_once(" USING ") else { return true };
        if used.contains("PRIMARY KEY (rowid=?)") {
            return true;
        }
        let index = used.split(' ').skip_while(|word| *word != "INDEX").nth(1).and_then(|name| self.indexes.get(name));
        let Some(index) = index else { return true };
        let bound = used.split_once('(').map_or("", |(_, bound)| bound);
        let bound = bound.rsplit_once(')').map_or("", |(bound, _)| bound);
        let bound: BTreeSet<&str> = bound.split(" AND ").filter_map(|part| part.strip_suffix("=?")).collect();
        if index.is_unique && index.columns.iter().all(|column| bound.contains(column.as_str())) {
            return true;
        }
        let own = &self.columns[&index.table];
        let has_all = |scope: &Scope| {
            scope.equal.iter().all(|(qualifier, column)| {
                let is_of_table = match qualifier {
                    Some(qualifier) => qualifier == name,
                    None => own.contains(column),
                };
                !is_of_table || bound.contains(column.as_str()) || index.condition.contains(column)
            })
        };
        of_scopes.iter().any(|(scope, _)| has_all(scope))
    }
}
