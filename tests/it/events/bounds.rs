//! What one owner may take of webhooks and exports, and what is left to the others.

use std::sync::mpsc;
use std::time::Duration;

use actix_web::body::to_bytes;
use actix_web::dev::ServiceResponse;
use actix_web::rt::spawn;
use actix_web::rt::task::JoinHandle;
use actix_web::test::TestRequest;
use futures_util::future::join_all;
use grantd::domain::event::Event;
use grantd::domain::{Fault, Wall};
use grantd::store::{Conn, events, webhook_deliveries};
use serde_json::{Value, json};

use super::webhooks::{HOOKS, hook, path_of, tell};
use super::{admin_of, items};
use crate::support::app::{Setup, TestApp, on_both_apps};
use crate::support::databases::soon;
use crate::support::origin::{Origin, Reply};

/// Ids of the webhooks that something is due for, in the order of their turns.
async fn due(app: &TestApp, of_owner: u32) -> Vec<String> {
    let now = app.now();
    let due = app.job(move |tx| webhook_deliveries::due_webhooks(tx, now, 100, of_owner)).await;
    due.into_iter().map(|due| due.webhook.to_string()).collect()
}

/// Whether a receiver has been asked so many times, some ticks later.
async fn is_told(app: &TestApp, receiver: &Origin, times: usize) -> bool {
    for _ in 0..600 {
        app.tick().await;
        if receiver.asked().len() == times {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    false
}

/// Readers that hold what they read with, each until its sender says so.
type Held = Vec<(mpsc::Sender<()>, JoinHandle<Result<(), Fault>>)>;

/// Whose connections are held.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lane {
    Requests,
    Poller,
    Long,
}

/// Takes every connection of a lane.
async fn hold(app: &TestApp, lane: Lane) -> Held {
    let mut held = Vec::new();
    for _ in 0..if lane == Lane::Requests { 4 } else { 1 } {
        let (release, released) = mpsc::channel::<()>();
        let (started, has_started) = tokio::sync::oneshot::channel();
        let db = app.engine.db().clone();
        let wait = move |_: &mut Conn| {
            started.send(()).unwrap();
            released.recv().unwrap();
            Ok(())
        };
        let read = spawn(async move {
            match lane {
                Lane::Requests => db.read(soon(), wait).await,
                Lane::Poller => db.poll(soon(), wait).await,
                Lane::Long => db.read_long(soon(), wait).await,
            }
        });
        has_started.await.unwrap();
        held.push((release, read));
    }
    held
}

async fn release(held: Held) {
    for (release, read) in held {
        release.send(()).unwrap();
        read.await.unwrap().unwrap();
    }
}

/// All items of a list, read in pages.
async fn paged(app: &TestApp, query: &str, limit: usize) -> Vec<Value> {
    let (mut cursor, mut all) = (String::new(), Vec::new());
    loop {
        let page = app.admin("GET", &format!("/events?{query}&limit={limit}{cursor}")).send().await.json();
        all.extend(page["items"].as_array().unwrap().clone());
        assert!(all.len() < 1000, "what was there comes again");
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

/// More events than a page of an export has.
async fn many_events(app: &TestApp) {
    let (random, now) = (grantd::crypto::Random::system(), app.wall.now());
    let event = |number: i32| Event {
        id: random.uuid_v7(now),
        at: now.millis(),
        provider: None,
        actor: "cli".to_owned(),
        action: "client.created",
        target: format!("t{number}"),
        request_id: "many".to_owned(),
        details: "{}".to_owned(),
    };
    let made: Vec<Event> = (0..1203).map(event).collect();
    app.job(move |tx| made.iter().try_for_each(|event| events::insert(tx, event))).await;
}

/// An export that has begun and is not read yet.
async fn export(app: &TestApp, key: &str) -> ServiceResponse {
    let request = TestRequest::with_uri("/admin/v1/events/export").peer_addr("203.0.113.9:4711".parse().unwrap());
    app.answer(request.insert_header(("authorization", format!("Bearer {key}")))).await
}

/// The lines that came; `None`: it broke off.
async fn lines(export: ServiceResponse) -> Option<usize> {
    let body = to_bytes(export.into_body()).await.ok()?;
    Some(body.iter().filter(|byte| **byte == b'\n').count())
}

on_both_apps! {
    async fn slow_webhooks_take_few_lanes_and_none_from_other_owners(app: TestApp) {
        let slow = Origin::always(Reply::status(200).after(Duration::from_millis(1500)));
        let quick = Origin::always(Reply::status(200));
        for provider in ["acme", "globex"] {
            app.provider(provider, json!({})).await;
            for _ in 0..20 {
                hook(&app, &slow, json!({"provider": provider})).await;
            }
            for _ in 0..9 {
                app.client_of(provider, json!({})).await;
            }
        }
        hook(&app, &quick, json!({"provider": "default"})).await;
        app.client(json!({})).await;
        for _ in 0..600 {
            app.tick().await;
            if !quick.asked().is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let (told, slow) = (quick.asked().len(), slow.asked().len());
        assert!(told == 1 && slow <= 2 * 4 * 8, "{told} told, {slow} slow calls before it");
    }

    async fn a_slow_success_gives_its_lane_back_and_waits_behind_the_others(app: TestApp) {
        let slow = Origin::always(Reply::status(200).after(Duration::from_millis(1100)));
        let older = hook(&app, &slow, json!({})).await;
        for _ in 0..12 {
            app.client(json!({})).await;
        }
        let newer = hook(&app, &slow, json!({})).await;
        app.pass(1);
        app.client(json!({})).await;
        let ids = [&older, &newer].map(|hook| hook["id"].as_str().unwrap().to_owned());
        assert_eq!(due(&app, 9).await, ids, "who has waited for longer");
        assert_eq!(due(&app, 1).await, ids[..1], "so many of one owner");
        assert_eq!(tell(&app, &older).await, 8, "then others have their turn");
        assert_eq!(due(&app, 9).await, [ids[1].clone(), ids[0].clone()]);
        assert_eq!(due(&app, 1).await, ids[1..], "of one owner too");
    }

    async fn whose_delivery_has_waited_for_the_longest_comes_first(app: TestApp) {
        let receiver = Origin::always(Reply::status(200));
        let older = hook(&app, &receiver, json!({"events": ["user.created"]})).await;
        let newer = hook(&app, &receiver, json!({})).await;
        app.client(json!({})).await;
        app.pass(1);
        app.person("ada").await;
        let ids = [&newer, &older].map(|hook| hook["id"].as_str().unwrap().to_owned());
        assert_eq!(due(&app, 9).await, ids, "not who was made first");
        assert_eq!(due(&app, 1).await, ids[..1]);
        let now = app.now();
        let one = app.job(move |tx| webhook_deliveries::due_webhooks(tx, now, 1, 9)).await;
        assert_eq!(one.len(), 1, "no more than are asked for");
        let off = app.admin("PATCH", &path_of(&newer)).json(&json!({"enabled": false})).send().await;
        assert_eq!(off.status, 200, "{}", off.text());
        assert_eq!(due(&app, 9).await, ids[1..], "one that is switched off has no turn");
    }

    async fn a_webhook_that_was_told_is_told_again(app: TestApp) {
        let receiver = Origin::always(Reply::status(200));
        hook(&app, &receiver, json!({})).await;
        for number in 1..=3 {
            // Of a later second than the turn before: that one does not take it.
            app.pass(1);
            app.client(json!({})).await;
            assert!(is_told(&app, &receiver, number).await, "{number}");
        }
    }

    async fn more_slow_webhooks_than_lanes_leave_some_to_the_others(app: TestApp) {
        let environment = &[("GRANTD_UPSTREAM__TIMEOUT_MS", "20000")];
        let app = app.started_again_as(Setup { environment, ..Setup::default() }).await;
        let slow = Origin::always(Reply::status(200).after(Duration::from_secs(30)));
        let quick = Origin::always(Reply::status(200));
        for number in 0..4 {
            let slug = format!("slow-{number}");
            app.provider(&slug, json!({})).await;
            for _ in 0..20 {
                hook(&app, &slow, json!({"provider": slug})).await;
            }
            app.client_of(&slug, json!({})).await;
        }
        for _ in 0..20 {
            app.tick().await;
        }
        hook(&app, &quick, json!({})).await;
        app.client(json!({})).await;
        assert!(is_told(&app, &quick, 1).await, "{} slow calls", slow.asked().len());
        assert!(slow.asked().len() <= 4 * 4, "four of each owner, once");
    }

    async fn a_webhook_that_is_switched_off_counts_as_one(app: TestApp) {
        let receiver = Origin::always(Reply::status(200));
        app.provider("acme", json!({})).await;
        for provider in [json!("acme"), json!(null)] {
            for _ in 0..20 {
                hook(&app, &receiver, json!({"provider": provider, "enabled": false})).await;
            }
            let body = json!({"url": receiver.base, "events": ["*"], "provider": provider});
            for query in ["", "?dry_run=true"] {
                let refused = app.admin("POST", &format!("{HOOKS}{query}")).json(&body).send().await;
                assert_eq!(refused.status, 422, "{provider}{query}: {}", refused.text());
            }
        }
    }

    async fn a_provider_has_twenty_webhooks_and_so_has_the_installation(app: TestApp) {
        let (receiver, node) = (Origin::always(Reply::status(200)), app.second_node().await);
        app.provider("acme", json!({})).await;
        for provider in [json!("acme"), json!(null)] {
            let mut made = Vec::new();
            for _ in 0..18 {
                made.push(hook(&app, &receiver, json!({"provider": provider})).await);
            }
            let body = json!({"url": receiver.base, "events": ["*"], "provider": provider});
            let nodes = [&app, &node, &app, &node, &app, &node, &app, &node];
            let answers = join_all(nodes.map(|node| node.admin("POST", HOOKS).json(&body).send())).await;
            let (made_now, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 201);
            assert_eq!((made_now.len(), refused.len()), (2, 6), "{provider}");
            for answer in refused {
                assert_eq!(answer.status, 422);
                assert!(answer.json()["errors"][0]["detail"].as_str().unwrap().contains("20 webhooks"), "{}", answer.text());
            }
            let all = items(&app, &format!("{HOOKS}?limit=500")).await;
            assert_eq!(all.iter().filter(|hook| hook["provider"] == provider).count(), 20);
            assert_eq!(app.admin("DELETE", &path_of(&made[0])).send().await.status, 204);
            assert_eq!(node.admin("POST", HOOKS).json(&body).send().await.status, 201, "there is room again");
        }
    }

    async fn the_webhooks_of_a_provider_end_with_it(app: TestApp) {
        let (own, of_all, node) = (Origin::always(Reply::status(200)), Origin::always(Reply::status(200)), app.second_node().await);
        app.provider("acme", json!({})).await;
        let ended = hook(&app, &own, json!({"provider": "acme", "events": ["*"]})).await;
        let stays = hook(&app, &of_all, json!({"events": ["provider.deleted"]})).await;
        app.client_of("acme", json!({})).await;
        assert_eq!(due(&app, 9).await.len(), 1, "it waits");
        assert_eq!(node.admin("DELETE", "/providers/acme?cascade=true").send().await.status, 204);
        for node in [&app, &node] {
            assert_eq!(node.admin("GET", &path_of(&ended)).send().await.status, 404);
            assert_eq!(node.admin("POST", &format!("{}/test", path_of(&ended))).send().await.status, 404);
            let listed = items(node, HOOKS).await;
            assert_eq!(listed.iter().map(|hook| &hook["id"]).collect::<Vec<_>>(), [&stays["id"]]);
            assert_eq!(due(node, 9).await, [stays["id"].as_str().unwrap()]);
            assert_eq!(tell(node, &ended).await, 0);
        }
        assert_eq!((tell(&app, &stays).await, own.asked().len()), (1, 0));
        assert!(of_all.asked()[0].body.contains("provider.deleted"));
    }

    async fn few_exports_go_on_at_once(app: TestApp) {
        let mut keys = Vec::new();
        for provider in ["acme", "globex"] {
            app.provider(provider, json!({})).await;
            keys.push(admin_of(&app, provider).await);
        }
        let (another, owner) = (admin_of(&app, "acme").await, app.first.owner_key.clone());
        let (acme, globex) = (&keys[0], &keys[1]);
        let first = export(&app, acme).await;
        let second = export(&app, &another).await;
        assert_eq!((first.status().as_u16(), second.status().as_u16()), (200, 200));
        let third = app.get("/admin/v1/events/export").bearer(acme).send().await;
        assert_eq!(third.status, 429, "of keys that are bound to one provider");
        assert!(third.header("retry-after").parse::<u32>().unwrap() > 0);
        let others = [export(&app, &owner).await, export(&app, &owner).await];
        assert!(others.iter().all(|export| export.status() == 200));
        assert_eq!(export(&app, globex).await.status(), 429, "of a node");
        drop(first);
        assert_eq!(app.get("/admin/v1/events/export").bearer(globex).send().await.status, 200);
        assert_eq!(app.get("/admin/v1/events/export").bearer(acme).send().await.status, 200, "one that is over does not count");
        let unbound = app.api_key(json!({"role": "admin", "name": "another"})).await;
        assert_eq!(app.get("/admin/v1/events/export").bearer(&unbound).send().await.status, 200, "two of a key, not of all that are bound to none");
    }

    async fn an_export_breaks_off_when_its_key_may_not_read_it_any_more(app: TestApp) {
        many_events(&app).await;
        let node = app.second_node().await;
        let made = |name: &str| json!({"role": "admin", "name": name});
        for deletes in [false, true] {
            let key = app.admin("POST", "/api-keys").json(&made("reader")).send().await.json();
            let begun = export(&app, key["key"].as_str().unwrap()).await;
            assert_eq!(begun.status(), 200);
            if deletes {
                let path = format!("/api-keys/{}", key["id"].as_str().unwrap());
                assert_eq!(node.admin("DELETE", &path).send().await.status, 204);
                app.poll().await;
            }
            assert_eq!(lines(begun).await.map(|lines| lines > 1203), (!deletes).then_some(true));
        }
    }

    async fn an_export_takes_no_connection_from_requests_nor_waits_for_one(app: TestApp) {
        many_events(&app).await;
        let begun = export(&app, &app.first.owner_key.clone()).await;
        let held = [hold(&app, Lane::Requests).await, hold(&app, Lane::Poller).await];
        assert!(lines(begun).await.is_some_and(|lines| lines > 1203), "every connection of requests is in use");
        release(held.into_iter().flatten().collect()).await;
    }

    async fn an_export_breaks_off_when_its_key_is_weaker_bound_elsewhere_or_over(app: TestApp) {
        many_events(&app).await;
        app.provider("acme", json!({})).await;
        let ends = time::OffsetDateTime::from_unix_timestamp(app.now() + 60).unwrap();
        let ends = ends.format(&time::format_description::well_known::Rfc3339).unwrap();
        for what in ["none", "weaker", "bound elsewhere", "over"] {
            let fields = json!({"role": "admin", "name": "reader", "expires_at": ends});
            let key = app.admin("POST", "/api-keys").json(&fields).send().await.json();
            let begun = export(&app, key["key"].as_str().unwrap()).await;
            assert_eq!(begun.status(), 200, "{what}");
            let id = key["id"].as_str().unwrap().to_owned();
            let change = async |fields: Value| {
                let changed = app.admin("PATCH", &format!("/api-keys/{id}")).json(&fields).send().await;
                assert_eq!(changed.status, 200, "{}", changed.text());
            };
            match what {
                "weaker" => change(json!({"role": "member"})).await,
                "bound elsewhere" => {
                    app.bind(&id, "acme").await;
                    change(json!({"name": "another"})).await;
                }
                "over" => app.pass(60),
                _ => {}
            }
            assert_eq!(lines(begun).await.map(|lines| lines > 1203), (what == "none").then_some(true), "{what}");
        }
    }

    async fn what_may_take_long_waits_for_no_request_and_what_does_not_for_no_export(app: TestApp) {
        let (owner, bound) = (app.first.owner_key.clone(), admin_of(&app, "default").await);
        let status = async |key: &str, query: &str| app.get(&format!("/admin/v1/events{query}")).bearer(key).send().await.status;
        for key in [&owner, &bound] {
            assert_eq!(status(key, "").await, 200, "the key is known from now on");
        }
        let held = hold(&app, Lane::Requests).await;
        for (key, query) in [(&owner, "?actor=a&target=b"), (&owner, "?actor=a&request_id=b"), (&owner, "?action=client.*&target=b"), (&bound, "?target=b")] {
            assert_eq!(status(key, query).await, 200, "{query}");
        }
        release(held).await;
        let held = hold(&app, Lane::Long).await;
        for (key, query) in [(&owner, ""), (&owner, "?target=b"), (&owner, "?action=client.*"), (&owner, "?provider=default&action=client.created"), (&bound, "")] {
            assert_eq!(status(key, query).await, 200, "{query}");
        }
        release(held).await;
    }

    async fn a_family_that_nobody_has_is_answered_without_a_statement(app: TestApp) {
        let key = admin_of(&app, "default").await;
        let reads = async |query: &str| {
            let path = format!("/admin/v1/events?{query}");
            app.get(&path).bearer(&key).send().await;
            let before = app.engine.db().statements();
            assert_eq!(app.get(&path).bearer(&key).send().await.status, 200);
            app.engine.db().statements().since(before).reads
        };
        assert_eq!((reads("action=nope.*").await, reads("action=client.*").await), (0, 1));
    }

    async fn whatever_is_looked_for_is_found_whole_in_pages_of_any_size(app: TestApp) {
        app.provider("acme", json!({})).await;
        for provider in ["default", "acme", "default"] {
            let client = app.client_of(provider, json!({})).await;
            let path = format!("/providers/{provider}/clients/{}", client.id);
            for (method, rest) in [("PATCH", ""), ("POST", "/secrets/rotate"), ("DELETE", "/tokens"), ("DELETE", "")] {
                app.pass(1);
                let call = app.admin(method, &format!("{path}{rest}"));
                let call = if method == "PATCH" { call.json(&json!({"scope": "a"})) } else { call };
                let done = call.send().await;
                assert!(done.status < 300, "{method} {rest}: {}", done.text());
            }
        }
        let all = items(&app, "/events?limit=500").await;
        let actor = all[0]["actor"].as_str().unwrap();
        let is = |event: &Value, name: &str, value: &str| event[name].as_str() == Some(value);
        let of = |event: &Value, family: &str| event["action"].as_str().unwrap().starts_with(family);
        let of_clients = |event: &Value| of(event, "client.");
        for (query, fits) in [
            ("action=*".to_owned(), &(|_: &Value| true) as &dyn Fn(&Value) -> bool),
            ("action=client.created".to_owned(), &|event| is(event, "action", "client.created")),
            ("action=client.*".to_owned(), &of_clients),
            ("action=client_secret.*".to_owned(), &|event| of(event, "client_secret.")),
            ("action=client.*&provider=default".to_owned(), &|event| of_clients(event) && is(event, "provider", "default")),
            (format!("action=client.*&actor={actor}"), &|event| of_clients(event) && is(event, "actor", actor)),
        ] {
            let expected: Vec<Value> = all.iter().filter(|event| fits(event)).cloned().collect();
            assert!(expected.len() >= 3, "{query}");
            for limit in [1, 2, 3, expected.len(), 500] {
                assert_eq!(paged(&app, &query, limit).await, expected, "{query} by {limit}");
            }
        }
    }

    async fn of_a_family_every_action_is_found_newest_first_and_page_by_page(app: TestApp) {
        for _ in 0..3 {
            let client = app.client(json!({})).await;
            app.pass(1);
            app.change(&client, json!({"scope": "a"})).await;
            app.pass(1);
        }
        for provider in ["", "&provider=default"] {
            let first = app.admin("GET", &format!("/events?action=client.*&limit=4{provider}")).send().await.json();
            let cursor = first["next_cursor"].as_str().unwrap();
            let rest = items(&app, &format!("/events?action=client.*&limit=4{provider}&cursor={cursor}")).await;
            let all: Vec<Value> = first["items"].as_array().unwrap().iter().chain(&rest).cloned().collect();
            let told: Vec<&str> = all.iter().take(6).map(|event| event["action"].as_str().unwrap()).collect();
            assert_eq!(told, ["client.updated", "client.created"].repeat(3), "{provider}");
        }
    }
}
