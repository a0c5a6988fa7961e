//! The audit trail only grows, and nothing of what is kept of requests holds a secret.

use crate::laws::rust_files;

/// Statements that would change or end an event, as the sources might spell them.
fn changes_events(source: &str) -> bool {
    let plain: String = source.split_whitespace().collect::<Vec<_>>().join(" ");
    ["UPDATE events", "DELETE FROM events", "update(events::table", "delete(events::table"]
        .iter()
        .any(|statement| plain.contains(statement))
}

#[test]
fn no_statement_changes_an_event() {
    assert!(changes_events("diesel::update(events::table.find(1))"));
    assert!(changes_events("\"DELETE  FROM\n events WHERE id = $1\""));
    let offenders: Vec<String> =
        rust_files("src").into_iter().filter(|(_, source)| changes_events(source)).map(|(path, _)| path).collect();
    assert_eq!(offenders, Vec::<String>::new());
}

#[test]
fn only_the_retention_ends_an_event() {
    // The sweep is put together from a table's name: it is named once, in the room of the cleanup.
    let named: Vec<String> = rust_files("src")
        .into_iter()
        .filter(|(path, source)| path.starts_with("src/store") && source.contains("(\"events\","))
        .map(|(path, _)| path)
        .collect();
    assert_eq!(named, ["src/store/cleanup.rs"]);
}
