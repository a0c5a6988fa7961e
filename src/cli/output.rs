//! What a command prints: names and values for people, the admin API's own JSON for scripts. No
//! colours. A value may come from anybody, so control characters never reach a terminal.

use std::io::{Result, Write, stdout};

use serde_json::{Map, Value};
use unicode_width::UnicodeWidthStr;

use crate::config::Effective;

/// One thing.
pub fn show(value: &Value, as_json: bool) -> Result<()> {
    let mut out = stdout().lock();
    if as_json {
        return writeln!(out, "{value:#}");
    }
    let empty = Map::new();
    let members = value.as_object().unwrap_or(&empty);
    let width = members.keys().map(String::len).max().unwrap_or(0);
    for (name, value) in members.iter().filter(|(_, value)| !is_empty(value)) {
        writeln!(out, "{name:width$}  {}", plain(value))?;
    }
    Ok(())
}

/// A table.
pub fn table<S: AsRef<str>>(items: &[Value], columns: &[S]) -> Result<()> {
    stdout().lock().write_all(table_text(items, columns).as_bytes())
}

fn table_text<S: AsRef<str>>(items: &[Value], columns: &[S]) -> String {
    let cell = |item: &Value, column: &S| plain(item.get(column.as_ref()).unwrap_or(&Value::Null));
    let mut rows: Vec<Vec<String>> = vec![columns.iter().map(|column| column.as_ref().to_uppercase()).collect()];
    rows.extend(items.iter().map(|item| columns.iter().map(|column| cell(item, column)).collect()));
    let width = |at: usize| rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.width()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let padded = row.iter().zip(&widths).map(|(cell, width)| {
            // `{:width$}` counts characters, not the places they take.
            format!("{cell}{}", " ".repeat(width.saturating_sub(cell.width())))
        });
        text.push_str(padded.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// A change without anything to show.
pub fn done(what: &str, as_json: bool) -> Result<()> {
    let mut out = stdout().lock();
    if as_json { writeln!(out, "{{}}") } else { writeln!(out, "{what}") }
}

/// The effective configuration; secrets are not shown.
pub fn configuration(effective: &[Effective], as_json: bool) -> Result<()> {
    let mut out = stdout().lock();
    if as_json {
        let members: Map<String, Value> = effective
            .iter()
            .map(|Effective { key, value, origin }| {
                (key.to_string(), serde_json::json!({ "value": value, "origin": origin.to_string() }))
            })
            .collect();
        return writeln!(out, "{:#}", Value::Object(members));
    }
    effective.iter().try_for_each(|line| writeln!(out, "{line}"))
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
    }
}

/// A value on one line.
pub fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => one_line(text),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(" "),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => one_line(&value.to_string()),
    }
}

/// Text without anything that moves a cursor, ends a line or turns the direction of writing.
pub fn one_line(text: &str) -> String {
    let is_harmful = |one: char| {
        one.is_control() || matches!(one, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut out = String::with_capacity(text.len());
    for one in text.chars() {
        if is_harmful(one) {
            out.extend(one.escape_default());
        } else {
            out.push(one);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_stand_below_each_other_whatever_the_script() {
        let items = [json!({"name": "日本", "id": 1}), json!({"name": "plain", "id": [2, 3]}), json!({"id": null})];
        let text = table_text(&items, &["name", "id"]);
        assert_eq!(text, "NAME   ID\n日本   1\nplain  2 3\n\n");
    }

    #[test]
    fn no_value_reaches_the_terminal_as_a_command() {
        assert_eq!(one_line("a\u{1b}[2Jb\nc\u{202e}"), "a\\u{1b}[2Jb\\nc\\u{202e}");
        assert_eq!(plain(&json!({"a": "\u{9b}31m"})), "{\"a\":\"\\u{9b}31m\"}");
        let text = table_text(&[json!({"name": "x\nforged row"})], &["name"]);
        assert_eq!(text.lines().count(), 2);
    }
}
