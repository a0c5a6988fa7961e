//! The pages in Chromium, against the real binary: `tests/clients/pages.mjs` says what is done and
//! looked at. A picture of every page in every language stays in `target/screenshots`, for a person to
//! look at. `scripts/system-packages` and `scripts/clients` install what this needs; without it the
//! tests fail.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::support::databases::Kind;
use crate::support::process::{Home, OWNER};

fn visit(kind: Kind, folder: &str, all: bool) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let packages = root.join(".clients/node");
    assert!(packages.join("node_modules").exists(), "The published clients are not installed: run ./scripts/clients.");
    assert!(Path::new("/usr/bin/chromium").exists(), "Chromium is not installed: run ./scripts/system-packages.");
    let home = Home::on(kind);
    let server = home.serve();
    let settings = json!({
        "base": server.http.base,
        "key": OWNER,
        "packages": packages,
        "folder": root.join("target/screenshots").join(folder),
        "all": all,
    });
    let mut node = Command::new("node");
    node.arg(root.join("tests/clients/pages.mjs")).arg(settings.to_string());
    for variable in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        node.env_remove(variable);
    }
    let output = node.output().expect("node does not start");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success() && stdout.ends_with("done\n"), "{stdout}\n{stderr}");
}

#[test]
fn every_page_works_in_chromium_in_both_languages() {
    visit(Kind::Sqlite, "sqlite", true);
}

#[test]
fn the_pages_work_in_chromium_on_postgres() {
    visit(Kind::Postgres, "postgres", false);
}
