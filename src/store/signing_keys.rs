//! `signing_keys`: next → active → retired. Two partial unique indexes hold "at most one active and
//! one next of an algorithm" against any number of nodes, so no step here asks first.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use crate::domain::key::{KeyState, StoredSigningKey};
use crate::domain::{Fault, ProviderId, SigningAlg};
use crate::store::connection::{Conn, each};
use crate::store::fault::unreadable;

diesel::table! {
    signing_keys (kid) {
        kid -> Text,
        provider_id -> Text,
        alg -> Text,
        state -> Text,
        public_jwk -> Text,
        sealed_private -> Binary,
        data_key_id -> Text,
        created_at -> BigInt,
        activates_at -> BigInt,
        retired_at -> Nullable<BigInt>,
        max_lifetime -> BigInt,
    }
}

#[derive(Queryable, Insertable)]
#[diesel(table_name = signing_keys)]
struct Row {
    kid: String,
    provider_id: String,
    alg: String,
    state: String,
    public_jwk: String,
    sealed_private: Vec<u8>,
    data_key_id: String,
    created_at: i64,
    activates_at: i64,
    retired_at: Option<i64>,
    max_lifetime: i64,
}

impl TryFrom<Row> for StoredSigningKey {
    type Error = Fault;

    fn try_from(row: Row) -> Result<Self, Fault> {
        let Row {
            kid,
            provider_id,
            alg,
            state,
            public_jwk,
            sealed_private,
            data_key_id,
            created_at,
            activates_at,
            retired_at,
            max_lifetime,
        } = row;
        Ok(Self {
            kid,
            provider: ProviderId::from(provider_id),
            alg: SigningAlg::from_name(&alg).ok_or_else(|| unreadable("signing_keys", "alg"))?,
            state: KeyState::from_name(&state).ok_or_else(|| unreadable("signing_keys", "state"))?,
            public_jwk,
            sealed_private,
            data_key_id,
            created_at,
            activates_at,
            retired_at,
            max_lifetime,
        })
    }
}

impl From<StoredSigningKey> for Row {
    fn from(key: StoredSigningKey) -> Self {
        let StoredSigningKey {
            kid,
            provider,
            alg,
            state,
            public_jwk,
            sealed_private,
            data_key_id,
            created_at,
            activates_at,
            retired_at,
            max_lifetime,
        } = key;
        Self {
            kid,
            provider_id: provider.to_string(),
            alg: alg.name().to_owned(),
            state: state.name().to_owned(),
            public_jwk,
            sealed_private,
            data_key_id,
            created_at,
            activates_at,
            retired_at,
            max_lifetime,
        }
    }
}

/// What the JWKS shows at `now` (epoch seconds): next, active, and retired keys whose tokens may
/// still live.
pub fn published(conn: &mut Conn, provider: &ProviderId, now: i64) -> Result<Vec<StoredSigningKey>, Fault> {
    let all = list(conn, provider)?;
    let shown = |key: &StoredSigningKey| key.retired_at.is_none_or(|end| end.saturating_add(key.max_lifetime) > now);
    Ok(all.into_iter().filter(shown).collect())
}

/// All that are left, ordered by kid. A provider has a handful.
pub fn list(conn: &mut Conn, provider: &ProviderId) -> Result<Vec<StoredSigningKey>, Fault> {
    let own = signing_keys::table.filter(signing_keys::provider_id.eq(provider.as_str()));
    let rows: Vec<Row> = own.order(signing_keys::kid).load(conn)?;
    rows.into_iter().map(StoredSigningKey::try_from).collect()
}

/// The first key of an algorithm. `false`: there is an active one already, which is as good.
/// `key.state` must be [`KeyState::Active`].
pub fn insert_active_if_none(conn: &mut Conn, key: StoredSigningKey) -> Result<bool, Fault> {
    insert(conn, key)
}

/// A key that is published before it signs. `false`: one waits already. `key.state` must be
/// [`KeyState::Next`].
pub fn insert_next(conn: &mut Conn, key: StoredSigningKey) -> Result<bool, Fault> {
    insert(conn, key)
}

fn insert(conn: &mut Conn, key: StoredSigningKey) -> Result<bool, Fault> {
    let row = Row::from(key);
    let rows = each!(conn, conn => diesel::insert_into(signing_keys::table)
        .values(row)
        .on_conflict_do_nothing()
        .execute(conn))?;
    Ok(rows == 1)
}

/// Provider and algorithm of at most `limit` *next* keys that are due at `now` (epoch seconds), the
/// longest due first.
pub fn due(conn: &mut Conn, now: i64, limit: u32) -> Result<Vec<(ProviderId, SigningAlg)>, Fault> {
    // The state as a literal: so the partial index answers.
    let waiting = signing_keys::table
        .filter(diesel::dsl::sql::<diesel::sql_types::Bool>("state = 'next'"))
        .filter(signing_keys::activates_at.le(now))
        .order(signing_keys::activates_at)
        .limit(i64::from(limit));
    let rows: Vec<(String, String)> = waiting.select((signing_keys::provider_id, signing_keys::alg)).load(conn)?;
    let known = |(provider, alg): (String, String)| Some((ProviderId::from(provider), SigningAlg::from_name(&alg)?));
    Ok(rows.into_iter().filter_map(known).collect())
}

/// Retires the active key and activates the next one, if that is due at `now` (epoch seconds).
/// `true` for exactly one of many at once. Two guarded statements: call it in a transaction.
pub fn promote_due(conn: &mut Conn, provider: &ProviderId, alg: SigningAlg, now: i64) -> Result<bool, Fault> {
    // Retiring comes first, because two keys cannot be active for even one statement. Another node
    // waits here for the row, finds it retired, and then finds no next one left.
    const RETIRE: &str = "UPDATE signing_keys SET state = 'retired', retired_at = $1 \
         WHERE provider_id = $2 AND alg = $3 AND state = 'active' AND EXISTS \
         (SELECT 1 FROM signing_keys due WHERE due.provider_id = $2 AND due.alg = $3 \
          AND due.state = 'next' AND due.activates_at <= $1)";
    // SQLite numbers `$n` by first appearance, so the binds appear in order.
    const ACTIVATE: &str = "UPDATE signing_keys SET state = 'active' \
         WHERE activates_at <= $1 AND provider_id = $2 AND alg = $3 AND state = 'next'";
    let step = |conn: &mut Conn, sql: &'static str| {
        diesel::sql_query(sql)
            .bind::<BigInt, _>(now)
            .bind::<Text, _>(provider.as_str())
            .bind::<Text, _>(alg.name())
            .execute(conn)
    };
    step(conn, RETIRE)?;
    Ok(step(conn, ACTIVATE)? == 1)
}

/// The longest lifetime of tokens that the keys which sign or will sign must outlive, in seconds.
/// Only ever raised; answers how many keys it was too short for.
pub fn raise_max_lifetime(conn: &mut Conn, provider: &ProviderId, seconds: i64) -> Result<usize, Fault> {
    let keys = signing_keys::table
        .filter(signing_keys::provider_id.eq(provider.as_str()))
        .filter(signing_keys::state.ne(KeyState::Retired.name()))
        .filter(signing_keys::max_lifetime.lt(seconds));
    Ok(diesel::update(keys).set(signing_keys::max_lifetime.eq(seconds)).execute(conn)?)
}
