//! A name stands for one client, person or API key for ever, in every spelling and at every door.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::app::{TestApp, on_both_apps};
use crate::support::jose::decoded;
use crate::trust::Trust;
use crate::usegrant::{AUDIENCE, Sdk, slug};

const AT: &str = "/providers/default";
const RESERVED: [&str; 4] = ["env", "system", "cli", "grantd"];

async fn made(app: &TestApp, path: &str, body: Value) -> Value {
    let answer = app.admin("POST", path).json(&body).send().await;
    assert_eq!(answer.status, 201, "{path}: {}", answer.text());
    answer.json()
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap().to_owned()
}

/// Makes one and ends it; its id.
async fn ended(app: &TestApp, path: &str, body: Value, id: &str) -> String {
    let id = text(&made(app, path, body).await, id);
    assert_eq!(app.admin("DELETE", &format!("{path}/{id}")).send().await.status, 204);
    id
}

/// Names that are taken at provider `default`: UUIDs of its own, UUIDs of API keys, and other names.
async fn taken(app: &TestApp) -> (Vec<String>, Vec<String>, Vec<String>) {
    let (clients, users) = (format!("{AT}/clients"), format!("{AT}/users"));
    app.provider("acme", json!({})).await;
    made(app, &clients, json!({"client_id": "shop", "subject": "robot"})).await;
    let gone = json!({"client_id": "gone", "subject": "gone-robot"});
    ended(app, &clients, gone, "client_id").await;
    let own = vec![
        text(&made(app, &clients, json!({})).await, "client_id"),
        text(&made(app, &users, json!({"username": "ada"})).await, "id"),
        ended(app, &clients, json!({}), "client_id").await,
        ended(app, &users, json!({"username": "eve"}), "id").await,
    ];
    let owner = app.admin("GET", "/api-keys").send().await.json();
    let keys = vec![
        text(&owner["items"][0], "id"),
        text(&made(app, "/api-keys", json!({"role": "member", "provider": "acme"})).await, "id"),
        ended(app, "/api-keys", json!({"role": "default"}), "id").await,
    ];
    let plain = ["shop", "robot", "gone", "gone-robot", "runai"].map(str::to_owned).to_vec();
    (own, keys, plain)
}

fn spellings(id: &str) -> Vec<String> {
    let bare = id.replace('-', "");
    vec![
        id.to_owned(),
        id.to_uppercase(),
        bare.clone(),
        bare.to_uppercase(),
        format!("{{{id}}}"),
        format!("urn:uuid:{id}"),
        format!("URN:UUID:{}", id.to_uppercase()),
    ]
}

/// What each door answers to a name that it may take.
struct Doors<'a> {
    app: &'a TestApp,
    provider: &'a str,
    minter: String,
}

impl<'a> Doors<'a> {
    async fn of(app: &'a TestApp, provider: &'a str) -> Self {
        let minter = json!({"role": "member", "provider": provider, "may_set_subject": true});
        Self { app, provider, minter: text(&made(app, "/api-keys", minter).await, "key") }
    }

    async fn client(&self, query: &str, body: Value) -> u16 {
        let path = format!("/providers/{}/clients{query}", self.provider);
        self.app.admin("POST", &path).json(&body).send().await.status
    }

    /// As `client_id`, as a `client_id` that is kept, as subject, as subject of another's client, at mint.
    async fn all(&self, name: &str) -> [u16; 5] {
        let base = if self.provider == "default" { String::new() } else { format!("/p/{}", self.provider) };
        let body = json!({"subject": name});
        let minted = self.app.post(&format!("{base}/oauth2/mint")).bearer(&self.minter).json(&body).send().await;
        [
            self.client("", json!({"client_id": name})).await,
            self.client("?keep_id=true", json!({"client_id": name})).await,
            self.client("", json!({"subject": name})).await,
            self.client("?dry_run=true", json!({"subject": name})).await,
            minted.status,
        ]
    }
}

on_both_apps! {
    async fn a_name_that_is_taken_is_refused_at_every_door(app: TestApp) {
        let (own, keys, plain) = taken(&app).await;
        let doors = Doors::of(&app, "default").await;
        let rows = app.rows().await;
        for name in own.iter().chain(&keys).flat_map(|id| spellings(id)) {
            let [chosen, kept, subject, tried, minted] = doors.all(&name).await;
            // Not every spelling can be a client_id at all.
            assert!([409, 422].contains(&chosen) && [409, 422].contains(&kept), "{name}: {chosen} {kept}");
            assert_eq!((subject, tried, minted), (409, 409, 403), "{name}");
        }
        for id in own.iter().chain(&keys) {
            assert_eq!(doors.client("?keep_id=true", json!({"client_id": id})).await, 409, "{id}");
            assert_eq!(doors.client("", json!({"client_id": id.replace('-', "")})).await, 409, "{id} without hyphens");
        }
        for name in &plain {
            assert_eq!(doors.all(name).await, [409, 409, 409, 409, 403], "{name}");
        }
        for name in RESERVED {
            assert_eq!(doors.all(name).await, [422, 422, 422, 422, 403], "{name}");
        }
        assert_eq!(app.rows().await, rows, "a refusal leaves no row behind");
        // The names of others are compared byte for byte.
        for name in ["Shop", "ROBOT", "shop2", "System"] {
            assert_eq!(doors.client("", json!({"client_id": name})).await, 201, "{name}");
        }
    }

    async fn at_another_provider_only_api_keys_and_reserved_words_are_taken(app: TestApp) {
        let (own, keys, plain) = taken(&app).await;
        let doors = Doors::of(&app, "acme").await;
        for name in keys.iter().flat_map(|id| spellings(id)) {
            let [chosen, kept, subject, tried, minted] = doors.all(&name).await;
            assert!([409, 422].contains(&chosen) && [409, 422].contains(&kept), "{name}: {chosen} {kept}");
            assert_eq!((subject, tried, minted), (409, 409, 403), "{name}");
        }
        for name in RESERVED {
            assert_eq!(doors.all(name).await, [422, 422, 422, 422, 403], "{name}");
        }
        for name in &plain {
            assert_eq!(doors.client("", json!({"client_id": name})).await, 201, "{name}");
        }
        for id in &own {
            assert_eq!(doors.client("?keep_id=true", json!({"client_id": id})).await, 201, "{id}");
        }
    }

    async fn nobody_gets_the_name_of_somebody_by_a_surface_or_another_server(app: TestApp) {
        // These doors choose the names themselves. What they chose is taken from then on.
        let trust = Trust::on(&app, json!({})).await;
        let person = trust.subject_for(&trust.token("u1", json!({}))).await;
        let sdk = Sdk::of(&app);
        let provider = sdk.provider("Acme").await;
        let client = sdk.client(&provider, AUDIENCE).await;
        let token = sdk.token(&provider, &client, json!({})).await;
        let subject = text(&decoded(&text(&token, "accessToken")).1, "sub");
        let key = text(&made(&app, "/api-keys", json!({"role": "member"})).await, "id");
        let doors = Doors::of(&app, "default").await;
        for name in [person, key] {
            assert_eq!(doors.client("", json!({"subject": name})).await, 409, "{name}");
        }
        let there = Doors::of(&app, slug(&provider)).await;
        for name in [text(&client, "id"), subject] {
            assert_eq!(there.client("", json!({"subject": name})).await, 409, "{name}");
        }
    }

    async fn of_many_who_want_one_name_one_gets_it(app: TestApp) {
        let other = app.second_node().await;
        const ID: &str = "019a0001-0203-7405-8607-08090a0b0cff";
        let spelled = spellings(ID);
        let wants = |number: usize| {
            let node = if number.is_multiple_of(2) { &app } else { &other };
            let (query, body) = match number % 4 {
                0 => ("?keep_id=true", json!({"client_id": ID})),
                1 => ("", json!({"client_id": ID.replace('-', "")})),
                _ => ("", json!({"client_id": format!("c{number}"), "subject": spelled[number % spelled.len()]})),
            };
            async move { node.admin("POST", &format!("{AT}/clients{query}")).json(&body).send().await.status }
        };
        let mut statuses = join_all((0..32).map(wants)).await;
        statuses.sort_unstable();
        assert_eq!(statuses[0], 201, "{statuses:?}");
        assert!(statuses[1..].iter().all(|status| *status == 409), "{statuses:?}");
        assert_eq!(Doors::of(&app, "default").await.all(ID).await[4], 403);
    }
}
