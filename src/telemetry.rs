//! Log lines to stderr: text for a terminal, one JSON object a line on request. Whatever a message
//! holds, it stays on its one line: control characters are escaped in both forms, so that nobody
//! can forge a line by sending a newline.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::Write as _;
use std::panic::PanicHookInfo;

use log::kv::{self, Key, Value, VisitSource};
use log::{Level, LevelFilter, Record, SetLoggerError};
use time::OffsetDateTime;
use time::macros::format_description;

use crate::domain::clock::SystemWall;
use crate::domain::explanation::HIDDEN;
use crate::domain::hidden::without_credentials;
use crate::domain::{UnixTime, Wall};

/// Bytes; an access line is a little shorter.
const TYPICAL_LINE: usize = 192;

/// Starts the logger of the process: `filter` as env_logger reads it (`info`, `grantd=debug,warn`).
/// Panics are logged too, in the same form. A second start is an error.
pub fn start(filter: &str, json: bool) -> Result<(), SetLoggerError> {
    filtered(filter)
        .target(env_logger::Target::Stderr)
        .format(move |out, record| out.write_all(line(record, SystemWall.now(), json).as_bytes()))
        .try_init()?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// Of HTTP itself nothing is logged unless the filter names it: whoever sends what is no HTTP makes a line
/// of level error there, as many as they like.
fn filtered(filter: &str) -> env_logger::Builder {
    let mut builder = env_logger::Builder::new();
    builder.filter_module("actix_http", LevelFilter::Off).parse_filters(filter);
    builder
}

/// The default hook prints several lines in its own form, which no reader of JSON lines takes.
fn log_panic(info: &PanicHookInfo<'_>) {
    let said = said_by(info.payload_as_str());
    match info.location() {
        Some(place) => log::error!(target: "panic", "{said} at {}:{}", place.file(), place.line()),
        None => log::error!(target: "panic", "{said}"),
    }
}

/// A panic quotes what it stumbled over, as a slice that was cut at the wrong place does.
fn said_by(payload: Option<&str>) -> Cow<'_, str> {
    without_credentials(payload.unwrap_or("something that is no text"), HIDDEN)
}

/// One record as one line, its end included.
fn line(record: &Record<'_>, now: UnixTime, json: bool) -> String {
    let mut out = if json { json_line(record, now) } else { text_line(record, now) };
    out.push('\n');
    out
}

fn text_line(record: &Record<'_>, now: UnixTime) -> String {
    let mut out = String::with_capacity(TYPICAL_LINE);
    // Writing to a String cannot fail.
    let _ = write!(out, "{} {:5} {} ", timestamp(now), record.level(), record.target());
    let _ = Escaped(&mut out).write_fmt(*record.args());
    for (key, value) in pairs(record) {
        out.push(' ');
        escape_text(&key, &mut out);
        out.push('=');
        match value {
            Field::Bare(text) => out.push_str(&text),
            Field::Text(text) if is_one_word(&text) => out.push_str(&text),
            Field::Text(text) => quote(&text, &mut out),
        }
    }
    out
}

fn json_line(record: &Record<'_>, now: UnixTime) -> String {
    let mut out = format!("{{\"ts\":\"{}\",\"level\":\"{}\",\"target\":", timestamp(now), level(record.level()));
    quote(record.target(), &mut out);
    out.push_str(",\"message\":");
    quote(&record.args().to_string(), &mut out);
    let mut taken = vec!["ts".to_owned(), "level".to_owned(), "target".to_owned(), "message".to_owned()];
    for (key, value) in pairs(record) {
        // Two members of one name are read differently by different readers; the first stays.
        if taken.contains(&key) {
            continue;
        }
        out.push(',');
        quote(&key, &mut out);
        out.push(':');
        match value {
            Field::Bare(text) => out.push_str(&text),
            Field::Text(text) => quote(&text, &mut out),
        }
        taken.push(key);
    }
    out.push('}');
    out
}

const fn level(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace => "trace",
    }
}

/// RFC 3339 in UTC with milliseconds.
fn timestamp(now: UnixTime) -> String {
    let form = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(now.millis()) * 1_000_000)
        .ok()
        .and_then(|at| at.format(form).ok())
        .unwrap_or_else(|| now.millis().to_string())
}

/// A value as JSON writes it: numbers and truth values bare, everything else as text.
enum Field {
    Bare(String),
    Text(String),
}

fn pairs(record: &Record<'_>) -> Vec<(String, Field)> {
    struct Collect(Vec<(String, Field)>);
    impl<'kvs> VisitSource<'kvs> for Collect {
        fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
            let field = if let Some(number) = value.to_u64() {
                Field::Bare(number.to_string())
            } else if let Some(number) = value.to_i64() {
                Field::Bare(number.to_string())
            } else if let Some(flag) = value.to_bool() {
                Field::Bare(flag.to_string())
            } else {
                Field::Text(value.to_string())
            };
            self.0.push((key.as_str().to_owned(), field));
            Ok(())
        }
    }
    let mut collect = Collect(Vec::new());
    // The visitor never fails, so neither does the visit.
    let _ = record.key_values().visit(&mut collect);
    collect.0
}

fn is_one_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'=' | b'\\'))
}

/// What ends a line for some reader, or moves the cursor of a terminal.
fn is_unsafe(character: char) -> bool {
    character.is_control() || matches!(character, '\u{2028}' | '\u{2029}')
}

/// Escapes what is formatted into it, piece by piece.
struct Escaped<'a>(&'a mut String);

impl std::fmt::Write for Escaped<'_> {
    fn write_str(&mut self, piece: &str) -> std::fmt::Result {
        escape_text(piece, self.0);
        Ok(())
    }
}

fn escape_text(text: &str, out: &mut String) {
    // Nearly every piece; a line is written for every request.
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        out.push_str(text);
        return;
    }
    for character in text.chars() {
        if is_unsafe(character) { out.extend(character.escape_default()) } else { out.push(character) }
    }
}

/// A JSON string (RFC 8259 §7), quotes included.
fn quote(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            other if is_unsafe(other) => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(other));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logged(message: &str, pairs: &[(&str, Value<'_>)], json: bool) -> String {
        let now = UnixTime::from_millis(1_700_000_000_007);
        let args = format_args!("{message}").to_string();
        let mut builder = Record::builder();
        builder.level(Level::Info).target("grantd::edge").key_values(&pairs);
        line(&builder.args(format_args!("{args}")).build(), now, json)
    }

    #[test]
    fn a_stranger_who_speaks_no_http_fills_no_log_unless_it_is_asked_for() {
        let takes = |filter: &str, target: &str| {
            let record = Record::builder().level(Level::Error).target(target).build();
            filtered(filter).build().matches(&record)
        };
        for filter in ["info", "debug", "grantd=debug,warn"] {
            assert!(!takes(filter, "actix_http::h1::dispatcher"), "{filter}");
            assert!(takes(filter, "grantd::edge"), "{filter}");
            assert!(takes(filter, "actix_server"), "{filter}");
        }
        assert!(takes("info,actix_http=error", "actix_http::h1::dispatcher"));
    }

    #[test]
    fn what_a_panic_quotes_holds_no_secret() {
        let said = "byte index 3 is not a char boundary of `Bearer gk_4rDq0Zk1aB2cD3eF4gH5iJ6kL7mN8oP9qR0sT1uV2wX3yZ4`";
        let hidden = "byte index 3 is not a char boundary of `Bearer (looks like a secret)`";
        assert_eq!((said_by(Some(said)), said_by(None)), (hidden.into(), "something that is no text".into()));
    }

    #[test]
    fn text_gives_time_level_target_message_and_pairs() {
        let pairs = [("status", Value::from(200)), ("path", Value::from("/a b"))];
        let line = logged("answered", &pairs, false);
        assert_eq!(line, "2023-11-14T22:13:20.007Z INFO  grantd::edge answered status=200 path=\"/a b\"\n");
    }

    #[test]
    fn json_gives_one_object_a_line() {
        let pairs = [("status", Value::from(200)), ("ok", Value::from(true)), ("path", Value::from("/a\"b"))];
        let line = logged("answered", &pairs, true);
        let read: serde_json::Value = serde_json::from_str(&line).unwrap();
        let expected = serde_json::json!({
            "ts": "2023-11-14T22:13:20.007Z", "level": "info", "target": "grantd::edge",
            "message": "answered", "status": 200, "ok": true, "path": "/a\"b",
        });
        assert_eq!(read, expected);
    }

    #[test]
    fn no_message_can_begin_a_second_line() {
        let forged = "x\n2023-11-14T22:13:20.007Z INFO a\r\u{1b}[2K\u{0}\u{85}\u{2028}\u{2029}\u{7f}\\\"end";
        for json in [false, true] {
            let pairs = [("given\nkey", Value::from(forged))];
            let line = logged(forged, &pairs, json);
            let body = line.strip_suffix('\n').unwrap();
            assert!(!body.chars().any(is_unsafe), "{body:?}");
        }
        let read: serde_json::Value = serde_json::from_str(&logged(forged, &[], true)).unwrap();
        assert_eq!(read["message"], forged);
    }

    #[test]
    fn a_pair_cannot_take_the_name_of_a_field_of_ours() {
        let line = logged("m", &[("level", Value::from("error")), ("a", Value::from(1)), ("a", Value::from(2))], true);
        assert_eq!(line.matches("\"level\"").count(), 1, "{line}");
        assert_eq!(line.matches("\"a\"").count(), 1, "{line}");
        assert!(line.contains("\"level\":\"info\""), "{line}");
    }
}
