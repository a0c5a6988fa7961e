//! Which room may know which (`docs/ARCHITECTURE.md`), and which outside crates stay in which room.

use std::collections::BTreeSet;

use crate::laws::source_text::words;
use crate::laws::{root, rust_files};

const ALL: &[&str] = &["*"];

/// Room, and the rooms it may name. Every room may name itself and `domain`.
const ROOMS: [(&str, &[&str]); 16] = [
    ("domain", &[]),
    ("crypto", &[]),
    ("store", &[]),
    ("upstream", &["crypto"]),
    ("engine", &["crypto", "store", "upstream"]),
    ("edge", &[]),
    ("dialects", &["engine", "edge"]),
    ("admin", &["engine", "edge"]),
    ("web", &["engine", "edge"]),
    ("ops", &["engine", "edge"]),
    // Management is calls of the admin API, so its structs are as unknown here as to any client.
    ("cli", &["engine", "config", "app", "telemetry", "ops", "first_run"]),
    ("config", &[]),
    ("telemetry", &[]),
    // What puts the house together knows all of it.
    ("app", ALL),
    ("first_run", ALL),
    ("main", ALL),
];

const DATABASE: &[&str] = &["diesel", "diesel_migrations", "r2d2", "libsqlite3_sys", "pq_sys"];
const ACTIX: &[&str] = &["actix", "actix_web", "actix_http", "actix_rt", "actix_service", "actix_router"];
const SERDE: &[&str] = &["serde", "serde_json"];

/// Outside crates that a room never names.
fn forbidden_crates(room: &str) -> Vec<&'static str> {
    let database = if room == "store" { &[][..] } else { DATABASE };
    let actix = match room {
        "engine" | "store" | "crypto" | "domain" | "upstream" | "config" | "telemetry" => ACTIX,
        _ => &[],
    };
    let serde = if matches!(room, "domain" | "engine") { SERDE } else { &[] };
    [database, actix, serde].concat()
}

/// For the rooms that keep to a short list: the only outside crates they may name, test code
/// included.
fn allowed_crates(room: &str) -> Option<&'static [&'static str]> {
    match room {
        "domain" => Some(&["thiserror", "secrecy", "url"]),
        "config" => Some(&["serde", "config", "secrecy", "url", "time", "log", "tempfile"]),
        "telemetry" => Some(&["serde", "serde_json", "env_logger", "log", "time"]),
        _ => None,
    }
}

/// The house as the test sees it.
struct House {
    /// Outside crates of `Cargo.toml`, in their Rust spelling.
    outside: BTreeSet<String>,
    /// Folders of `src/dialects`.
    dialects: BTreeSet<String>,
}

impl House {
    fn real() -> Self {
        let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
        let mut inside = false;
        let mut outside = BTreeSet::new();
        for line in manifest.lines() {
            if line.starts_with('[') {
                inside = line.contains("dependencies");
            } else if let (true, Some((name, _))) = (inside, line.split_once('=')) {
                outside.insert(name.trim().replace('-', "_"));
            }
        }
        assert!(outside.contains("diesel") && outside.contains("actix_web"), "the manifest was not understood");
        let names = rust_files("src/dialects").into_iter().filter_map(|(path, _)| {
            let (name, _) = path.strip_prefix("src/dialects/")?.split_once('/')?;
            Some(name.to_owned())
        });
        Self { outside, dialects: names.collect() }
    }

    /// Every violation in one file, as sentences.
    fn violations(&self, path: &str, source: &str) -> Vec<String> {
        let inner = path.strip_prefix("src/").unwrap_or(path);
        if inner == "lib.rs" {
            return Vec::new();
        }
        let room = inner.split('/').next().unwrap_or_default().trim_end_matches(".rs");
        let Some((_, may_use)) = ROOMS.iter().find(|(name, _)| *name == room) else {
            return vec![format!("{path} is in no room: add `{room}` to the table in tests/it/laws/layers.rs")];
        };
        let words = words(source);
        let dialect = inner.strip_prefix("dialects/").and_then(|rest| rest.split_once('/')).map(|(name, _)| name);
        let at_room_root = inner == format!("{room}.rs") || inner == format!("{room}/mod.rs");
        let mut out = Vec::new();
        let mut add = |what: String| out.push(format!("{path}: {what}"));

        for (at, word) in words.iter().enumerate() {
            let after = |step: usize| words.get(at + step).map_or("", String::as_str);
            let before = |step: usize| at.checked_sub(step).and_then(|at| words.get(at)).map_or("", String::as_str);
            let is_path = after(1) == "::";
            match word.as_str() {
                "crate" if is_path => match after(2) {
                    "{" | "*" => add("`crate::{` and `crate::*` hide who is used: one line a room".to_owned()),
                    used => {
                        if is_public_use(&words[..at]) {
                            add(format!("`pub use crate::{used}` makes a second door"));
                        }
                        if !may(room, may_use, used) {
                            add(format!("{room} may not use {used}"));
                        }
                        if let (Some(own), "dialects", "::") = (dialect, used, after(3))
                            && self.dialects.contains(after(4))
                            && after(4) != own
                        {
                            add(format!("dialect {own} may not use dialect {}", after(4)));
                        }
                    }
                },
                "crate" if after(1) == "as" => add("`crate as` hides who is used".to_owned()),
                "extern" if after(1) == "crate" => add("`extern crate` hides who is used".to_owned()),
                "super" if is_path => {
                    let used = after(2);
                    if used == "super" {
                        add("`super::super` loses the way: write the path from `crate`".to_owned());
                    } else if at_room_root && used != room && ROOMS.iter().any(|(name, _)| *name == used) {
                        // At the root of a room `super` is the crate, unless a test module looks up.
                        let own_module = words.windows(2).any(|pair| pair[0] == "mod" && pair[1] == used);
                        if !own_module && !may(room, may_use, used) {
                            add(format!("{room} may not use {used}"));
                        }
                    } else if let Some(own) = dialect
                        && used != own
                        && self.dialects.contains(used)
                    {
                        add(format!("dialect {own} may not use dialect {used}"));
                    }
                }
                // `::uuid` begins at the root too; `x::uuid` and `<T>::uuid` do not.
                name if before(1) != "::" || before(2) == "use" || !ends_a_path(before(2)) => {
                    let named = is_path || (before(1) == "use" && matches!(after(1), ";" | "as"));
                    if named && self.outside.contains(name) && !may_name(room, name) {
                        add(format!("{room} may not use the crate {name}"));
                    }
                }
                _ => {}
            }
        }
        out
    }
}

fn may(room: &str, may_use: &[&str], used: &str) -> bool {
    used == room || used == "domain" || may_use == ALL || may_use.contains(&used)
}

fn may_name(room: &str, name: &str) -> bool {
    !forbidden_crates(room).contains(&name) && allowed_crates(room).is_none_or(|few| few.contains(&name))
}

fn ends_a_path(word: &str) -> bool {
    word == ">" || word.chars().all(|character| character.is_alphanumeric() || character == '_')
}

/// Whether the words end with `pub use` or `pub(…) use`.
fn is_public_use(before: &[String]) -> bool {
    let Some(("use", rest)) = before.split_last().map(|(last, rest)| (last.as_str(), rest)) else { return false };
    rest.iter().rev().take_while(|word| !matches!(word.as_str(), ";" | "{" | "}" | "]")).any(|word| word == "pub")
}

#[test]
fn no_room_knows_what_it_may_not() {
    let house = House::real();
    let files = rust_files("src");
    assert!(files.len() > 20, "the walk found only {} files", files.len());
    let found: Vec<String> = files.iter().flat_map(|(path, source)| house.violations(path, source)).collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn a_planted_violation_of_each_sort_is_caught() {
    let mut house = House::real();
    house.dialects.extend(["runai".to_owned(), "oauth2".to_owned()]);
    for (path, source, says) in [
        ("src/domain/x.rs", "use crate::store::Db;", "domain may not use store"),
        ("src/domain/x.rs", "fn f() { let x = crate :: engine :: X; }", "domain may not use engine"),
        ("src/domain/x.rs", "use serde::Serialize;", "domain may not use the crate serde"),
        ("src/domain/x.rs", "use uuid::Uuid;", "domain may not use the crate uuid"),
        ("src/domain/x.rs", "use ::uuid::Uuid;", "domain may not use the crate uuid"),
        ("src/crypto/x.rs", "use crate::engine::X;", "crypto may not use engine"),
        ("src/crypto/x.rs", "use actix_web::web;", "crypto may not use the crate actix_web"),
        ("src/store/mod.rs", "use super::engine::X;", "store may not use engine"),
        ("src/store/x.rs", "use actix_web::web;", "store may not use the crate actix_web"),
        ("src/upstream/x.rs", "use crate::store::Db;", "upstream may not use store"),
        ("src/engine/x.rs", "use crate::edge::Call;", "engine may not use edge"),
        ("src/engine/x.rs", "use serde_json::Value;", "engine may not use the crate serde_json"),
        ("src/engine/x.rs", "use serde_json as json;", "engine may not use the crate serde_json"),
        ("src/engine/grants/x.rs", "fn f(c: &mut diesel::X) {}", "engine may not use the crate diesel"),
        ("src/edge/x.rs", "use crate::engine::Engine;", "edge may not use engine"),
        ("src/dialects/runai/x.rs", "use crate::crypto::X;", "dialects may not use crypto"),
        ("src/dialects/runai/x.rs", "use crate::dialects::oauth2::X;", "runai may not use dialect oauth2"),
        ("src/dialects/runai/mod.rs", "use super::oauth2::X;", "runai may not use dialect oauth2"),
        ("src/admin/x.rs", "use crate::dialects::runai;", "admin may not use dialects"),
        ("src/ops/x.rs", "use crate::store::Db;", "ops may not use store"),
        ("src/cli/x.rs", "use crate::store::Db;", "cli may not use store"),
        ("src/cli/x.rs", "use crate::admin::wire::X;", "cli may not use admin"),
        ("src/cli/x.rs", "use diesel::prelude::X;", "cli may not use the crate diesel"),
        ("src/app.rs", "use r2d2::Pool;", "app may not use the crate r2d2"),
        ("src/config/x.rs", "use crate::telemetry::start;", "config may not use telemetry"),
        ("src/config/x.rs", "use tokio::fs;", "config may not use the crate tokio"),
        ("src/telemetry.rs", "use crate::config::LogFormat;", "telemetry may not use config"),
        ("src/engine/x.rs", "use crate::{store::Db};", "hide who is used"),
        ("src/engine/x.rs", "use crate as house;", "hides who is used"),
        ("src/engine/x.rs", "extern crate self as house;", "hides who is used"),
        ("src/engine/x.rs", "use super::super::store;", "`super::super`"),
        ("src/engine/x.rs", "pub use crate::store::Db;", "second door"),
        ("src/engine/x.rs", "pub(crate) use crate::store::Db;", "second door"),
        ("src/helpers/x.rs", "", "add `helpers` to the table"),
        ("src/helpers.rs", "", "add `helpers` to the table"),
    ] {
        let found = house.violations(path, source);
        assert!(found.iter().any(|sentence| sentence.contains(says)), "{path}: {source}\n{found:#?}");
    }
}

#[test]
fn what_is_allowed_is_not_caught() {
    let mut house = House::real();
    house.dialects.extend(["runai".to_owned(), "oauth2".to_owned()]);
    for (path, source) in [
        ("src/engine/x.rs", "use crate::store::Db; use crate::domain::Client; use crate::engine::X;"),
        ("src/engine/x.rs", "// crate::edge\n/* use serde::X; */ const A: &str = \"use crate::edge::X; diesel::x\";"),
        ("src/engine/mod.rs", "mod store; mod tests { use super::store; }"),
        ("src/engine/x.rs", "fn f() { self.config::serde(); let serde = 1; }"),
        ("src/store/x.rs", "use diesel::prelude::X; use serde_json::Value;"),
        ("src/dialects/runai/x.rs", "use crate::dialects::runai::wire; use crate::dialects::Surface; use super::wire;"),
        ("src/app.rs", "use crate::store::Db; use crate::dialects::runai; use actix_web::App;"),
        ("src/lib.rs", "pub use crate::domain::Client;"),
        ("src/domain/x.rs", "use std::time::Instant; use thiserror::Error;"),
    ] {
        assert_eq!(house.violations(path, source), Vec::<String>::new(), "{path}: {source}");
    }
}
