//! What a host selects: a verified domain its provider, anything else the public URL.

use serde_json::json;

use super::{added, at, deleted, fresh_name, issuer_at, proven, publish, text, verify};
use crate::support::app::{ISSUER, Setup, TestApp, on_both_apps};
use crate::support::http::refused;
use crate::support::jose::{decoded, verified};

const GRANT: [(&str, &str); 1] = [("grant_type", "client_credentials")];

on_both_apps! {
    async fn a_verified_domain_serves_its_provider_and_metadata_that_states_itself(app: TestApp) {
        app.provider("acme", json!({})).await;
        let name = fresh_name();
        proven(&app, "acme", &name).await;
        let own = format!("https://{name}");
        for document in ["openid-configuration", "oauth-authorization-server"] {
            let metadata = at(&app, &name, "GET", &format!("/.well-known/{document}")).send().await.json();
            assert_eq!((text(&metadata, "issuer"), text(&metadata, "jwks_uri")), (own.as_str(), format!("{own}/.well-known/jwks.json").as_str()));
            assert_eq!(text(&metadata, "token_endpoint"), format!("{own}/oauth2/token"));
            assert_eq!(text(&metadata, "authorization_endpoint"), format!("{own}/oauth2/authorize"));
            let below = app.get(&format!("/p/acme/.well-known/{document}")).send().await.json();
            assert_eq!(text(&below, "issuer"), format!("{ISSUER}/p/acme"), "and the address below the public URL states itself");
        }
        // Its keys and its clients, nobody else's.
        let (client, stranger) = (app.client_of("acme", json!({})).await, app.client(json!({})).await);
        let answer = at(&app, &name, "POST", "/oauth2/token").form(&GRANT).basic(&client.id, &client.secret).send().await;
        let token = text(&answer.json(), "access_token").to_owned();
        let keys = at(&app, &name, "GET", "/.well-known/jwks.json").send().await.json();
        assert_eq!(verified(&token, &keys).1["iss"], json!(format!("{ISSUER}/p/acme")), "not primary: the issuer is as before");
        assert_eq!(keys, app.get("/p/acme/.well-known/jwks").send().await.json());
        let answer = at(&app, &name, "POST", "/oauth2/token").form(&GRANT).basic(&stranger.id, &stranger.secret).send().await;
        assert_eq!(answer.refusal(), refused(401, "invalid_client"));
        let key = app.api_key(json!({"role": "default", "provider": "acme"})).await;
        let answer = at(&app, &name, "POST", "/oauth2/introspect").form(&[("token", &token)]).bearer(&key).send().await;
        assert_eq!(answer.json()["active"], json!(true));
        let own_token = app.token(&stranger).await;
        let answer = at(&app, &name, "POST", "/oauth2/introspect").form(&[("token", &own_token)]).bearer(&app.first.owner_key).send().await;
        assert_eq!(answer.json(), json!({"active": false}), "a token of default is none of acme's");
    }

    async fn only_the_whole_name_selects_and_anything_else_is_the_public_url(app: TestApp) {
        app.provider("acme", json!({})).await;
        let name = fresh_name();
        proven(&app, "acme", &name).await;
        for host in [name.clone(), name.to_uppercase(), format!("{name}:443"), format!("{name}:8443")] {
            assert_eq!(issuer_at(&app, &host).await, Ok(format!("https://{name}")), "{host}");
        }
        for host in [
            "id.example.com", "unknown.example", &format!("x.{name}"), &format!("{name}.evil.example"), &format!("{name}."), &name["login.".len()..],
            &format!("{name}@x"), &format!("x@{name}"), &format!("{name}:x"), &format!("{name}, {name}"), "", "127.0.0.1:8080", "[::1]",
        ] {
            assert_eq!(issuer_at(&app, host).await.as_deref(), Ok(ISSUER), "{host}");
        }
        let metadata = "/.well-known/openid-configuration";
        let twice = at(&app, &name, "GET", metadata).header("host", &name).send().await;
        assert_eq!(text(&twice.json(), "issuer"), ISSUER, "two Host headers name none");
        for (header, value) in [("x-forwarded-host", name.as_str()), ("forwarded", &format!("host={name}")), ("x-ug-host", &name), ("x-original-host", &name)] {
            let answer = app.get(metadata).header(header, value).send().await;
            assert_eq!(text(&answer.json(), "issuer"), ISSUER, "{header} selects nothing");
        }
    }

    // Some gateways pass the client's Host on.
    async fn a_host_does_not_choose_whose_tokens_a_gateway_lets_pass(app: TestApp) {
        app.provider("acme", json!({})).await;
        let name = fresh_name();
        proven(&app, "acme", &name).await;
        let of_acme = app.token_at("/p/acme", &app.client_of("acme", json!({})).await).await;
        let own = app.token(&app.client(json!({})).await).await;
        for (path, token, status) in [
            ("/forward-auth", &own, 200), ("/forward-auth/orders", &own, 200), ("/forward-auth", &of_acme, 401),
            ("/forward-auth/orders?audience=https://id.example.com/p/acme", &of_acme, 401),
            ("/p/acme/forward-auth", &of_acme, 200), ("/p/acme/forward-auth", &own, 401), ("/p/default/forward-auth", &own, 404),
        ] {
            for host in [name.as_str(), "id.example.com", "unknown.example"] {
                assert_eq!(at(&app, host, "GET", path).bearer(token).send().await.status, status, "{host} {path}");
            }
        }
    }

    async fn at_a_domain_there_is_its_provider_only(app: TestApp) {
        app.provider("acme", json!({})).await;
        app.provider("other", json!({})).await;
        let name = fresh_name();
        proven(&app, "acme", &name).await;
        for slug in ["acme", "other", "default"] {
            for path in ["/.well-known/openid-configuration", "/.well-known/jwks.json", "/login", "/oauth2/authorize"] {
                let answer = at(&app, &name, "GET", &format!("/p/{slug}{path}")).send().await;
                assert_eq!(answer.status, 404, "{slug}{path}");
            }
            let answer = at(&app, &name, "GET", &format!("/.well-known/oauth-authorization-server/p/{slug}")).send().await;
            assert_eq!(answer.status, 404, "{slug} inserted");
            let answer = at(&app, &name, "POST", &format!("/p/{slug}/oauth2/token")).form(&GRANT).send().await;
            assert_eq!(answer.refusal(), refused(404, "not_found"), "{slug}");
        }
    }

    async fn the_pages_at_a_domain_lie_at_its_root(app: TestApp) {
        app.provider("acme", json!({})).await;
        let name = fresh_name();
        proven(&app, "acme", &name).await;
        let client = app.web_client_of("acme", json!({})).await;
        let path = crate::support::browser::authorize_path("", &client, &[("scope", "openid")]);
        let asked = at(&app, &name, "GET", &path).send().await;
        assert!(asked.status == 303 && asked.header("location").starts_with("/login?"), "{}", asked.header("location"));
        let cookie = asked.header("set-cookie").split(';').next().unwrap_or_default().to_owned();
        let page = at(&app, &name, "GET", asked.header("location")).header("cookie", &cookie).send().await.text();
        assert!(page.contains("href=\"/assets/style.css") && page.contains("action=\"/login\""), "{page}");
        assert!(!page.contains("/p/acme"), "{page}");
        let account = at(&app, &name, "GET", "/account").send().await;
        assert!(!account.text().contains("/p/acme") && !account.header("location").contains("/p/acme"), "{}", account.text());
        let below = app.get(&path.replacen("/oauth2", "/p/acme/oauth2", 1)).send().await;
        assert!(below.header("location").starts_with("/p/acme/login?"), "{}", below.header("location"));
    }

    async fn a_surface_serves_at_the_domain_of_a_provider_that_has_turned_it_on(app: TestApp) {
        app.provider("acme", json!({})).await;
        let name = fresh_name();
        proven(&app, "acme", &name).await;
        let client = app.client_of("acme", json!({})).await;
        let ask = async || at(&app, &name, "POST", "/api/v2/token").form(&GRANT).basic(&client.id, &client.secret).send().await;
        assert_eq!(ask().await.status, 404, "off");
        let on = app.admin("PATCH", "/providers/acme").json(&json!({"surfaces": ["runai"]})).send().await;
        assert_eq!(on.status, 200, "{}", on.text());
        assert_eq!(ask().await.status, 200, "on");
        let elsewhere = at(&app, "unknown.example", "POST", "/api/v2/token").form(&GRANT).basic(&client.id, &client.secret).send().await;
        assert_eq!(elsewhere.refusal(), refused(401, "invalid_client"), "the public URL serves default");
    }

    async fn every_surface_serves_at_a_domain_and_an_api_key_of_another_provider_does_not(app: TestApp) {
        app.provider("acme", json!({"surfaces": ["deepgram", "vocalstack", "endorsed"]})).await;
        app.provider("bare", json!({})).await;
        let (on, off) = (fresh_name(), fresh_name());
        proven(&app, "acme", &on).await;
        proven(&app, "bare", &off).await;
        let key = async |provider: &str| app.api_key(json!({"role": "member", "provider": provider})).await;
        let (own, foreign, unbound) = (key("acme").await, key("bare").await, app.first.owner_key.clone());
        let client = app.client_of("acme", json!({"scope": "all:read all:write", "token_endpoint_auth_method": "client_secret_post"})).await;
        let grant = async |host: &str, key: &str| at(&app, host, "POST", "/v1/auth/grant").header("authorization", &format!("Token {key}")).send().await;
        let generate = async |host: &str, key: &str| at(&app, host, "GET", "/security/generate-token").header("authorization", key).send().await;
        let form = [("client_id", client.id.as_str()), ("client_secret", client.secret.as_str()), ("grant_type", "client_credentials")];
        let endorsed = async |host: &str| at(&app, host, "POST", "/api/v1/auth/tokens").form(&form).send().await;
        for key in [&own, &unbound] {
            assert_eq!((grant(&on, key).await.status, generate(&on, key).await.status), (200, 200));
        }
        let token = text(&grant(&on, &unbound).await.json(), "access_token").to_owned();
        assert_eq!(decoded(&token).1["iss"], json!(format!("{ISSUER}/p/acme")), "the domain's provider is meant, not the surface's");
        assert_eq!(endorsed(&on).await.status, 200);
        // At the root a key's own provider decides; at a domain the domain does.
        for answer in [grant(&on, &foreign).await, generate(&on, &foreign).await] {
            assert!([401, 403].contains(&answer.status), "{}: {}", answer.status, answer.text());
        }
        for answer in [grant(&off, &foreign).await, generate(&off, &foreign).await, endorsed(&off).await] {
            assert!([400, 404].contains(&answer.status), "off: {}: {}", answer.status, answer.text());
        }
    }

    async fn the_domain_of_a_disabled_provider_serves_nobody_else(app: TestApp) {
        app.provider("acme", json!({})).await;
        let name = fresh_name();
        proven(&app, "acme", &name).await;
        let switch = async |on: bool| app.admin("PATCH", "/providers/acme").json(&json!({"enabled": on})).send().await.status;
        assert_eq!((switch(false).await, issuer_at(&app, &name).await), (200, Err(404)));
        assert_eq!((switch(true).await, issuer_at(&app, &name).await), (200, Ok(format!("https://{name}"))));
    }

    async fn a_deleted_domain_serves_nothing_from_then_on(app: TestApp) {
        app.provider("acme", json!({})).await;
        let names = [fresh_name(), fresh_name()];
        let first = proven(&app, "acme", &names[0]).await;
        proven(&app, "acme", &names[1]).await;
        deleted(&app, "acme", &first).await;
        assert_eq!(issuer_at(&app, &names[0]).await.as_deref(), Ok(ISSUER), "at once");
        assert_eq!(issuer_at(&app, &names[1]).await, Ok(format!("https://{}", names[1])), "the other stays");
        // With the provider go its domains, and they are free.
        assert_eq!(app.admin("DELETE", "/providers/acme").send().await.status, 204);
        assert_eq!(issuer_at(&app, &names[1]).await.as_deref(), Ok(ISSUER));
        let heir = added(&app, "default", &names[1]).await;
        publish(&heir);
        assert_eq!(verify(&app, "default", &heir).await.json()["verified"], json!(true));
    }
}

#[test]
fn a_surface_that_is_bound_to_a_host_serves_there_and_at_domains() {
    use crate::support::databases::{Kind, block_on};
    block_on(async {
        let setup = Setup { runai_host: "runai.example", ..Setup::default() };
        let app = TestApp::start_as(Kind::Sqlite, setup).await;
        app.provider("acme", json!({"surfaces": ["runai"]})).await;
        let name = fresh_name();
        proven(&app, "acme", &name).await;
        let (client, own) = (app.client_of("acme", json!({})).await, app.client(json!({})).await);
        let ask = async |host: &str, id: &str, secret: &str| {
            at(&app, host, "POST", "/api/v2/token").form(&GRANT).basic(id, secret).send().await.status
        };
        assert_eq!(ask(&name, &client.id, &client.secret).await, 200);
        assert_eq!(ask("runai.example", &own.id, &own.secret).await, 200);
        assert_eq!(ask("id.example.com", &own.id, &own.secret).await, 404);
        assert_eq!(ask("runai.example", &client.id, &client.secret).await, 401, "there it is default's");
    });
}

#[test]
fn a_public_url_with_a_path_is_served_below_it_at_domains_too() {
    use crate::support::databases::{Kind, block_on};
    block_on(async {
        let setup = Setup { public_url: "https://example.com:8443/auth", ..Setup::default() };
        let app = TestApp::start_as(Kind::Sqlite, setup).await;
        let admin =
            |method: &str, path: &str| app.call(method, &format!("/auth/admin/v1{path}")).bearer(&app.first.owner_key);
        let name = fresh_name();
        let made = admin("POST", "/providers/default/domains").json(&json!({"domain": name})).send().await.json();
        publish(&made);
        let at_domain = format!("/providers/default/domains/{}/verify", text(&made, "id"));
        let proof = admin("POST", &at_domain).send().await.json();
        let own = format!("https://{name}:8443/auth");
        assert_eq!(proof["domain"]["issuer"], json!(own));
        for path in ["/auth/.well-known/openid-configuration", "/.well-known/oauth-authorization-server/auth"] {
            let metadata = at(&app, &name, "GET", path).send().await.json();
            assert_eq!(text(&metadata, "issuer"), own, "{path}");
        }
        let outside = at(&app, &name, "GET", "/.well-known/openid-configuration").send().await;
        assert_eq!(outside.status, 404);
    });
}
