//! Judges how every statement that a test sends finds its rows: no statement may read a table that grows,
//! or look its rows up by fewer columns than it compares. Each test judges its own when its database
//! ends, so a new statement is judged by the first test that sends it.

mod postgres;
pub mod rows;
mod sqlite;
mod text;

use std::collections::BTreeSet;
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::support::databases::{Kind, Template};

/// Statements of tests begin so: what a test asks past the store is not judged.
pub const OF_A_TEST: &str = "/* a test */ ";

/// Tables whose rows are few, however long a server runs.
const SMALL: [&str; 3] = ["meta", "data_keys", "__diesel_schema_migrations"];

/// Parts of statements that may read more, and why.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("WHERE (1=0)", "an empty list of ids: SQLite knows that nothing fits and reads nothing"),
    ("JOIN \"providers\" ON (\"provider_domains\"", "every node holds the map of all verified domains"),
    ("FROM `provider_domains` INNER JOIN `providers`", "every node holds the map of all verified domains"),
    ("FROM api_keys other", "owner keys are few, and the first other one that lives ends the search"),
];

pub enum Plans {
    Sqlite(sqlite::Plans),
    Postgres(postgres::Plans),
}

impl Plans {
    /// On a database of its own with the tables of this release.
    pub fn new(kind: Kind) -> Self {
        let place = Template::migrated(kind).place_of_copy();
        match kind {
            Kind::Sqlite => Self::Sqlite(sqlite::Plans::of(&place)),
            Kind::Postgres => Self::Postgres(postgres::Plans::of(&place)),
        }
    }

    /// What is wrong with the plan of a statement.
    pub fn flaw(&mut self, text: &str) -> Option<String> {
        if text.starts_with(OF_A_TEST) || EXCEPTIONS.iter().any(|(part, _)| text.contains(part)) {
            return None;
        }
        match self {
            Self::Sqlite(plans) => plans.flaw(text),
            Self::Postgres(plans) => plans.flaw(text),
        }
    }

    /// For a test that takes an index away.
    pub fn execute(&mut self, sql: &str) {
        match self {
            Self::Sqlite(plans) => plans.execute(sql),
            Self::Postgres(plans) => plans.execute(sql),
        }
    }
}

/// The database of the plans, and the statements that were found good.
struct Judge {
    plans: Plans,
    good: BTreeSet<String>,
}

/// Fails the test if one of its statements is refused.
pub fn judge(kind: Kind, texts: Vec<String>) {
    static JUDGES: [OnceLock<Mutex<Judge>>; 2] = [OnceLock::new(), OnceLock::new()];
    let judge = JUDGES[usize::from(kind == Kind::Postgres)]
        .get_or_init(|| Mutex::new(Judge { plans: Plans::new(kind), good: BTreeSet::new() }));
    let mut judge = judge.lock().unwrap_or_else(PoisonError::into_inner);
    let mut refused = Vec::new();
    for text in texts {
        let text = folded(&text);
        if judge.good.contains(&text) {
            continue;
        }
        match judge.plans.flaw(&text) {
            Some(flaw) => refused.push(format!("{text}\n    {flaw}")),
            None => drop(judge.good.insert(text)),
        }
    }
    drop(judge);
    assert!(
        refused.is_empty(),
        "These statements read more than they find. Add an index, or an exception with its reason:\n{}",
        refused.join("\n")
    );
}

/// Lists of values of any length are one statement, and so are pages of any length.
fn folded(text: &str) -> String {
    let mut folded = text.to_owned();
    while folded.contains(" IN (?, ?") {
        folded = folded.replace(" IN (?, ?", " IN (?");
    }
    let mut parts = folded.split("LIMIT ");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|letter: char| letter.is_ascii_digit());
        let number = if rest.len() < part.len() { "9" } else { "" };
        out.push_str(&format!("LIMIT {number}{rest}"));
    }
    out
}

fn is_small(table: &str) -> bool {
    SMALL.contains(&table)
}

/// Whether the statement is a page: an order, and no more rows than fit.
fn ordered_page(text: &str) -> bool {
    text.contains("ORDER BY") && text.contains("LIMIT")
}
