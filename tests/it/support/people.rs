//! Codes and tokens of people without the pages: a session and a code are put into the database as
//! the authorization endpoint would, so that a test can have any code there is.

use grantd::crypto::{DataKeys, MasterKey, Peppers, Random, credential};
use grantd::domain::secret::{SecretKind, StoredSecret};
use grantd::domain::session::{Amr, Session};
use grantd::domain::token::Epochs;
use grantd::domain::{AudienceSet, AuthorizationCode, Decision, PersonGrant, ScopeSet, SessionId};
use grantd::store::sessions::CookieDigest;
use grantd::store::{Tx, codes, data_keys, refresh_families, sessions};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::support::app::{ISSUER, MASTER_KEY, TestApp, TestClient};
use crate::support::browser::{CALLBACK, CHALLENGE};
use crate::support::databases::soon;

/// A person with a session.
#[derive(Clone)]
pub struct LoggedIn {
    pub user: String,
    pub session: SessionId,
}

/// What a code is for.
#[derive(Clone)]
pub struct Wish {
    pub scope: &'static str,
    pub audience: Vec<&'static str>,
    pub challenge: Option<&'static str>,
    pub redirect_uri_sent: bool,
    pub nonce: Option<&'static str>,
    pub claims: &'static str,
    /// Seconds.
    pub ttl: i64,
}

impl Default for Wish {
    fn default() -> Self {
        Self {
            scope: "openid profile email offline_access",
            audience: vec![ISSUER],
            challenge: Some(CHALLENGE),
            redirect_uri_sent: true,
            nonce: Some("n-0S6_WzA2Mj"),
            claims: "",
            ttl: 60,
        }
    }
}

impl TestApp {
    /// Runs a job on the database itself.
    pub async fn job<T: Send + 'static>(
        &self,
        mut job: impl FnMut(&mut Tx<'_>) -> Result<T, grantd::domain::Fault> + Send + 'static,
    ) -> T {
        let done = self.engine.db().write(soon(), move |tx| job(tx).map(Decision::Allow)).await.unwrap();
        let Decision::Allow(value) = done else { panic!("a job of a test is refused") };
        value
    }

    /// Binds an API key to a provider past the API, which never does; nodes notice with the key's next change.
    pub async fn bind(&self, key: &str, provider: &str) {
        let sql = format!(
            "UPDATE api_keys SET provider_id = (SELECT id FROM providers WHERE slug = '{provider}') WHERE id = '{key}'"
        );
        self.job(move |tx| Ok(diesel::connection::SimpleConnection::batch_execute(&mut **tx, &sql)?)).await;
    }

    /// An account of provider `default`, logged in.
    pub async fn logged_in(&self, username: &str) -> LoggedIn {
        let fields =
            json!({"email": format!("{username}@example.com"), "email_verified": true, "name": "Ada Lovelace"});
        let user = self.person_at("default", username, fields).await["id"].as_str().unwrap().to_owned();
        let session = self.session_of(&user).await;
        LoggedIn { user, session }
    }

    /// A new session of this account.
    pub async fn session_of(&self, user: &str) -> SessionId {
        let (now, random, wall) = (self.now(), Random::system(), self.context().now);
        let session = Session {
            provider: self.provider_id().await.into(),
            id: random.uuid_v7(wall).into(),
            user: user.into(),
            auth_time: now,
            amr: Amr::password(),
            user_agent: "Test/1.0".to_owned(),
            address: "203.0.113.9".to_owned(),
            created_at: now,
            seen_at: now,
            idle_ends_at: now + 12 * 3600,
            ends_at: now + 30 * 86_400,
            ended_at: None,
            epoch: 1,
            provider_epoch: 0,
        };
        let id = session.id.clone();
        let cookie = CookieDigest { pepper_id: "p".to_owned(), digest: random.bytes() };
        self.job(move |tx| sessions::insert(tx, &session, &cookie)).await;
        id
    }

    pub async fn end_session(&self, session: &SessionId) {
        let (provider, id, now) = (self.provider_id().await.into(), session.clone(), self.context().now);
        assert!(self.job(move |tx| sessions::end(tx, &provider, &id, now)).await);
        self.poll().await;
    }

    /// The id of provider `default`.
    pub async fn provider_id(&self) -> String {
        let answer = self.admin("GET", "/providers/default").send().await.json();
        answer["id"].as_str().unwrap().to_owned()
    }

    /// A code of this client for this person.
    pub async fn code(&self, client: &TestClient, who: &LoggedIn, wish: &Wish) -> String {
        let (random, now) = (Random::system(), self.context().now);
        let code = credential::generate(SecretKind::AuthorizationCode, &random).expose_secret().to_owned();
        let StoredSecret::Digest { pepper_id, digest } = self.peppers().await.digest(&code) else {
            panic!("no digest")
        };
        let row = AuthorizationCode {
            grant: PersonGrant {
                id: random.jti(now),
                provider: self.provider_id().await.into(),
                client: client.id.as_str().into(),
                user: who.user.as_str().into(),
                session: Some(who.session.clone()),
                scope: ScopeSet::parse(wish.scope).unwrap(),
                audience: AudienceSet::of(wish.audience.iter().copied()).unwrap(),
                claims: wish.claims.to_owned(),
                auth_time: now.seconds(),
                amr: Amr::password(),
            },
            pepper_id,
            digest,
            redirect_uri: CALLBACK.to_owned(),
            redirect_uri_sent: wish.redirect_uri_sent,
            code_challenge: wish.challenge.map(str::to_owned),
            nonce: wish.nonce.map(str::to_owned),
            created_at: now.seconds(),
            expires_at: now.seconds() + wish.ttl,
            spent_at: None,
            epochs: Epochs { user: 1, session: 1, ..Epochs::default() },
        };
        self.job(move |tx| codes::insert(tx, &row)).await;
        code
    }

    async fn peppers(&self) -> Peppers {
        let sealed = self.job(|tx| data_keys::all(tx)).await;
        let master = MasterKey::from_base64(&MASTER_KEY.into()).unwrap();
        Peppers::of(&DataKeys::open(&sealed, &master, self.context().now).unwrap()).unwrap()
    }

    /// The answer to a code that is redeemed at once, which must succeed.
    pub async fn tokens(&self, client: &TestClient, who: &LoggedIn, wish: &Wish) -> Value {
        let code = self.code(client, who, wish).await;
        let answer = self.redeem("", client, &code).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    /// The row of the family that this access token belongs to, as text to compare.
    pub async fn family_of(&self, access_token: &str) -> grantd::domain::RefreshFamily {
        let grant = crate::support::browser::claims(access_token)["grant_id"].as_str().unwrap().to_owned();
        let id = grantd::domain::token::Jti::parse(&grant).unwrap();
        self.job(move |tx| refresh_families::get(tx, &id)).await.expect("there is no such family")
    }

    pub async fn userinfo(&self, token: &str) -> crate::support::http::Answer {
        self.get("/oauth2/userinfo").bearer(token).send().await
    }
}

/// A member of an answer as text.
pub fn text(answer: &Value, name: &str) -> String {
    answer[name].as_str().unwrap_or_else(|| panic!("no {name} in {answer}")).to_owned()
}
