//! What the pages show, out of the document.

use serde_json::Value;

use crate::ops::reference::schema::{Row, kind, resolved, rows};

/// One heading with its operations.
pub struct Section {
    pub title: String,
    pub slug: String,
    pub about: String,
    pub operations: Vec<Entry>,
}

/// An operation as a line.
pub struct Entry {
    pub method: String,
    pub path: String,
    pub id: String,
    pub summary: String,
    pub deprecated: bool,
}

/// An operation in full.
pub struct OperationView {
    pub entry: Entry,
    pub description: Vec<Piece>,
    pub auth: Vec<Piece>,
    pub parameters: Vec<ParameterView>,
    pub body: Option<BodyView>,
    pub answers: Vec<AnswerView>,
    pub curl: String,
}

pub struct ParameterView {
    pub place: String,
    pub row: Row,
}

pub struct BodyView {
    pub media_types: String,
    pub required: bool,
    pub about: Vec<Piece>,
    pub rows: Vec<Row>,
    pub example: String,
}

pub struct AnswerView {
    pub status: String,
    pub about: Vec<Piece>,
    pub media_types: String,
    pub schema: String,
    pub headers: Vec<(String, Vec<Piece>)>,
    /// Of a success only: a failure looks the same everywhere.
    pub rows: Vec<Row>,
    pub example: String,
    pub is_success: bool,
}

/// A piece of a sentence: plain, `code` or **strong**.
pub struct Piece {
    pub text: String,
    pub mark: &'static str,
}

const METHODS: [&str; 7] = ["get", "head", "options", "post", "put", "patch", "delete"];

/// Everything, by heading, in the document's order.
pub fn sections(document: &Value) -> Vec<Section> {
    let mut all: Vec<Section> = Vec::new();
    for tag in document["tags"].as_array().into_iter().flatten() {
        let title = tag["name"].as_str().unwrap_or_default();
        let about = tag["description"].as_str().unwrap_or_default().to_owned();
        all.push(Section { title: title.to_owned(), slug: slug(title), about, operations: Vec::new() });
    }
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        for method in METHODS {
            let Some(operation) = item.get(method) else { continue };
            let tag = operation["tags"][0].as_str().unwrap_or_default();
            if let Some(section) = all.iter_mut().find(|section| section.title == tag) {
                section.operations.push(Entry::of(method, path, operation));
            }
        }
    }
    all
}

fn slug(title: &str) -> String {
    let words = title.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-").to_ascii_lowercase()
}

impl Entry {
    fn of(method: &str, path: &str, operation: &Value) -> Self {
        let text = |name: &str| operation[name].as_str().unwrap_or_default().to_owned();
        Self {
            method: method.to_ascii_uppercase(),
            path: path.to_owned(),
            id: text("operationId"),
            summary: text("summary"),
            deprecated: operation["deprecated"] == true,
        }
    }
}

impl OperationView {
    pub fn of(document: &Value, base: &str, entry: &Entry) -> Self {
        let operation = &document["paths"][&entry.path][entry.method.to_ascii_lowercase()];
        let entry = Entry::of(&entry.method, &entry.path, operation);
        let body = operation.get("requestBody").map(|body| body_view(document, body));
        Self {
            description: marked(operation["description"].as_str().unwrap_or_default()),
            auth: marked(&auth(document, operation)),
            parameters: operation["parameters"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|one| parameter(document, one))
                .collect(),
            answers: answers(document, operation),
            curl: curl(base, &entry, operation, body.as_ref()),
            body,
            entry,
        }
    }
}

/// How a caller proves itself, any one of these.
fn auth(document: &Value, operation: &Value) -> String {
    let ways = operation["security"].as_array().into_iter().flatten();
    let told = ways.map(|way| match way.as_object().and_then(|way| way.keys().next()) {
        Some(name) => {
            let about = document["components"]["securitySchemes"][name]["description"].as_str();
            about.unwrap_or_default().trim_end_matches('.').to_owned()
        }
        None => "what stands in the body, or nothing".to_owned(),
    });
    told.collect::<Vec<_>>().join("; or ")
}

fn parameter(document: &Value, parameter: &Value) -> ParameterView {
    let text = |name: &str| parameter[name].as_str().unwrap_or_default().to_owned();
    let required = parameter["required"] == true;
    let row = Row {
        name: text("name"),
        kind: kind(document, &parameter["schema"]),
        required,
        about: marked(&text("description")),
    };
    ParameterView { place: text("in"), row }
}

fn body_view(document: &Value, body: &Value) -> BodyView {
    let content = body["content"].as_object();
    let media_types: Vec<&str> = content.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    let none = Value::Null;
    let first = content.and_then(|content| content.values().next()).unwrap_or(&none);
    let schema = resolved(document, &first["schema"]);
    BodyView {
        media_types: media_types.join(", "),
        required: body["required"] == true,
        about: marked(schema["description"].as_str().unwrap_or_default()),
        rows: rows(document, schema),
        example: example(first),
    }
}

fn answers(document: &Value, operation: &Value) -> Vec<AnswerView> {
    let view = |(status, answer): (&String, &Value)| {
        let content = answer["content"].as_object();
        let media_types: Vec<&str> = content.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
        let none = Value::Null;
        let first = content.and_then(|content| content.values().next()).unwrap_or(&none);
        let is_success = status.starts_with('2');
        let headers = answer["headers"].as_object().into_iter().flatten().filter(|(name, _)| *name != "x-request-id");
        let told = |(name, header): (&String, &Value)| {
            (name.clone(), marked(header["description"].as_str().unwrap_or_default()))
        };
        AnswerView {
            status: status.clone(),
            about: marked(answer["description"].as_str().unwrap_or_default()),
            media_types: media_types.join(", "),
            schema: first["schema"]["$ref"]
                .as_str()
                .and_then(|name| name.rsplit('/').next())
                .unwrap_or_default()
                .to_owned(),
            headers: headers.map(told).collect(),
            rows: if is_success { rows(document, &first["schema"]) } else { Vec::new() },
            example: if is_success { example(first) } else { String::new() },
            is_success,
        }
    };
    operation["responses"].as_object().into_iter().flatten().map(view).collect()
}

fn example(media: &Value) -> String {
    media.get("example").map(|example| format!("{example:#}")).unwrap_or_default()
}

/// A line to try it with; `$HOST` and `$KEY` are the reader's.
fn curl(base: &str, entry: &Entry, operation: &Value, body: Option<&BodyView>) -> String {
    let mut line = "curl".to_owned();
    if entry.method == "HEAD" {
        line.push_str(" --head");
    } else if entry.method != "GET" {
        line.push_str(&format!(" -X {}", entry.method));
    }
    let first = operation["security"][0].as_object().and_then(|way| way.keys().next()).map(String::as_str);
    line.push_str(match first {
        Some("api_key") => " -H \"Authorization: Bearer $KEY\"",
        Some("api_key_as_token") => " -H \"Authorization: Token $KEY\"",
        Some("access_token") => " -H \"Authorization: Bearer $TOKEN\"",
        Some("client_basic") => " -u \"$CLIENT_ID:$CLIENT_SECRET\"",
        _ => "",
    });
    if let Some(body) = body.filter(|body| !body.example.is_empty() || body.required) {
        let media = &operation["requestBody"]["content"];
        let example = media.as_object().and_then(|content| content.values().next()).map(|media| &media["example"]);
        if body.media_types.starts_with("application/x-www-form-urlencoded") {
            for (name, value) in example.and_then(Value::as_object).into_iter().flatten() {
                line.push_str(&format!(" --data-urlencode '{name}={}'", value.as_str().unwrap_or_default()));
            }
        } else {
            let data = example.filter(|example| !example.is_null()).map_or_else(|| "{…}".to_owned(), Value::to_string);
            line.push_str(&format!(" -H 'Content-Type: application/json' -d '{data}'"));
        }
    }
    format!("{line} \"$HOST{base}{}\"", entry.path)
}

/// The little of CommonMark that the document uses.
pub fn marked(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for (at, part) in text.split('`').enumerate() {
        if at % 2 == 1 {
            pieces.push(Piece { text: part.to_owned(), mark: "code" });
            continue;
        }
        for (at, part) in part.split("**").enumerate() {
            let mark = if at % 2 == 1 { "strong" } else { "" };
            if !part.is_empty() {
                pieces.push(Piece { text: part.to_owned(), mark });
            }
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sentences_are_cut_into_plain_code_and_strong_pieces() {
        let pieces = marked("Send `If-Match`, **always**.");
        let told: Vec<(&str, &str)> = pieces.iter().map(|piece| (piece.mark, piece.text.as_str())).collect();
        assert_eq!(told, [("", "Send "), ("code", "If-Match"), ("", ", "), ("strong", "always"), ("", ".")]);
    }

    #[test]
    fn types_are_told_in_words() {
        let document = json!({"components": {"schemas": {"A": {"type": "array", "items": {"type": "string"}}}}});
        for (schema, told) in [
            (json!({"type": ["integer", "null"], "minimum": 1, "maximum": 9}), "integer or null, 1 to 9"),
            (json!({"$ref": "#/components/schemas/A"}), "list of string"),
            (json!({"type": "string", "enum": ["a", "b"]}), "a | b"),
            (json!({"type": "string", "format": "date-time"}), "date-time"),
        ] {
            assert_eq!(kind(&document, &schema), told);
        }
    }
}
