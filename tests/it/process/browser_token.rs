//! `examples/browser-token` as it stands, in Chromium: `tests/clients/browser_token.mjs` says what is
//! clicked and looked at.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::support::process::{Home, OWNER, on_each};

on_each! {
    fn a_page_reads_a_report_with_a_token_that_works_once(home: Home) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let packages = root.join(".clients/node");
        assert!(packages.join("node_modules").exists(), "The published clients are not installed: run ./scripts/clients.");
        assert!(Path::new("/usr/bin/chromium").exists(), "Chromium is not installed: run ./scripts/system-packages.");
        let server = home.serve();
        let settings = json!({
            "base": server.http.base,
            "key": OWNER,
            "packages": packages,
            "example": root.join("examples/browser-token"),
        });
        let mut node = Command::new("node");
        node.arg(root.join("tests/clients/browser_token.mjs")).arg(settings.to_string());
        for variable in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
            node.env_remove(variable);
        }
        let output = node.output().expect("node does not start");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success() && stdout.ends_with("done\n"), "{stdout}\n{stderr}");
    }
}
