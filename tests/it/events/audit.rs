//! Audit events: found by what they are about, exported whole, kept for their time.

use grantd::domain::event::{ActionPattern, Event, EventFilter};
use grantd::domain::page::PageRequest;
use grantd::domain::{Decision, Wall};
use grantd::store::events;
use serde_json::{Value, json};

use super::{actions, admin_of, items};
use crate::support::app::{Setup, TestApp, on_both_apps};
use crate::support::browser::{Browser, authorize_path};
use crate::support::databases::{Kind, block_on, soon};

const CLIENTS: &str = "/providers/default/clients";

/// The id of the newest event of an action.
async fn newest(app: &TestApp, action: &str) -> Value {
    items(app, &format!("/events?action={action}&limit=1")).await.pop().unwrap_or_else(|| panic!("no {action}"))
}

on_both_apps! {
    async fn an_event_is_found_by_all_that_it_is_about(app: TestApp) {
        let client = app.client(json!({})).await;
        app.pass(10);
        let path = format!("{CLIENTS}/{}", client.id);
        let changed = app.admin("PATCH", &path).json(&json!({"scope": "a"})).send().await;
        let request = changed.header("x-request-id").to_owned();
        app.pass(10);
        app.admin("DELETE", &path).send().await;
        let of_client = format!("target={}", client.id);
        let all = ["client.deleted", "client.updated", "client.created"];
        assert_eq!(actions(&app, &of_client).await, all);
        assert_eq!(actions(&app, &format!("{of_client}&action=client.*")).await, all);
        assert_eq!(actions(&app, &format!("{of_client}&action=client.updated")).await, ["client.updated"]);
        assert_eq!(actions(&app, &format!("{of_client}&action=api_key.*")).await, [""; 0]);
        assert_eq!(actions(&app, &format!("request_id={request}")).await, ["client.updated"]);
        assert_eq!(actions(&app, &format!("{of_client}&provider=default")).await.len(), 3);
        let time = |seconds: i64| {
            let at = time::OffsetDateTime::from_unix_timestamp(app.now() + seconds).unwrap();
            at.format(&time::format_description::well_known::Rfc3339).unwrap()
        };
        for (query, expected) in [
            (format!("since={}", time(0)), &all[..1]),
            (format!("since={}", time(-10)), &all[..2]),
            (format!("until={}", time(0)), &all[1..]),
            (format!("since={}&until={}", time(-10), time(0)), &all[1..2]),
        ] {
            assert_eq!(actions(&app, &format!("{of_client}&{query}")).await, expected, "{query}");
        }
        let event = newest(&app, "client.updated").await;
        assert_eq!(event["details"], json!({"fields": ["scope"]}));
        assert_eq!((&event["provider"], &event["target"]), (&json!("default"), &json!(client.id)));
        assert_eq!(event["request_id"], json!(request));
        assert!(event["at"].as_str().unwrap().ends_with(".000Z"), "{event}");
        let actor = event["actor"].as_str().unwrap();
        assert_eq!(actions(&app, &format!("{of_client}&actor={actor}")).await, all);
        assert_eq!(actions(&app, &format!("{of_client}&actor=env")).await, [""; 0]);
        let read = app.admin("GET", &format!("/events/{}", event["id"].as_str().unwrap())).send().await;
        assert_eq!((read.status, read.json()), (200, event));
        assert_eq!(app.admin("GET", "/events/nonsense").send().await.status, 404);
    }

    async fn pages_go_on_where_the_last_one_ended(app: TestApp) {
        for _ in 0..7 {
            app.client(json!({})).await;
        }
        let whole = items(&app, "/events?limit=500").await;
        let (mut cursor, mut paged) = (String::new(), Vec::new());
        loop {
            let page = app.admin("GET", &format!("/events?limit=3{cursor}")).send().await.json();
            paged.extend(page["items"].as_array().unwrap().clone());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(paged, whole);
        let ids: Vec<&str> = whole.iter().map(|event| event["id"].as_str().unwrap()).collect();
        assert!(ids.is_sorted_by(|a, b| a > b), "{ids:?}");
    }

    async fn a_filter_that_means_nothing_is_refused_with_a_sentence(app: TestApp) {
        for query in ["action=clients", "action=*.x", "since=yesterday", "until=5", "actor=", "nonsense=1", "limit=0", "target=%00"] {
            for path in ["/events", "/events/export"] {
                let answer = app.admin("GET", &format!("{path}?{query}")).send().await;
                assert_eq!(answer.status, 400, "{path} {query}");
                assert!(answer.json()["detail"].is_string());
            }
        }
    }

    async fn a_bound_key_sees_what_happened_at_its_provider(app: TestApp) {
        app.provider("acme", json!({})).await;
        let key = admin_of(&app, "acme").await;
        app.client(json!({})).await;
        app.pass(1);
        app.client_of("acme", json!({})).await;
        app.api_key(json!({"role": "admin", "name": "unbound"})).await;
        let seen = app.get("/admin/v1/events?limit=500").bearer(&key).send().await.json();
        let seen = seen["items"].as_array().unwrap().clone();
        assert!(seen.iter().all(|event| event["provider"] == json!("acme")), "{seen:?}");
        assert!(seen.iter().any(|event| event["action"] == json!("client.created")));
        let foreign = newest(&app, "client.created").await;
        assert_eq!(foreign["provider"], json!("acme"));
        let others = items(&app, "/events?action=client.created&provider=default&limit=1").await.remove(0);
        let installation = items(&app, "/events?action=api_key.created").await;
        let installation = installation.iter().find(|event| event["provider"].is_null()).expect("no event of the installation");
        for event in [&others, installation] {
            let path = format!("/admin/v1/events/{}", event["id"].as_str().unwrap());
            assert_eq!(app.get(&path).bearer(&key).send().await.status, 404);
        }
        assert_eq!(app.get("/admin/v1/events?provider=default").bearer(&key).send().await.status, 404);
        let export = app.get("/admin/v1/events/export").bearer(&key).send().await;
        assert!(export.status == 200 && !export.text().contains("\"provider\":null"), "{}", export.text());
        for role in ["member", "default"] {
            let low = app.api_key(json!({"role": role, "name": role})).await;
            for path in ["/events", "/events/export", "/webhooks", "/explain/x"] {
                assert_eq!(app.get(&format!("/admin/v1{path}")).bearer(&low).send().await.status, 403, "{role} {path}");
            }
        }
    }

    async fn an_export_is_all_of_it_one_event_a_line(app: TestApp) {
        const MANY: usize = 1203;
        let random = grantd::crypto::Random::system();
        let now = app.wall.now();
        let made: Vec<Event> = (0..MANY).map(|number| Event {
            id: random.uuid_v7(now),
            at: now.millis(),
            provider: None,
            actor: "cli".to_owned(),
            action: "client.created",
            target: format!("t{number}"),
            request_id: "many".to_owned(),
            details: "{}".to_owned(),
        }).collect();
        app.engine.db().write(soon(), move |tx| {
            made.iter().try_for_each(|event| events::insert(tx, event))?;
            Ok(Decision::Allow(()))
        }).await.unwrap();
        let export = app.admin("GET", "/events/export?request_id=many").send().await;
        assert_eq!((export.status, export.header("content-type")), (200, "application/x-ndjson"));
        assert!(!export.header("x-request-id").is_empty());
        let lines: Vec<Value> = export.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let ids: Vec<&str> = lines.iter().map(|event| event["id"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), MANY);
        assert!(ids.is_sorted_by(|a, b| a > b), "the newest first, each once");
        assert_eq!(app.admin("GET", "/events/export?request_id=none").send().await.text(), "");
    }

    async fn an_event_is_kept_for_its_time_and_no_longer(app: TestApp) {
        app.client(json!({})).await;
        let before = items(&app, "/events?limit=500").await.len();
        app.pass(400 * 86_400 - 1);
        app.engine.clean_up(app.wall.now()).await.unwrap();
        assert_eq!(items(&app, "/events?limit=500").await.len(), before);
        app.client(json!({})).await;
        app.pass(2);
        app.engine.clean_up(app.wall.now()).await.unwrap();
        assert_eq!(actions(&app, "limit=500").await, ["client.created"]);
    }

    async fn what_a_person_does_and_suffers_is_told(app: TestApp) {
        let ada = app.person("ada").await;
        let id = ada["id"].as_str().unwrap();
        let client = app.web_client(json!({"require_consent": true, "grant_types": ["authorization_code", "refresh_token", "password"]})).await;
        let browser = Browser::new(&app);
        let login = browser.open(&authorize_path("", &client, &[])).await;
        browser.log_in(&login, "ada", "a wrong password").await;
        app.tick().await;
        let failed = newest(&app, "user.login_failed").await;
        assert_eq!((&failed["target"], &failed["details"]["because"]), (&json!(id), &json!("wrong password")));
        assert!(!failed.to_string().contains("a wrong password of"));
        let asked = browser.log_in(&login, "ada", crate::support::browser::PASSWORD).await;
        let arrived = browser.submit(&asked, "consent-form", &[("decision", "allow")]).await;
        let code = arrived.code();
        let given = newest(&app, "consent.given").await;
        assert_eq!((&given["actor"], &given["target"]), (&json!(id), &json!(client.id)));
        let grant = newest(&app, "grant.created").await;
        assert_eq!(grant["details"], json!({"client": client.id, "by": "authorization_code"}));
        assert_eq!(grant["actor"], json!(id));
        app.redeem("", &client, &code).await;
        app.redeem("", &client, &code).await;
        assert_eq!(newest(&app, "code.replayed").await["target"], grant["target"]);
        app.pass(1);
        let fields = [("grant_type", "password"), ("username", "ada"), ("password", crate::support::browser::PASSWORD), ("scope", "openid")];
        assert_eq!(app.as_client("", &client, &fields).await.status, 200);
        app.tick().await;
        assert_eq!(newest(&app, "grant.created").await["details"]["by"], json!("password"));
    }

    async fn the_tokens_of_machines_are_counted_and_told_only_where_it_is_switched_on(app: TestApp) {
        let setup = Setup { environment: &[("GRANTD_EVENTS__MACHINE_TOKENS", "true")], ..Setup::default() };
        let telling = app.started_again_as(setup).await;
        let client = app.client(json!({})).await;
        for app in [&app, &telling] {
            for _ in 0..3 {
                app.token(&client).await;
            }
            app.post("/oauth2/mint").bearer(&app.first.owner_key).json(&json!({})).send().await;
            app.tick().await;
        }
        let metrics = app.get("/metrics").bearer(&app.first.owner_key).send().await.text();
        assert!(metrics.contains("grantd_machine_tokens_total{grant=\"client_credentials\"} 3\n"), "{metrics}");
        assert_eq!(actions(&app, "action=token.*").await, [""; 0], "the minute is not over");
        app.pass(60);
        app.tick().await;
        assert_eq!(actions(&app, "action=token.*").await, [""; 0], "it is switched off");
        telling.tick().await;
        let mut told = items(&app, "/events?action=token.issued").await;
        told.sort_by_key(|event| event["details"]["grant"].to_string());
        assert_eq!(told.len(), 2, "{told:?}");
        assert_eq!((&told[0]["actor"], &told[0]["details"]["count"]), (&json!(client.id), &json!(3)));
        assert_eq!((&told[1]["details"]["grant"], &told[1]["details"]["count"]), (&json!("mint"), &json!(1)));
        // What is not a minute old is told at the end of the process.
        telling.token(&client).await;
        telling.engine.last_tick(telling.wall.now()).await.unwrap();
        assert_eq!(actions(&app, "action=token.*").await.len(), 3);
    }
}

/// A listing that asks for a rare thing in a large trail stays quick: an index has it, in the order of the
/// answer.
#[test]
fn a_filter_is_answered_by_an_index() {
    use diesel::prelude::*;
    #[derive(QueryableByName)]
    struct Line {
        #[diesel(sql_type = diesel::sql_types::Text)]
        detail: String,
    }
    let text = || Some("x".to_owned());
    let provider = || Some(grantd::domain::ProviderId::from("p"));
    let action = |text: &str| ActionPattern::parse(text);
    let none = EventFilter::default;
    block_on(async {
        let app = TestApp::start(Kind::Sqlite).await;
        for (filter, index) in [
            (EventFilter { provider: provider(), ..none() }, "events_of_provider_newest"),
            (
                EventFilter { provider: provider(), since: Some(1), until: Some(2), ..none() },
                "events_of_provider_newest",
            ),
            (EventFilter { actor: text(), ..none() }, "events_of_actor"),
            (EventFilter { action: action("user.created"), ..none() }, "events_of_action"),
            (EventFilter { action: action("user.*"), ..none() }, "events_of_action"),
            (
                EventFilter { provider: provider(), action: action("user.created"), ..none() },
                "events_of_provider_action",
            ),
            (EventFilter { provider: provider(), action: action("user.*"), ..none() }, "events_of_provider_action"),
            (EventFilter { target: text(), ..none() }, "events_of_target"),
            (
                EventFilter { provider: provider(), target: text(), action: action("user.*"), ..none() },
                "events_of_target",
            ),
            (EventFilter { provider: provider(), target: text(), actor: text(), ..none() }, "events_of_target"),
            (EventFilter { provider: provider(), actor: text(), ..none() }, "events_of_actor"),
            (EventFilter { provider: provider(), request_id: text(), actor: text(), ..none() }, "events_of_request"),
        ] {
            let (sql, _) = events::statement(&filter, &PageRequest::first(50), true).unwrap();
            let sql = format!("/* a test */ EXPLAIN QUERY PLAN {sql}");
            let read = move |conn: &mut grantd::store::Conn| Ok(diesel::sql_query(sql).load::<Line>(conn)?);
            let plan = app.engine.db().read(soon(), read).await.unwrap();
            let of_events: Vec<&str> = plan
                .iter()
                .map(|line| line.detail.as_str())
                .filter(|line| line.contains("events_of_") || line.contains("SCAN events"))
                .collect();
            assert!(
                !of_events.is_empty() && of_events.iter().all(|line| line.contains(index)),
                "{filter:?}: {of_events:?}"
            );
        }
        let nobody = EventFilter { provider: provider(), action: action("nope.*"), ..none() };
        assert_eq!(events::statement(&nobody, &PageRequest::first(50), true), None);
    });
}
