//! `client_secrets`: several of one client side by side. What is stored is one text:
//! `<pepper id>$<base64url>` for a keyed digest, or an Argon2 PHC string, which begins with `$`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

use crate::domain::client::ClientSecret;
use crate::domain::secret::StoredSecret;
use crate::domain::{ClientId, Fault, ProviderId, SecretId};
use crate::store::clients;
use crate::store::connection::{Conn, each};
use crate::store::fault::unreadable;
use crate::store::usage::{self, UsageKind};

diesel::table! {
    client_secrets (id) {
        id -> Text,
        provider_id -> Text,
        client_id -> Text,
        stored -> Text,
        hint -> Text,
        created_at -> BigInt,
        expires_at -> Nullable<BigInt>,
        revoked_at -> Nullable<BigInt>,
    }
}

/// Seconds for which a secret that has ended is still known by its digest.
const ENDED_SHOWN: i64 = 30 * 86_400;

#[derive(Queryable, QueryableByName)]
#[diesel(table_name = client_secrets)]
struct Row {
    id: String,
    #[diesel(column_name = provider_id)]
    _provider_id: String,
    #[diesel(column_name = client_id)]
    _client_id: String,
    stored: String,
    hint: String,
    created_at: i64,
    expires_at: Option<i64>,
    revoked_at: Option<i64>,
}

impl TryFrom<Row> for ClientSecret {
    type Error = Fault;

    fn try_from(row: Row) -> Result<Self, Fault> {
        let Row { id, _provider_id, _client_id, stored, hint, created_at, expires_at, revoked_at } = row;
        let stored = decoded(&stored).ok_or_else(|| unreadable("client_secrets", "stored"))?;
        // When it was last used stands in `usage`.
        Ok(Self { id: SecretId::from(id), stored, hint, created_at, expires_at, last_used_at: None, revoked_at })
    }
}

fn encoded(stored: &StoredSecret) -> String {
    match stored {
        StoredSecret::Digest { pepper_id, digest } => format!("{pepper_id}${}", URL_SAFE_NO_PAD.encode(digest)),
        StoredSecret::Argon2(phc) => phc.clone(),
    }
}

fn decoded(text: &str) -> Option<StoredSecret> {
    if text.starts_with("$argon2") {
        return Some(StoredSecret::Argon2(text.to_owned()));
    }
    let (pepper_id, digest) = text.split_once('$').filter(|(pepper_id, _)| !pepper_id.is_empty())?;
    let digest = URL_SAFE_NO_PAD.decode(digest).ok()?.try_into().ok()?;
    Some(StoredSecret::Digest { pepper_id: pepper_id.to_owned(), digest })
}

/// All of a client, ended ones too, ordered by id, with when each was last used.
pub fn list(conn: &mut Conn, provider: &ProviderId, client_id: &ClientId) -> Result<Vec<ClientSecret>, Fault> {
    let rows: Vec<Row> = client_secrets::table
        .filter(client_secrets::provider_id.eq(provider.as_str()))
        .filter(client_secrets::client_id.eq(client_id.as_str()))
        .order(client_secrets::id)
        .load(conn)?;
    let mut secrets = rows.into_iter().map(ClientSecret::try_from).collect::<Result<Vec<_>, _>>()?;
    let ids: Vec<&str> = secrets.iter().map(|secret| secret.id.as_str()).collect();
    let used = usage::of(conn, UsageKind::ClientSecret, &ids)?;
    for secret in &mut secrets {
        secret.last_used_at = used.get(secret.id.as_str()).and_then(|usage| usage.last_used_at);
    }
    Ok(secrets)
}

/// Those that work at `now` (epoch seconds), without `last_used_at`.
pub fn live(
    conn: &mut Conn,
    provider: &ProviderId,
    client_id: &ClientId,
    now: i64,
) -> Result<Vec<ClientSecret>, Fault> {
    let rows: Vec<Row> = each!(conn, conn => client_secrets::table
        .filter(client_secrets::provider_id.eq(provider.as_str()))
        .filter(client_secrets::client_id.eq(client_id.as_str()))
        .filter(client_secrets::revoked_at.is_null())
        .filter(client_secrets::expires_at.is_null().or(client_secrets::expires_at.gt(now)))
        .order(client_secrets::id)
        .load(conn))?;
    rows.into_iter().map(ClientSecret::try_from).collect()
}

/// The same with those that ended lately, at most sixteen in all, so that who still uses one is told which:
/// what a cached client holds.
pub fn live_or_ended_lately(
    conn: &mut Conn,
    provider: &ProviderId,
    client_id: &ClientId,
    now: i64,
) -> Result<Vec<ClientSecret>, Fault> {
    const SQL: &str = "SELECT id, provider_id, client_id, stored, hint, created_at, expires_at, revoked_at \
         FROM client_secrets WHERE provider_id = $1 AND client_id = $2 AND (revoked_at IS NULL OR revoked_at > $3) \
         AND (expires_at IS NULL OR expires_at > $3) ORDER BY CASE WHEN revoked_at IS NULL \
         AND (expires_at IS NULL OR expires_at > $4) THEN 0 ELSE 1 END, id DESC LIMIT 16";
    let rows: Vec<Row> = diesel::sql_query(SQL)
        .bind::<Text, _>(provider.as_str())
        .bind::<Text, _>(client_id.as_str())
        .bind::<BigInt, _>(now - ENDED_SHOWN)
        .bind::<BigInt, _>(now)
        .load(conn)?;
    rows.into_iter().map(ClientSecret::try_from).collect()
}

/// Adds a secret while fewer than `max_live` work at `now` (epoch seconds), and of those that a
/// person chose (Argon2) none. `false`: the client has that many, or is gone. Call it in a
/// transaction.
pub fn insert_below(
    conn: &mut Conn,
    provider: &ProviderId,
    client_id: &ClientId,
    secret: &ClientSecret,
    max_live: usize,
    now: i64,
) -> Result<bool, Fault> {
    const INSERT: &str = "INSERT INTO client_secrets \
         (id, provider_id, client_id, stored, hint, created_at, expires_at, revoked_at) \
         SELECT $1, $2, $3, $4, $5, $6, $7, $8 WHERE \
         (SELECT count(*) FROM client_secrets WHERE provider_id = $2 AND client_id = $3 \
          AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $9)) < $10 \
         AND ($4 NOT LIKE '$argon2%' OR NOT EXISTS \
         (SELECT 1 FROM client_secrets WHERE provider_id = $2 AND client_id = $3 AND stored LIKE '$argon2%' \
          AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $9)))";
    // Two inserts that count the same rows would both find room: on PostgreSQL the second one waits
    // here, and counts afterwards.
    if !clients::lock(conn, provider, client_id)? {
        return Ok(false);
    }
    let ClientSecret { id, stored, hint, created_at, expires_at, last_used_at: _, revoked_at } = secret;
    let rows = diesel::sql_query(INSERT)
        .bind::<Text, _>(id.as_str())
        .bind::<Text, _>(provider.as_str())
        .bind::<Text, _>(client_id.as_str())
        .bind::<Text, _>(encoded(stored))
        .bind::<Text, _>(hint)
        .bind::<BigInt, _>(created_at)
        .bind::<Nullable<BigInt>, _>(expires_at)
        .bind::<Nullable<BigInt>, _>(revoked_at)
        .bind::<BigInt, _>(now)
        .bind::<BigInt, _>(i64::try_from(max_live).unwrap_or(i64::MAX))
        .execute(conn)?;
    Ok(rows == 1)
}

/// Ends a secret. `false`: unknown, or revoked before. `now` in epoch seconds.
pub fn revoke(
    conn: &mut Conn,
    provider: &ProviderId,
    client_id: &ClientId,
    id: &SecretId,
    now: i64,
) -> Result<bool, Fault> {
    let row = client_secrets::table
        .filter(client_secrets::id.eq(id.as_str()))
        .filter(client_secrets::provider_id.eq(provider.as_str()))
        .filter(client_secrets::client_id.eq(client_id.as_str()))
        .filter(client_secrets::revoked_at.is_null());
    Ok(diesel::update(row).set(client_secrets::revoked_at.eq(now)).execute(conn)? == 1)
}

/// Gives every live secret of the client but `kept` an end no later than `end` (epoch seconds).
pub fn end_others_by(
    conn: &mut Conn,
    provider: &ProviderId,
    client_id: &ClientId,
    kept: &SecretId,
    end: i64,
) -> Result<usize, Fault> {
    let others = client_secrets::table
        .filter(client_secrets::provider_id.eq(provider.as_str()))
        .filter(client_secrets::client_id.eq(client_id.as_str()))
        .filter(client_secrets::id.ne(kept.as_str()))
        .filter(client_secrets::revoked_at.is_null())
        .filter(client_secrets::expires_at.is_null().or(client_secrets::expires_at.gt(end)));
    Ok(diesel::update(others).set(client_secrets::expires_at.eq(end)).execute(conn)?)
}

/// Ends every live secret of the client but `kept` at once. `now` in epoch seconds.
pub fn revoke_others(
    conn: &mut Conn,
    provider: &ProviderId,
    client_id: &ClientId,
    kept: &SecretId,
    now: i64,
) -> Result<usize, Fault> {
    let others = client_secrets::table
        .filter(client_secrets::provider_id.eq(provider.as_str()))
        .filter(client_secrets::client_id.eq(client_id.as_str()))
        .filter(client_secrets::id.ne(kept.as_str()))
        .filter(client_secrets::revoked_at.is_null())
        .filter(client_secrets::expires_at.is_null().or(client_secrets::expires_at.gt(now)));
    Ok(diesel::update(others).set(client_secrets::revoked_at.eq(now)).execute(conn)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_stored_secret_read_back() {
        for stored in [
            StoredSecret::Digest { pepper_id: "p1".to_owned(), digest: [0xfb; 32] },
            StoredSecret::Argon2("$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA".to_owned()),
        ] {
            assert_eq!(decoded(&encoded(&stored)), Some(stored));
        }
        for bad in ["", "p1", "$x", "p1$short", "$2b$12$bcrypt", "p1$***"] {
            assert_eq!(decoded(bad), None, "{bad}");
        }
    }
}
