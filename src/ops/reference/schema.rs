//! A JSON Schema as rows of a table.

use serde_json::Value;

use crate::ops::reference::view::{Piece, marked};

/// One member, or one member of a member.
pub struct Row {
    /// `items[].id`
    pub name: String,
    pub kind: String,
    pub required: bool,
    pub about: Vec<Piece>,
}

/// Objects within objects, at most.
const DEPTH: usize = 4;

/// The schema that `$ref` names, or the schema itself.
pub fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str().and_then(|name| name.strip_prefix('#')) {
        Some(pointer) => document.pointer(pointer).unwrap_or(schema),
        None => schema,
    }
}

/// The members of a schema, those of its members below them.
pub fn rows(document: &Value, schema: &Value) -> Vec<Row> {
    let mut all = Vec::new();
    collect(document, schema, "", DEPTH, &mut all);
    all
}

fn collect(document: &Value, schema: &Value, prefix: &str, depth: usize, all: &mut Vec<Row>) {
    let schema = resolved(document, schema);
    if depth == 0 {
        return;
    }
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        let (path, shape) = (format!("{prefix}{name}"), resolved(document, member));
        let about = member["description"].as_str().or(shape["description"].as_str()).unwrap_or_default();
        all.push(Row {
            name: path.clone(),
            kind: kind(document, member),
            required: required.contains(&name.as_str()),
            about: marked(about),
        });
        collect(document, shape, &format!("{path}."), depth - 1, all);
        collect(document, &shape["items"], &format!("{path}[]."), depth - 1, all);
    }
    for choice in schema["anyOf"].as_array().into_iter().flatten() {
        collect(document, choice, prefix, depth - 1, all);
    }
    if prefix.is_empty() {
        collect(document, &schema["items"], "[].", depth - 1, all);
    }
}

/// The type in words: `string or null`, `list of string`, `integer, 1 to 500`, `jwt | opaque`.
pub fn kind(document: &Value, schema: &Value) -> String {
    let schema = resolved(document, schema);
    if let Some(values) = schema["enum"].as_array() {
        let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        return values.iter().map(word).collect::<Vec<_>>().join(" | ");
    }
    if let Some(value) = schema.get("const") {
        return value.to_string();
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        return choices.iter().map(|choice| kind(document, choice)).collect::<Vec<_>>().join(" or ");
    }
    let names: Vec<&str> = match &schema["type"] {
        Value::String(name) => vec![name],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => vec!["any"],
    };
    let word = |name: &str| match name {
        "array" => format!("list of {}", kind(document, &schema["items"])),
        "string" => schema["format"].as_str().unwrap_or("string").to_owned(),
        other => other.to_owned(),
    };
    let mut text = names.into_iter().map(word).collect::<Vec<_>>().join(" or ");
    let bound = |name: &str| schema[name].as_i64();
    let told = match (bound("minimum"), bound("maximum")) {
        (Some(least), Some(most)) => format!(", {least} to {most}"),
        (Some(least), None) => format!(", at least {least}"),
        (None, Some(most)) => format!(", at most {most}"),
        (None, None) => String::new(),
    };
    text.push_str(&told);
    if let Some(longest) = bound("maxLength") {
        text.push_str(&format!(", at most {longest} characters"));
    }
    if let Some(default) = schema.get("default") {
        text.push_str(&format!(", by default {default}"));
    }
    text
}
