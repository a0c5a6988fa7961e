//! The public URL: taken over on loopback, guarded elsewhere, with a path served below it.

use serde_json::Value;

use crate::support::client::decoded;
use crate::support::databases::Kind;
use crate::support::process::{Home, OWNER, Server, on_each};

fn issuer(server: &Server) -> String {
    server.http.get("/.well-known/openid-configuration").expect(200).text_of("issuer")
}

on_each! {
    fn another_public_url_is_refused_unless_it_is_meant(home: Home) {
        let home = home.with("GRANTD_PUBLIC_URL", "https://one.example");
        let server = home.serve();
        assert_eq!(issuer(&server), "https://one.example");
        // Off where a stranger could reach it before the operator has looked.
        let headers = [("authorization", &*format!("Bearer {OWNER}"))];
        let runai = server.http.call("GET", "/admin/v1/providers/default/clients/runai", &headers, None).expect(200);
        assert_eq!(runai.json()["enabled"], false);
        drop(server);
        let home = home.with("GRANTD_PUBLIC_URL", "https://two.example");
        let said = home.refused(&[]);
        assert!(said.contains("https://one.example") && said.contains("https://two.example"), "{said}");
        assert!(said.contains("--new-issuer"), "{said}");
        let server = home.serve_with(&["--new-issuer"]);
        assert_eq!(issuer(&server), "https://two.example");
        drop(server);
        assert_eq!(issuer(&home.serve()), "https://two.example");
    }
}

#[test]
fn on_loopback_another_public_url_is_taken_over_with_a_warning_and_old_tokens_verify() {
    let home = Home::bare(Kind::Sqlite);
    let server = home.serve();
    let first = server.first_run();
    let before = issuer(&server);
    let token = server.http.token(&first.client_id, &first.client_secret).expect(200).text_of("access_token");
    drop(server);
    let server = home.serve();
    assert_ne!(issuer(&server), before, "port 0 picks another one");
    assert!(server.stderr().lines().any(|line| line.contains("WARN") && line.contains(&before)), "{}", server.stderr());
    assert!(server.http.is_active("", &first.api_key, &token));
    let token = server.http.token(&first.client_id, &first.client_secret).expect(200).text_of("access_token");
    assert_eq!(decoded(&token).1["iss"], issuer(&server));
}

#[test]
fn plain_http_elsewhere_than_on_loopback_is_refused_unless_allowed() {
    let home = Home::bare(Kind::Sqlite).with("GRANTD_PUBLIC_URL", "http://one.example");
    assert!(home.refused(&[]).contains("allow_http"));
    assert_eq!(issuer(&home.with("GRANTD_ALLOW_HTTP", "true").serve()), "http://one.example");
}

#[test]
fn a_public_url_with_a_slash_at_its_end_is_refused() {
    for url in ["https://one.example/", "https://one.example/auth/", "https://one.example/?a=b", "one.example"] {
        let said = Home::bare(Kind::Sqlite).with("GRANTD_PUBLIC_URL", url).refused(&[]);
        assert!(said.contains("public_url"), "{url}: {said}");
    }
}

#[test]
fn with_a_path_everything_lies_below_it_and_three_things_also_at_the_root() {
    let public = "https://one.example/auth";
    let home = Home::on(Kind::Sqlite).with("GRANTD_PUBLIC_URL", public);
    let mut server = home.spawn(&[]);
    // Readiness is asked at the root, so the harness can wait for it.
    server.kill();
    let server = home.serve();
    let owner = format!("Bearer {OWNER}");
    let json = [("authorization", owner.as_str()), ("content-type", "application/json")];
    let body = br#"{"slug":"acme"}"#;
    let made = server.http.call("POST", "/auth/admin/v1/providers", &json, Some(body)).expect(201);
    let location = made.header("location").expect("a Location").to_owned();
    server.http.call("GET", &location, &json, None).expect(200);
    assert_eq!(made.json()["issuer"], "https://one.example/auth/p/acme");
    let made = server.http.call("POST", "/auth/admin/v1/providers/default/clients", &json, Some(b"{}")).expect(201);
    let (id, secret) = (made.text_of("client_id"), made.text_of("client_secret"));
    server.http.token_at("/auth", &id, &secret).expect(200);
    for path in [
        "/healthz",
        "/readyz",
        "/auth/healthz",
        "/auth/readyz",
        "/auth/openapi.json",
        "/auth/.well-known/jwks.json",
        "/auth/.well-known/jwks",
        "/auth/p/acme/.well-known/jwks.json",
    ] {
        assert_eq!(server.http.get(path).status, 200, "{path}");
    }
    for (path, expected) in [
        ("/auth/.well-known/openid-configuration", public),
        ("/auth/.well-known/oauth-authorization-server", public),
        ("/.well-known/oauth-authorization-server/auth", public),
        ("/auth/p/acme/.well-known/openid-configuration", "https://one.example/auth/p/acme"),
        ("/.well-known/oauth-authorization-server/auth/p/acme", "https://one.example/auth/p/acme"),
    ] {
        let metadata: Value = server.http.get(path).expect(200).json();
        assert_eq!(metadata["issuer"], expected, "{path}");
        assert_eq!(metadata["token_endpoint"], format!("{expected}/oauth2/token"), "{path}");
    }
    for path in [
        "/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server",
        "/.well-known/jwks.json",
        "/oauth2/token",
        "/openapi.json",
        "/metrics",
        "/admin/v1/providers",
        "/p/acme/.well-known/jwks.json",
        "/auth/p/default/.well-known/jwks.json",
        "/authx/healthz",
    ] {
        assert_eq!(server.http.call("GET", path, &json, None).status, 404, "{path}");
    }
}

#[test]
fn the_provider_default_has_no_second_address() {
    let server = Home::on(Kind::Sqlite).serve();
    for path in ["/p/default/.well-known/jwks.json", "/p/default/.well-known/openid-configuration", "/p/default"] {
        assert_eq!(server.http.get(path).status, 404, "{path}");
    }
    server.http.form("/p/default/oauth2/token", None, "grant_type=client_credentials&client_id=x").expect(404);
}
