//! What a command prints: names and values for people, the admin API's own JSON for scripts.

use std::io::{Result, Write, stdout};

use serde_json::{Map, Value, json};

use crate::config::Effective;
use crate::domain::{Refusal, RefusalKind};

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

/// A list: these columns for people, everything for scripts.
pub fn list(items: &[Value], columns: &[&str], as_json: bool) -> Result<()> {
    let mut out = stdout().lock();
    if as_json {
        return writeln!(out, "{:#}", json!({ "items": items }));
    }
    let cell = |item: &Value, column: &str| plain(item.get(column).unwrap_or(&Value::Null));
    let width = |column: &str| items.iter().map(|item| cell(item, column).len()).max().unwrap_or(0).max(column.len());
    let widths: Vec<usize> = columns.iter().map(|column| width(column)).collect();
    let mut line = |cells: Vec<String>| {
        let padded: Vec<String> = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        writeln!(out, "{}", padded.join("  ").trim_end())
    };
    line(columns.iter().map(|column| column.to_uppercase()).collect())?;
    for item in items {
        line(columns.iter().map(|column| cell(item, column)).collect())?;
    }
    Ok(())
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
                (key.to_string(), json!({ "value": value, "origin": origin.to_string() }))
            })
            .collect();
        return writeln!(out, "{:#}", Value::Object(members));
    }
    effective.iter().try_for_each(|line| writeln!(out, "{line}"))
}

/// A refusal as sentences: the command line has flags, not JSON pointers.
pub fn refusal(refusal: &Refusal) -> String {
    match &refusal.kind {
        RefusalKind::Invalid(errors) => {
            let sentences =
                errors.iter().map(|error| format!("{} {}", error.pointer.trim_start_matches('/'), error.detail));
            sentences.collect::<Vec<_>>().join("\n")
        }
        _ => refusal.hint.to_string(),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(" "),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}
