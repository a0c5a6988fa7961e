//! Domains over a change of the public URL: what was given up under one of them stays given up under all.

use grantd::domain::Decision;
use grantd::store::Conn;
use serde_json::{Value, json};

use super::{added, deleted, fresh_name, issuer_at, made_primary, proven, publish, text, texts, verify};
use crate::support::app::{Setup, TestApp, on_both_apps};
use crate::support::databases::soon;

async fn at_port(app: &TestApp, port: u16) -> TestApp {
    let public_url = format!("https://new.example:{port}").leak();
    app.started_again_as(Setup { public_url, ..Setup::default() }).await
}

async fn live(app: &TestApp, name: &str) -> Vec<String> {
    let sql = format!(
        "p.slug || ' ' || i.issuer FROM provider_issuers i JOIN providers p ON p.id = i.provider_id \
         WHERE i.ended_at IS NULL AND i.issuer LIKE '%{name}%' ORDER BY 1"
    );
    texts(app, format!("SELECT {sql}")).await
}

async fn execute(app: &TestApp, sql: String) {
    let sql = format!("/* a test */ {sql}");
    let job = move |tx: &mut grantd::store::Tx<'_>| {
        let conn: &mut Conn = tx;
        diesel::RunQueryDsl::execute(diesel::sql_query(&sql), conn)?;
        Ok(Decision::Allow(()))
    };
    assert!(matches!(app.engine.db().write(soon(), job).await, Ok(Decision::Allow(()))));
}

/// Two providers, and a domain that the first has verified.
async fn begun(app: &TestApp) -> (TestApp, String, Value) {
    let app = at_port(app, 81).await;
    for slug in ["aa", "bb"] {
        app.provider(slug, json!({})).await;
    }
    let name = fresh_name();
    let domain = proven(&app, "aa", &name).await;
    (app, name, domain)
}

on_both_apps! {
    async fn a_domain_that_was_given_up_under_another_public_url_does_not_keep_the_server_from_starting(app: TestApp) {
        let (app, name, domain) = begun(&app).await;
        let app = at_port(&app, 82).await;
        assert_eq!(live(&app, &name).await, [format!("aa https://{name}:82")], "what it stated before is ended");
        deleted(&app, "aa", &domain).await;
        assert!(live(&app, &name).await.is_empty());
        proven(&app, "bb", &name).await;
        let app = at_port(&app, 81).await;
        assert_eq!(live(&app, &name).await, [format!("bb https://{name}:81")]);
        assert_eq!(issuer_at(&app, &format!("{name}:81")).await, Ok(format!("https://{name}:81")));
    }

    async fn a_domain_that_was_given_up_under_another_public_url_is_free_under_the_first(app: TestApp) {
        let (app, name, domain) = begun(&app).await;
        let app = at_port(&app, 82).await;
        deleted(&app, "aa", &domain).await;
        let app = at_port(&app, 81).await;
        let heir = added(&app, "bb", &name).await;
        publish(&heir);
        let answer = verify(&app, "bb", &heir).await;
        assert_eq!((answer.status, &answer.json()["verified"]), (200, &json!(true)), "{}", answer.text());
    }

    async fn a_deleted_domain_ends_every_issuer_that_was_its_own(app: TestApp) {
        let (app, name, domain) = begun(&app).await;
        let app = at_port(&app, 82).await;
        // As a release before this one left it behind.
        execute(&app, format!("UPDATE provider_issuers SET ended_at = NULL WHERE issuer = 'https://{name}:81'")).await;
        let other = proven(&app, "aa", &fresh_name()).await;
        deleted(&app, "aa", &domain).await;
        assert!(live(&app, &name).await.is_empty());
        assert_eq!(live(&app, "https://login.").await, [format!("aa {}", text(&other, "issuer"))], "of that domain only");
    }

    async fn an_issuer_that_was_left_behind_makes_way_at_a_start(app: TestApp) {
        let (app, name, domain) = begun(&app).await;
        let app = at_port(&app, 82).await;
        deleted(&app, "aa", &domain).await;
        let heir = proven(&app, "bb", &name).await;
        made_primary(&app, "bb", &heir, true).await;
        execute(&app, format!("UPDATE provider_issuers SET ended_at = NULL WHERE issuer = 'https://{name}:81'")).await;
        let app = at_port(&app, 81).await;
        assert_eq!(live(&app, &name).await, [format!("bb https://{name}:81")]);
        let shown = app.admin("GET", "/providers/bb").send().await.json();
        assert_eq!(text(&shown, "issuer"), format!("https://{name}:81"), "still the primary one");
    }

    async fn a_public_url_that_is_the_domain_of_another_provider_refuses_the_start(app: TestApp) {
        let (app, name, domain) = begun(&app).await;
        // With the port the domain has, and with another.
        for port in [81, 82] {
            let public_url = format!("https://{name}:{port}");
            let said = app.refused_as(Setup { public_url: public_url.clone().leak(), ..Setup::default() }).await;
            assert!(said.contains(&public_url) && said.contains("delete that provider's domain first"), "{said}");
        }
        deleted(&app, "aa", &domain).await;
        let public_url = format!("https://{name}:82").leak();
        app.started_again_as(Setup { public_url, ..Setup::default() }).await;
    }
}
