//! `authorization_codes`: what a person granted, until the client fetches it. A row outlives its code
//! for a while, so that a second use is recognised and ends the grant (RFC 6749 §4.1.2).

use diesel::prelude::*;

use crate::domain::session::Amr;
use crate::domain::token::{Epochs, Jti};
use crate::domain::{AudienceSet, AuthorizationCode, Fault, GrantId, PersonGrant, ScopeSet, UnixTime};
use crate::store::connection::{Conn, each};
use crate::store::fault::unreadable;

const TABLE: &str = "authorization_codes";

diesel::table! {
    authorization_codes (grant_id) {
        grant_id -> Text,
        pepper_id -> Text,
        digest -> Binary,
        provider_id -> Text,
        client_id -> Text,
        user_id -> Text,
        session_id -> Text,
        redirect_uri -> Text,
        redirect_uri_sent -> Bool,
        code_challenge -> Nullable<Text>,
        scope -> Text,
        audience -> Text,
        nonce -> Nullable<Text>,
        claims -> Text,
        auth_time -> BigInt,
        amr -> Text,
        created_at -> BigInt,
        expires_at -> BigInt,
        spent_at -> Nullable<BigInt>,
        epochs -> Text,
    }
}

#[derive(Queryable, Insertable)]
#[diesel(table_name = authorization_codes)]
struct Row {
    grant_id: String,
    pepper_id: String,
    digest: Vec<u8>,
    provider_id: String,
    client_id: String,
    user_id: String,
    session_id: String,
    redirect_uri: String,
    redirect_uri_sent: bool,
    code_challenge: Option<String>,
    scope: String,
    audience: String,
    nonce: Option<String>,
    claims: String,
    auth_time: i64,
    amr: String,
    created_at: i64,
    expires_at: i64,
    spent_at: Option<i64>,
    epochs: String,
}

impl TryFrom<Row> for AuthorizationCode {
    type Error = Fault;

    fn try_from(row: Row) -> Result<Self, Fault> {
        let Row {
            grant_id,
            pepper_id,
            digest,
            provider_id,
            client_id,
            user_id,
            session_id,
            redirect_uri,
            redirect_uri_sent,
            code_challenge,
            scope,
            audience,
            nonce,
            claims,
            auth_time,
            amr,
            created_at,
            expires_at,
            spent_at,
            epochs,
        } = row;
        let bad = |column| unreadable(TABLE, column);
        let grant = PersonGrant {
            id: Jti::parse(&grant_id).ok_or_else(|| bad("grant_id"))?,
            provider: provider_id.into(),
            client: client_id.into(),
            user: user_id.into(),
            session: Some(session_id.into()),
            scope: ScopeSet::parse(&scope).map_err(|_| bad("scope"))?,
            audience: AudienceSet::parse(&audience).map_err(|_| bad("audience"))?,
            claims,
            auth_time,
            amr: Amr::parse(&amr),
        };
        Ok(Self {
            grant,
            pepper_id,
            digest: digest.try_into().map_err(|_| bad("digest"))?,
            redirect_uri,
            redirect_uri_sent,
            code_challenge,
            nonce,
            created_at,
            expires_at,
            spent_at,
            epochs: Epochs::parse(&epochs).ok_or_else(|| bad("epochs"))?,
        })
    }
}

impl TryFrom<AuthorizationCode> for Row {
    type Error = Fault;

    fn try_from(code: AuthorizationCode) -> Result<Self, Fault> {
        let AuthorizationCode {
            grant,
            pepper_id,
            digest,
            redirect_uri,
            redirect_uri_sent,
            code_challenge,
            nonce,
            created_at,
            expires_at,
            spent_at,
            epochs,
        } = code;
        let PersonGrant { id, provider, client, user, session, scope, audience, claims, auth_time, amr } = grant;
        let session = session.ok_or_else(|| Fault::store("an authorization code without a session"))?;
        Ok(Self {
            grant_id: id.to_string(),
            pepper_id,
            digest: digest.to_vec(),
            provider_id: provider.as_str().to_owned(),
            client_id: client.as_str().to_owned(),
            user_id: user.as_str().to_owned(),
            session_id: session.as_str().to_owned(),
            redirect_uri,
            redirect_uri_sent,
            code_challenge,
            scope: scope.as_str().to_owned(),
            audience: audience.as_str().to_owned(),
            nonce,
            claims,
            auth_time,
            amr: amr.joined(),
            created_at,
            expires_at,
            spent_at,
            epochs: epochs.to_string(),
        })
    }
}

/// One statement, so it fits [`Db::write_one`](crate::store::Db::write_one).
pub fn insert(conn: &mut Conn, code: &AuthorizationCode) -> Result<(), Fault> {
    let row = Row::try_from(code.clone())?;
    each!(conn, conn => diesel::insert_into(authorization_codes::table).values(&row).execute(conn))?;
    Ok(())
}

/// The code with this digest, spent and expired ones too.
pub fn by_digest(conn: &mut Conn, pepper_id: &str, digest: &[u8; 32]) -> Result<Option<AuthorizationCode>, Fault> {
    let row: Option<Row> = each!(conn, conn => authorization_codes::table
        .filter(authorization_codes::digest.eq(digest.as_slice()))
        .filter(authorization_codes::pepper_id.eq(pepper_id))
        .first(conn)
        .optional())?;
    row.map(AuthorizationCode::try_from).transpose()
}

/// The claims that were asked for when the grant was given; `None` if its row is gone.
pub fn claims_of(conn: &mut Conn, grant: &GrantId) -> Result<Option<String>, Fault> {
    Ok(each!(conn, conn => authorization_codes::table
        .find(grant.to_string())
        .select(authorization_codes::claims)
        .first(conn)
        .optional())?)
}

/// Uses the code up: `true` for exactly one of all callers, and for none after its end or long before
/// it was made.
pub fn spend(conn: &mut Conn, grant: &GrantId, now: UnixTime) -> Result<bool, Fault> {
    let rows = each!(conn, conn => diesel::update(authorization_codes::table.find(grant.to_string()))
        .filter(authorization_codes::spent_at.is_null())
        .filter(authorization_codes::expires_at.gt(now.seconds()))
        .filter(authorization_codes::created_at.le(now.seconds() + UnixTime::AHEAD))
        .set(authorization_codes::spent_at.eq(now.seconds()))
        .execute(conn))?;
    Ok(rows == 1)
}
