//! YAML in and out. In: the events of a parser, kept with their lines, so that a slip can be shown
//! where it stands; no anchors, tags or second documents. Out: blocks in a fixed order, every text
//! that could be read as something else in quotes.

use std::collections::HashSet;

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Number, Value};

/// A value of 128 levels, which is what JSON is read to, and what it lies in.
const MAX_DEPTH: usize = 144;
/// Longest name, in characters as it is written, that is put before a bare colon: readers of YAML look no further
/// than 1024 for it.
const LONGEST_NAME: usize = 1000;

/// A value and the line it begins at.
#[derive(Clone, Debug)]
pub struct Node {
    pub line: usize,
    pub value: Tree,
}

#[derive(Clone, Debug)]
pub enum Tree {
    Plain(Value),
    List(Vec<Node>),
    /// In the order of the file.
    Members(Vec<(String, Node)>),
}

impl Node {
    /// As JSON, without the lines.
    pub fn to_value(&self) -> Value {
        match &self.value {
            Tree::Plain(value) => value.clone(),
            Tree::List(items) => items.iter().map(Self::to_value).collect(),
            Tree::Members(members) => {
                members.iter().map(|(name, node)| (name.clone(), node.to_value())).collect::<Map<_, _>>().into()
            }
        }
    }
}

/// A container that is being read.
enum Open {
    List(usize, Vec<Node>),
    /// With the name whose value comes next, and all names so far.
    Members(usize, Vec<(String, Node)>, Option<String>, HashSet<String>),
}

/// The one document of a text. The error is a sentence with its line.
pub fn parse(text: &str) -> Result<Node, String> {
    let mut open: Vec<Open> = Vec::new();
    let mut whole: Option<Node> = None;
    for next in Parser::new_from_str(text) {
        let (event, span) = next.map_err(|error| format!("line {}: {}", error.marker().line(), error.info()))?;
        let line = span.start.line();
        let refuse = |what: &str| Err(format!("line {line}: {what}"));
        let finished = match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => None,
            Event::DocumentStart(_) if whole.is_some() => return refuse("a second document is not read"),
            Event::DocumentStart(_) => None,
            Event::Alias(_) => return refuse("aliases (*name) are not read: write the value out"),
            Event::Scalar(_, _, anchor, _) | Event::SequenceStart(anchor, _) | Event::MappingStart(anchor, _)
                if anchor != 0 =>
            {
                return refuse("anchors (&name) are not read");
            }
            Event::Scalar(_, _, _, Some(_)) | Event::SequenceStart(_, Some(_)) | Event::MappingStart(_, Some(_)) => {
                return refuse("tags (!name) are not read");
            }
            Event::SequenceStart(..) | Event::MappingStart(..) if open.len() >= MAX_DEPTH => {
                return refuse("it is nested too deeply");
            }
            Event::SequenceStart(..) => {
                open.push(Open::List(line, Vec::new()));
                None
            }
            Event::MappingStart(..) => {
                open.push(Open::Members(line, Vec::new(), None, HashSet::new()));
                None
            }
            Event::SequenceEnd | Event::MappingEnd => open.pop().map(|done| match done {
                Open::List(line, items) => Node { line, value: Tree::List(items) },
                Open::Members(line, members, ..) => Node { line, value: Tree::Members(members) },
            }),
            Event::Scalar(text, style, _, _) => {
                if let Some(Open::Members(_, _, name @ None, names)) = open.last_mut() {
                    let text = text.into_owned();
                    if !names.insert(text.clone()) {
                        return refuse("this name stands here twice");
                    }
                    *name = Some(text);
                    continue;
                }
                let value =
                    if style == ScalarStyle::Plain { resolved(&text) } else { Value::String(text.into_owned()) };
                Some(Node { line, value: Tree::Plain(value) })
            }
        };
        let Some(node) = finished else { continue };
        match open.last_mut() {
            None => whole = Some(node),
            Some(Open::List(_, items)) => items.push(node),
            Some(Open::Members(_, members, name, _)) => match name.take() {
                Some(name) => members.push((name, node)),
                None => return refuse("a name must be text"),
            },
        }
    }
    whole.ok_or_else(|| "the file is empty".to_owned())
}

/// A plain scalar by the core schema of YAML 1.2: null, booleans, numbers, else text.
fn resolved(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let is_numeric = text.bytes().any(|byte| byte.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E'));
    if !is_numeric {
        return Value::String(text.to_owned());
    }
    if let Ok(integer) = text.parse::<i64>() {
        return integer.into();
    }
    // A float would round it.
    if let Ok(integer) = text.parse::<u64>() {
        return integer.into();
    }
    let float = text.parse::<f64>().ok().and_then(Number::from_f64);
    float.map_or_else(|| Value::String(text.to_owned()), Value::Number)
}

impl From<Value> for Node {
    /// Without a line; members in the order of their names.
    fn from(value: Value) -> Self {
        let value = match value {
            Value::Array(items) => Tree::List(items.into_iter().map(Self::from).collect()),
            Value::Object(members) => {
                Tree::Members(members.into_iter().map(|(name, value)| (name, Self::from(value))).collect())
            }
            plain => Tree::Plain(plain),
        };
        Self { line: 0, value }
    }
}

impl Node {
    /// Members in the order in which they are to stand.
    pub fn members(members: Vec<(String, Self)>) -> Self {
        Self { line: 0, value: Tree::Members(members) }
    }

    pub fn list(items: Vec<Self>) -> Self {
        Self { line: 0, value: Tree::List(items) }
    }

    fn is_block(&self) -> bool {
        match &self.value {
            Tree::Plain(_) => false,
            Tree::List(items) => !items.is_empty(),
            Tree::Members(members) => !members.is_empty(),
        }
    }
}

/// Writes a value as lines, `indent` spaces in.
pub fn write(out: &mut String, node: &Node, indent: usize) {
    match &node.value {
        Tree::Members(members) if !members.is_empty() => {
            for (name, value) in members {
                out.push_str(&" ".repeat(indent));
                write_member(out, name, value, indent);
            }
        }
        Tree::List(items) if !items.is_empty() => {
            for item in items {
                out.push_str(&" ".repeat(indent));
                out.push_str("- ");
                write_item(out, item, indent);
            }
        }
        _ => {
            out.push_str(&" ".repeat(indent));
            out.push_str(&inline(node));
            out.push('\n');
        }
    }
}

/// After `- `: the first member stands on the same line.
fn write_item(out: &mut String, item: &Node, indent: usize) {
    match &item.value {
        Tree::Members(members) if !members.is_empty() => {
            for (at, (name, value)) in members.iter().enumerate() {
                if at > 0 {
                    out.push_str(&" ".repeat(indent + 2));
                }
                write_member(out, name, value, indent + 2);
            }
        }
        // A list in a list has no name to stand below: it goes on one line, which is YAML too.
        _ => {
            out.push_str(&inline(item));
            out.push('\n');
        }
    }
}

fn write_member(out: &mut String, name: &str, value: &Node, indent: usize) {
    let name = scalar(name);
    if name.chars().count() > LONGEST_NAME {
        out.push_str(&format!("? {name}\n{}", " ".repeat(indent)));
    } else {
        out.push_str(&name);
    }
    out.push(':');
    if value.is_block() {
        out.push('\n');
        write(out, value, indent + 2);
    } else {
        out.push(' ');
        out.push_str(&inline(value));
        out.push('\n');
    }
}

fn inline(node: &Node) -> String {
    match &node.value {
        Tree::Plain(Value::String(text)) => scalar(text),
        Tree::Plain(other) => other.to_string(),
        Tree::List(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Tree::Members(members) => {
            let inner = members.iter().map(|(name, value)| match quoted(name) {
                name if name.chars().count() > LONGEST_NAME => format!("? {name} : {}", inline(value)),
                name => format!("{name}: {}", inline(value)),
            });
            format!("{{{}}}", inner.collect::<Vec<_>>().join(", "))
        }
    }
}

/// A text, in quotes unless every reader of YAML takes it for this very text.
fn scalar(text: &str) -> String {
    const WORDS: [&str; 11] = ["true", "false", "yes", "no", "on", "off", "null", "y", "n", "t", "f"];
    let word = |word: &str| {
        let allowed =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'/' | b':' | b'-' | b'@' | b'+');
        !word.is_empty() && word.bytes().all(allowed) && !word.ends_with(':')
    };
    let begins_well = text.starts_with(|first: char| first.is_ascii_alphabetic());
    let is_plain = begins_well && text.split(' ').all(word) && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    if is_plain { text.to_owned() } else { quoted(text) }
}

/// In double quotes; JSON's escapes are YAML's too, and more is escaped than JSON must.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for one in text.chars() {
        match one {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            one if one.is_control()
                || matches!(one, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}'..='\u{ffff}') =>
            {
                out.push_str(&format!("\\u{:04x}", u32::from(one)));
            }
            one => out.push(one),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_written_reads_back_as_it_was() {
        let value = json!({
            "plain": "a b", "empty": "", "none": null, "yes": "yes", "on": "On", "number": 7, "negative": -1, "text": "7",
            "float": "1e5", "date": "2026-11-22", "time": "1:30", "hash": "a #b", "colon": "a: b", "end": "a:", "space": " a ",
            "dash": "- a", "star": "*a", "amp": "&a", "bang": "!a", "percent": "%a", "at": "@a", "tick": "`a", "brace": "{a}",
            "quote": "say \"hi\" \\ 'there'", "line": "one\ntwo\r\n", "control": "\u{1}\u{7f}\u{85}\u{feff}", "wide": "日本 ü 😀",
            "uuid": "497f6eca-6276-4993-bfeb-53cbbbba6f08", "url": "https://a.example:8443/x?y=z#f", "tilde": "~", "dots": "...",
            "list": ["a", {"b": 1, "c": []}, [], ["x", {"y z": null}], "- no"], "object": {"a": {"b": {"c": true}}}, "nothing": {},
        });
        let mut text = String::new();
        write(&mut text, &Node::from(value.clone()), 0);
        assert_eq!(parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}")).to_value(), value, "{text}");
        let mut again = String::new();
        write(&mut again, &parse(&text).unwrap(), 0);
        assert_eq!(text, again);
    }

    #[test]
    fn what_a_key_may_hold_reads_back_however_odd_it_is() {
        let long = "n".repeat(3000);
        let mut deep = json!("end");
        for level in 0..120 {
            deep = if level % 3 == 0 { json!([deep]) } else { json!({"a": deep}) };
        }
        let value = json!({
            "block": {long.clone(): {"x": [1]}, "z\n".repeat(900): 2}, "first": [{long.clone(): 1, "y": 2}, [{long: {"x": []}}]],
            "numbers": [i64::MIN, i64::MAX, u64::MAX, 1.5, 1e300], "deep": deep,
        });
        let mut text = String::new();
        write(&mut text, &Node::from(value.clone()), 0);
        assert_eq!(parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}")).to_value(), value, "{text}");
    }

    #[test]
    fn json_is_read_too() {
        let value = json!({"a": [1, true, null, "x"], "b": {"c": 1.5}});
        assert_eq!(parse(&format!("{value:#}")).unwrap().to_value(), value);
    }

    #[test]
    fn every_slip_has_its_line() {
        for (text, says) in [
            ("a: 1\nb: [1\n", "line "),
            ("a: 1\nb: 2\na: 3\n", "line 3: this name stands here twice"),
            ("a: &x 1\n", "line 1: anchors"),
            ("a: 1\nb: *x\n", "line 2"),
            ("a: !!str 1\n", "line 1: tags"),
            ("a: 1\n---\nb: 1\n", "line 2: a second document"),
            ("{a: 1}: 2\n", "a name must be text"),
            ("", "empty"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(says), "{text:?}: {error}");
        }
        assert!(parse(&"[".repeat(200)).unwrap_err().contains("nested too deeply"));
    }

    #[test]
    fn lines_are_those_of_the_file() {
        let node = parse("# head\na:\n  - b: 1\n  - b: 2\n").unwrap();
        let Tree::Members(members) = &node.value else { panic!("{node:?}") };
        let Tree::List(items) = &members[0].1.value else { panic!("{node:?}") };
        assert_eq!(items.iter().map(|item| item.line).collect::<Vec<_>>(), [3, 4]);
    }
}
