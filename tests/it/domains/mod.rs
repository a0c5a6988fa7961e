//! Domains of a provider: how they are managed, proven and served, and what they do to its issuer.

mod admin;
mod hosts;
mod issuers;
mod moved;
mod nodes;
mod proof;

use std::sync::atomic::{AtomicU32, Ordering};

use grantd::store::Conn;
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::databases::soon;
use crate::support::dns::dns;
use crate::support::http::{Answer, Call};

/// A domain that no other test of this run has: they share one DNS.
pub fn fresh_name() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("login.n{}.example", NUMBER.fetch_add(1, Ordering::Relaxed))
}

fn path(provider: &str) -> String {
    format!("/providers/{provider}/domains")
}

fn path_of(provider: &str, domain: &Value) -> String {
    format!("{}/{}", path(provider), text(domain, "id"))
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}"))
}

async fn added(app: &TestApp, provider: &str, name: &str) -> Value {
    let answer = app.admin("POST", &path(provider)).json(&json!({"domain": name})).send().await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()
}

/// The DNS shows what the domain asks for.
pub fn publish(domain: &Value) {
    dns().says(text(&domain["dns_record"], "name"), text(&domain["dns_record"], "value"));
}

async fn verify(app: &TestApp, provider: &str, domain: &Value) -> Answer {
    app.admin("POST", &format!("{}/verify", path_of(provider, domain))).send().await
}

/// A verified domain of a provider.
pub async fn proven(app: &TestApp, provider: &str, name: &str) -> Value {
    let domain = added(app, provider, name).await;
    publish(&domain);
    let answer = verify(app, provider, &domain).await;
    assert_eq!((answer.status, &answer.json()["verified"]), (200, &json!(true)), "{}", answer.text());
    answer.json()["domain"].clone()
}

async fn made_primary(app: &TestApp, provider: &str, domain: &Value, primary: bool) -> Value {
    let answer = app.admin("PATCH", &path_of(provider, domain)).json(&json!({"primary": primary})).send().await;
    assert_eq!((answer.status, &answer.json()["primary"]), (200, &json!(primary)), "{}", answer.text());
    answer.json()
}

async fn deleted(app: &TestApp, provider: &str, domain: &Value) {
    assert_eq!(app.admin("DELETE", &path_of(provider, domain)).send().await.status, 204);
}

/// A request to a host.
fn at<'a>(app: &'a TestApp, host: &str, method: &str, path: &str) -> Call<'a> {
    app.call(method, path).header("host", host)
}

/// The issuer that the metadata at a host states; the status where there is none.
async fn issuer_at(app: &TestApp, host: &str) -> Result<String, u16> {
    let answer = at(app, host, "GET", "/.well-known/openid-configuration").send().await;
    if answer.status == 200 { Ok(text(&answer.json(), "issuer").to_owned()) } else { Err(answer.status) }
}

/// The one column of a query, as text.
async fn texts(app: &TestApp, sql: String) -> Vec<String> {
    let read = move |conn: &mut Conn| {
        let sql = format!("/* a test */ {sql}");
        let query = diesel::dsl::sql::<diesel::sql_types::Text>(&sql);
        Ok(match conn {
            Conn::Sqlite(conn) => diesel::RunQueryDsl::load(query, conn)?,
            Conn::Postgres(conn) => diesel::RunQueryDsl::load(query, conn)?,
        })
    };
    app.engine.db().read(soon(), read).await.unwrap()
}
