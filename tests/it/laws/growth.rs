//! No statement costs more because there is more: the blocks that PostgreSQL looks at for each statement, among
//! a thousand rows and among thirty thousand of the same provider. SQLite has no such counter; there
//! `support::plans` judges how each statement finds its rows.

use std::collections::BTreeMap;

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection};
use serde_json::{Value, json};

use crate::management::cases::cases;
use crate::support::app::TestApp;
use crate::support::databases::{Kind, TestDb, block_on};
use crate::support::people::{Wish, text};
use crate::support::plans::OF_A_TEST;
use crate::support::plans::rows::{NOTHING, fill};
use crate::support::postgres;

const FEW: usize = 1_000;
const MANY: usize = 30_000;
/// Blocks that may come on top: one more level of each index, and what a connection that is new reads of the catalog
/// when it first runs a statement and its triggers (seen: sixty a call on average, 54 → 115 blocks). Thirty thousand rows without an
/// index are several hundred blocks at every call.
const BESIDE: f64 = 200.0;

/// Parts of statements that read more where there is more, and why.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("JOIN \"providers\" ON (\"provider_domains\"", "every node holds the map of all verified domains"),
    ("FROM \"revoked\" WHERE (\"revoked\".\"id\" >= $1)", "a start reads every revocation into memory"),
    (
        "strpos($4 || scope || $5",
        "a scope that is deleted is looked for in every client; words of a text have no index",
    ),
    ("jsonb_exists(", "groups and roles are looked for in every account; items of a list have no index"),
];

/// Rows of provider `default`, dated so that no sweep wants them. `i` is the number of the row.
fn rows(provider: &str) -> Vec<(&'static str, &'static str, String)> {
    const LATER: &str = "1900000000";
    let own = format!("'{provider}'");
    let mut all: Vec<(&str, &str, String)> = Vec::new();
    // Loaded or taken up as a whole by the process itself.
    for table in ["change_log", "explanations", "logout_deliveries"] {
        all.push((table, "", NOTHING.to_owned()));
    }
    // These belong to a provider each: one has few of them.
    for table in ["signing_keys", "provider_issuers", "provider_domains", "webhooks"] {
        all.push((table, "provider_id", "'provider ' || i".to_owned()));
    }
    for column in
        ["expires_at", "ends_at", "idle_ends_at", "clear_at", "rotate_at", "activates_at", "retired_at", "finished_at"]
    {
        all.push(("*", column, LATER.to_owned()));
    }
    for (table, column, value) in [
        ("events", "at", "1900000000000"),
        ("webhook_deliveries", "state", "'delivered'"),
        ("webhook_deliveries", "next_at", "NULL"),
        ("webhooks", "events", "'[]'"),
        ("api_keys", "role", "'member'"),
        ("*", "revoked_at", "NULL"),
        ("*", "locked_at", "NULL"),
        ("*", "only_surface", "NULL"),
        ("*", "policy", "'{}'"),
        ("*", "roles", "'[]'"),
        ("*", "groups", "'[]'"),
        ("*", "claims", "''"),
        ("*", "details", "'{}'"),
        ("*", "user_id", "'id ' || i"),
        ("provider_issuers", "is_primary", "true"),
        ("provider_issuers", "is_base", "true"),
        ("*", "grant_types", "'client_credentials'"),
        ("*", "auth_method", "'client_secret_basic'"),
        ("*", "access_token_format", "'jwt'"),
        ("*", "auth_signing_alg", "NULL"),
        ("*", "jwks", "NULL"),
        ("*", "jwks_uri", "NULL"),
    ] {
        all.push((table, column, value.to_owned()));
    }
    all.push(("*", "provider_id", own));
    all
}

/// An application in whose database every table has that many rows.
async fn grown(count: usize) -> TestApp {
    TestApp::start_after(Kind::Postgres, |db: &TestDb| {
        let mut conn = PgConnection::establish(&db.options().url).unwrap();
        let id: String = diesel::RunQueryDsl::get_result(
            diesel::dsl::sql::<diesel::sql_types::Text>("SELECT id FROM providers"),
            &mut conn,
        )
        .unwrap();
        let rows = rows(&id);
        let rows: Vec<(&str, &str, &str)> = rows.iter().map(|(t, c, v)| (*t, *c, v.as_str())).collect();
        conn.batch_execute(&fill(count, &rows)).unwrap();
        conn.batch_execute("ANALYZE").unwrap();
    })
    .await
}

/// Everything that is read, each list in its orders and narrowed in every way.
async fn read_everything(app: &TestApp, user: &str, client: &str) {
    let p = "/providers/default";
    for list in [
        "/providers",
        "/providers?sort=-slug",
        "/providers?sort=name",
        "/providers?q=de",
        "/providers?enabled=false",
        "/api-keys",
        "/api-keys?sort=name",
        "/api-keys?role=owner",
        "/api-keys?provider=default",
        "/webhooks",
        "/data-keys",
        "/events",
        "/events?action=user.*",
        "/events?provider=default&action=user.created",
        "/events?actor=nobody",
        "/events?provider=default",
        "/events?target=nobody",
    ] {
        read(app, list).await;
    }
    for list in [
        "",
        "/clients",
        "/clients?sort=client_name",
        "/clients?sort=-created_at",
        "/clients?q=mach",
        "/clients?enabled=false",
        "/users",
        "/users?sort=-username",
        "/users?q=ada",
        "/users?username=ada",
        "/users?email=ada@example.com",
        "/users?enabled=false",
        "/users?locked=true",
        "/sessions",
        "/grants",
        "/domains",
        "/signing-keys",
        "/scopes",
        "/roles",
        "/groups",
        "/trusted-issuers",
        "/trusted-issuers?issuer=https://idp.example.net",
    ] {
        read(app, &format!("{p}{list}")).await;
    }
    for one in [
        format!("/users/{user}"),
        format!("/users/{user}/sessions"),
        format!("/users/{user}/grants"),
        format!("/sessions?user={user}"),
        format!("/grants?user={user}"),
        format!("/grants?client={client}"),
        format!("/clients/{client}"),
        format!("/clients/{client}/secrets"),
    ] {
        read(app, &format!("{p}{one}")).await;
    }
}

async fn read(app: &TestApp, path: &str) {
    let is_list = !matches!(path, "/providers/default" | "/data-keys" | "/providers/default/signing-keys");
    let limit = if !is_list || path.matches('/').count() > 4 && !path.contains('?') {
        ""
    } else if path.contains('?') {
        "&limit=2"
    } else {
        "?limit=2"
    };
    let answer = app.admin("GET", &format!("{path}{limit}")).send().await;
    assert!(matches!(answer.status, 200 | 400), "{path}: {} {}", answer.status, answer.text());
    // Not every call knows `limit`.
    if answer.status == 400 {
        let answer = app.admin("GET", path).send().await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    }
}

/// People and machines get tokens, refresh, use and revoke them; the server does what it does once a second.
async fn live(app: &TestApp) {
    let web = app.web_client(json!({})).await;
    let mut person: Value = json!(null);
    for name in ["uma", "una", "ute"] {
        app.person(name).await;
        let tokens = app.login_tokens(&web, name, &[]).await;
        let refreshed = app.refresh("", &web, &text(&tokens, "refresh_token")).await;
        assert_eq!(refreshed.status, 200, "{}", refreshed.text());
        let token = text(&refreshed.json(), "access_token");
        assert!(app.is_active(&token).await);
        assert_eq!(app.userinfo(&token).await.status, 200);
        let taken = app.admin("POST", "/providers/default/users").json(&json!({"username": name})).send().await;
        assert_eq!(taken.status, 409, "{}", taken.text());
        let revoked = app.as_client_at(&web, &token).await;
        assert_eq!(revoked, 200);
        person = tokens;
    }
    assert!(person.is_object());
    let machine = app.client(json!({"audience": ["api"]})).await;
    for _ in 0..3 {
        app.token(&machine).await;
        let minted =
            app.post("/oauth2/mint").json(&json!({"one_time": true})).bearer(&app.first.owner_key).send().await;
        let minted = text(&minted.json(), "access_token");
        assert!(app.is_active(&minted).await && !app.is_active(&minted).await);
        app.post("/oauth2/token").form(&[("grant_type", "client_credentials")]).basic("nobody", "x").send().await;
        app.poll().await;
        app.tick().await;
        app.pass(1);
    }
}

impl TestApp {
    async fn as_client_at(&self, client: &crate::support::app::TestClient, token: &str) -> u16 {
        self.post("/oauth2/revoke").form(&[("token", token)]).basic(&client.id, &client.secret).send().await.status
    }
}

/// Blocks a call of every statement that one run of everything sends.
async fn costs(app: &TestApp) -> (BTreeMap<String, f64>, String) {
    let who = app.logged_in("ada-reads").await;
    let web = app.web_client(json!({})).await;
    app.tokens(&web, &who, &Wish::default()).await;
    live(app).await;
    // The pages that are read are of rows that the server can read itself.
    for n in 0..3 {
        let issuer = json!({"issuer": format!("https://i{n}.example.net"), "audiences": ["api"]});
        app.admin("POST", "/providers/default/trusted-issuers").json(&issuer).send().await;
        app.logged_in(&format!("reads-{n}")).await;
        app.client(json!({})).await;
        app.provider(&format!("reads-{n}"), json!({})).await;
        app.api_key(json!({"provider": "default"})).await;
    }
    read_everything(app, &who.user, &web.id).await;
    for case in cases(app).await {
        let answer = case.call(app, "").send().await;
        assert!(answer.status < 300, "{}: {} {}", case.operation, answer.status, answer.text());
    }
    app.poll().await;
    app.tick().await;
    (measured(app), who.user)
}

fn measured(app: &TestApp) -> BTreeMap<String, f64> {
    let costs = postgres::server().costs(app.database()).into_iter();
    #[allow(clippy::cast_precision_loss)] // a test divides small numbers
    costs.map(|cost| (cost.text, cost.blocks as f64 / cost.calls as f64)).collect()
}

/// Statements that cost more among many rows than among few.
fn grew(few: &BTreeMap<String, f64>, many: &BTreeMap<String, f64>) -> Vec<String> {
    let both = few.iter().filter_map(|(text, few)| Some((text, *few, *many.get(text)?)));
    both.filter(|(text, few, many)| {
        let is_of_store = !text.starts_with(OF_A_TEST) && *text != "ANALYZE";
        is_of_store && *many > few * 1.3 + BESIDE && !EXCEPTIONS.iter().any(|(part, _)| text.contains(part))
    })
    .map(|(text, few, many)| format!("{few:.1} → {many:.1} blocks a call: {text}"))
    .collect()
}

/// The statement of a line that [`grew`] wrote.
fn text_of(line: &str) -> Option<&str> {
    line.split_once(" blocks a call: ").map(|(_, text)| text)
}

#[test]
fn a_statement_looks_at_as_many_blocks_among_many_rows_as_among_few() {
    block_on(async {
        let few = {
            let app = grown(FEW).await;
            costs(&app).await.0
        };
        let app = grown(MANY).await;
        let (many, user) = costs(&app).await;
        let compared = few.keys().filter(|text| many.contains_key(*text)).count();
        assert!(compared > 200, "only {compared} statements");
        let mut grew_more = grew(&few, &many);
        // A page that happens to be split, or a table that is extended, costs a call a hundred blocks now and then.
        // A statement without an index reads more every time.
        for _ in 0..2 {
            if grew_more.is_empty() {
                break;
            }
            let again = grown(MANY).await;
            let again = grew(&few, &costs(&again).await.0);
            grew_more.retain(|line| again.iter().any(|other| text_of(other) == text_of(line)));
        }
        assert!(grew_more.is_empty(), "{}", grew_more.join("\n"));

        // The same without an index.
        postgres::server().forget_costs(app.database());
        let mut conn = PgConnection::establish(&app.url()).unwrap();
        conn.batch_execute("DROP INDEX refresh_families_of_user").unwrap();
        for _ in 0..3 {
            read(&app, &format!("/providers/default/users/{user}/grants")).await;
        }
        let refused = grew(&few, &measured(&app));
        assert!(refused.iter().any(|line| line.contains("refresh_families")), "{refused:?}");
    });
}
