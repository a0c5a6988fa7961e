//! How far a request goes through the routes before one of them takes it. The count comes from the tree
//! that is mounted, so a route that somebody mounts before the others shows here.

use crate::laws::rust_files;
use crate::support::app::{Setup, TestApp};
use crate::support::databases::{Kind, block_on};

/// What resource servers, clients, gateways and browsers ask all the time.
const HOT: [&str; 9] = [
    "/.well-known/jwks.json",
    "/.well-known/openid-configuration",
    "/oauth2/token",
    "/oauth2/introspect",
    "/oauth2/revoke",
    "/oauth2/userinfo",
    "/forward-auth",
    "/oauth2/authorize",
    "/login",
];
const MOST_HOT: usize = 12;
/// Of any other route, and of a path that nothing answers.
const MOST: usize = 32;

fn started(public_url: &'static str, test: impl AsyncFnOnce(TestApp)) {
    block_on(async {
        test(TestApp::start_as(Kind::Sqlite, Setup { public_url, ..Setup::default() }).await).await;
    });
}

/// A path that the pattern matches.
fn example(pattern: &str) -> String {
    pattern.split('/').map(|segment| if segment.contains('{') { "x" } else { segment }).collect::<Vec<_>>().join("/")
}

#[test]
fn hot_routes_are_found_after_few_patterns() {
    for (public_url, base) in [("https://id.example.com", ""), ("https://id.example.com/auth/v2", "/auth/v2")] {
        started(public_url, async |app| {
            let tree = app.services.route_tree();
            for path in HOT {
                for path in [format!("{base}{path}"), format!("{base}/p/acme{path}")] {
                    let tried = tree.tried(&path);
                    assert!(tried <= MOST_HOT, "{path}: {tried} patterns are tried");
                }
            }
        });
    }
}

#[test]
fn every_route_and_every_unknown_path_is_decided_after_a_bounded_number_of_patterns() {
    started("https://id.example.com", async |app| {
        let tree = app.services.route_tree();
        let patterns = tree.patterns();
        assert!(patterns.len() > 150, "{} patterns are mounted", patterns.len());
        for pattern in patterns {
            let path = example(&pattern);
            for path in [path.clone(), format!("{path}/none")] {
                let tried = tree.tried(&path);
                assert!(tried <= MOST, "{path}: {tried} patterns are tried");
            }
        }
    });
}

#[test]
fn nothing_is_mounted_beside_the_tree() {
    let mounts = ["config.service(", ".service(web::", ".route(\"", "App::new().service"];
    let own = ["src/edge/route_tree.rs"];
    // The metrics have an address of their own.
    let metrics = "App::new().app_data(engine.clone()).route(\"/metrics\"";
    let mut found = 0;
    for (path, text) in rust_files("src") {
        for line in text.lines() {
            if !mounts.iter().any(|mount| line.contains(mount)) || line.contains(metrics) {
                continue;
            }
            assert!(own.contains(&path.as_str()), "{path} mounts past the tree: {line}");
            found += 1;
        }
    }
    assert!(found > 0, "the tree itself mounts");
}
