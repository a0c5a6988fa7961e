//! How PostgreSQL finds the rows of a statement in tables of a few thousand rows. Sequential scans are
//! forbidden, so one that is left has no index at all. `laws::growth` measures the rest.

use diesel::connection::SimpleConnection as _;
use diesel::sql_types::Text;
use diesel::{Connection as _, PgConnection, RunQueryDsl as _};
use serde_json::Value;

use super::is_small;
use super::rows::fill;

const ROWS: usize = 2000;

/// A database with the tables of this release.
pub struct Plans {
    conn: PgConnection,
}

#[derive(diesel::QueryableByName)]
struct Plan {
    /// JSON is sent as its text.
    #[diesel(sql_type = Text, column_name = "QUERY PLAN")]
    plan: String,
}

impl Plans {
    pub fn of(url: &str) -> Self {
        let mut conn = PgConnection::establish(url).expect("the database of the plans does not open");
        conn.batch_execute(&fill(ROWS, &[])).expect("the tables of the plans are not filled");
        conn.batch_execute("ANALYZE; SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan").unwrap();
        Self { conn }
    }

    /// For a test that takes an index away.
    pub fn execute(&mut self, sql: &str) {
        self.conn.batch_execute(sql).unwrap();
    }

    /// What is wrong with the plan of a statement.
    pub fn flaw(&mut self, text: &str) -> Option<String> {
        let most = (1..100).rev().find(|number| contains_bind(text, *number)).unwrap_or(0);
        let values = vec!["NULL"; most].join(", ");
        let values = if most == 0 { values } else { format!("({values})") };
        // The server takes the type from the value that is sent with it.
        let text = text.replace("$3 IS NULL", "CAST($3 AS bigint) IS NULL");
        let explained = self.conn.batch_execute(&format!("PREPARE judged AS {text}")).and_then(|()| {
            let explain = format!("EXPLAIN (FORMAT JSON) EXECUTE judged{values}");
            diesel::sql_query(explain).load::<Plan>(&mut self.conn)
        });
        drop(self.conn.batch_execute("DEALLOCATE judged"));
        let plans = match explained {
            Ok(plans) => plans,
            Err(error) => return Some(format!("cannot be explained: {error}")),
        };
        let mut flaws = Vec::new();
        for Plan { plan } in &plans {
            let plan: Value = serde_json::from_str(plan).expect("a plan is JSON");
            look(&plan[0]["Plan"], false, &mut flaws);
        }
        (!flaws.is_empty()).then(|| flaws.join("; "))
    }
}

fn contains_bind(text: &str, number: usize) -> bool {
    let bind = format!("${number}");
    text.match_indices(&bind).any(|(at, _)| !text[at + bind.len()..].starts_with(|next: char| next.is_ascii_digit()))
}

/// Looks through a plan; `is_page`: a LIMIT above takes as many rows as it needs, in the order in which they come.
fn look(plan: &Value, is_page: bool, flaws: &mut Vec<String>) {
    let node = plan["Node Type"].as_str().unwrap_or_default();
    let table = plan["Relation Name"].as_str().unwrap_or_default();
    let is_page = match node {
        "Limit" => true,
        "Sort" | "Aggregate" | "WindowAgg" | "Hash" | "Incremental Sort" => false,
        _ => is_page,
    };
    let reads_all = match node {
        "Seq Scan" => true,
        "Index Scan" | "Index Only Scan" => plan["Index Cond"].is_null() && !is_page,
        "Bitmap Index Scan" => plan["Index Cond"].is_null(),
        _ => false,
    };
    if reads_all && !is_small(table) {
        flaws.push(format!("{node} of {table}{}", plan["Index Name"].as_str().unwrap_or_default()));
    }
    for part in plan["Plans"].as_array().into_iter().flatten() {
        look(part, is_page, flaws);
    }
}
