//! Accounts of people: made and ended by management, proved by a password.

use std::net::IpAddr;

use grantd::domain::grant::{Ask, Grant, GrantRequest, Granted, PresentedClient, ProviderRef};
use grantd::domain::{Context, Failed, RefusalKind, UserId};
use serde_json::{Value, json};

use crate::support::app::TestApp;

mod logins;
mod remembered;
mod users;
mod wires;

/// What the hashes below were made of.
pub const PASSWORD: &str = "correct horse bättery";
/// By Python's bcrypt 5, passlib 1.7, hashlib and argon2-cffi 25.
pub const IMPORTED: [(&str, &str); 8] = [
    ("bcrypt-2b", "$2b$05$qKkO.B9vLtfH9xHWlpCTcudjTlMQEDIRXceIhww0HK1kqCTmjd4AK"),
    ("bcrypt-2a", "$2a$05$gl3NQw/mftzb2hwd83egcOsFvFrFwGnl04vWBc9K9qaALbOvruGNO"),
    ("pbkdf2-passlib", "$pbkdf2-sha256$1000$ZExpDQGgVOp9jxEC4LxX6g$f82k3rnZmH7cu4K.i3PCkEIrZmelzYUJySOssAT5HfM"),
    ("pbkdf2-phc", "$pbkdf2-sha256$i=1000,l=32$MDEyMzQ1Njc4OWFiY2RlZg$nw21jjCi0toqxMwZ0OxAy2+mg3YStWTO2vXd4ERGCGI"),
    (
        "pbkdf2-sha512",
        "$pbkdf2-sha512$1000$QUhJCWFMifE.5zxnTCnF2A$aIz1n9dUu6C2WVg7eoEpFtNe1hubgyWtG0hadaEkcveLAwBS0WAaSTqxp.bT1ztkJX8m.4nUtLnHX.zvHP2ysA",
    ),
    ("scrypt", "$scrypt$ln=8,r=8,p=2$MDEyMzQ1Njc4OWFiY2RlZg$/UME2lNoSLCbq1rY9M6jCiFREZFuqeV6zm/nihiNuz0"),
    ("argon2i", "$argon2i$v=19$m=8,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$Ob53qHrV25rDL7Mc5EHKmKbKGBtsa6+d1HE6VHAOlJo"),
    ("argon2d", "$argon2d$v=19$m=8,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$xp0vmQhzTtBUyf1YqgTdN9JJ3dZqUfXYR13T3cr4LNs"),
];
pub const USERS: &str = "/providers/default/users";
pub const HERE: &str = "203.0.113.9";
pub const THERE: &str = "198.51.100.7";
/// The one answer to every login that fails.
pub const WRONG: &str = "The username or password is not right.";

/// Makes a user of provider `default`; its body.
pub async fn user(app: &TestApp, fields: Value) -> Value {
    let answer = app.admin("POST", USERS).json(&fields).send().await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()
}

pub fn path_of(user: &Value) -> String {
    format!("{USERS}/{}", user["id"].as_str().unwrap())
}

pub fn id_of(user: &Value) -> UserId {
    user["id"].as_str().unwrap().into()
}

/// A public client that may hand in passwords.
pub async fn app_client(app: &TestApp) -> String {
    let fields = json!({
        "grant_types": ["password", "refresh_token"],
        "token_endpoint_auth_method": "none",
        "scope": "openid profile",
    });
    app.client(fields).await.id
}

/// A login as a request from `address` makes it.
pub async fn log_in(
    app: &TestApp,
    client: &str,
    address: &str,
    username: &str,
    password: &str,
) -> Result<Granted, Failed> {
    let address: IpAddr = address.parse().unwrap();
    let ctx = Context { client_address: address, ..app.context() };
    let request = GrantRequest {
        provider: ProviderRef { slug: "default".into(), must_serve: None, key_decides: false },
        client: PresentedClient::Bare { client_id: client.into() },
        grant: Grant::Password { username: username.to_owned(), password: password.into() },
        ask: Ask::default(),
    };
    app.engine.grant(&ctx, request).await
}

/// How a login ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Login {
    In,
    Wrong,
    /// Seconds until another try is worth it.
    Slowed(u32),
    Busy,
}

pub fn outcome(login: Result<Granted, Failed>) -> Login {
    match login {
        Ok(_) => Login::In,
        Err(Failed::Refused(refusal)) => match refusal.kind {
            RefusalKind::InvalidGrant => {
                assert_eq!(refusal.hint, WRONG);
                Login::Wrong
            }
            RefusalKind::RateLimited { retry_after } => Login::Slowed(retry_after),
            _ => panic!("{refusal:?}"),
        },
        Err(Failed::Fault(grantd::domain::Fault::Busy { .. })) => Login::Busy,
        Err(Failed::Fault(fault)) => panic!("{fault:?}"),
    }
}

/// As [`log_in`], and how it ended.
pub async fn tried(app: &TestApp, client: &str, address: &str, username: &str, password: &str) -> Login {
    outcome(log_in(app, client, address, username, password).await)
}
