//! `principal_names`: the names that stand or stood for a client, a person or an API key. A name stands for
//! one of them for ever, at its provider; the id of an API key at every provider. A reader of a token may look
//! at `sub` or at `client_id` (RFC 9068 §5), and an event names its actor by id only.

use diesel::prelude::*;
use diesel::sql_types::Text;

use crate::domain::id::{is_reserved, principal_key};
use crate::domain::{ApiKeyId, Fault, ProviderId};
use crate::store::connection::{Conn, each};

diesel::table! {
    principal_names (name, provider_id) {
        name -> Text,
        provider_id -> Text,
    }
}

/// The provider of a name that is taken at all of them.
const EVERYWHERE: &str = "";

/// Whether one of these names is or was in use at the provider, or may never be.
pub fn any_taken(conn: &mut Conn, provider: &ProviderId, names: &[&str]) -> Result<bool, Fault> {
    if names.iter().any(|name| is_reserved(name)) {
        return Ok(true);
    }
    let keys: Vec<_> = names.iter().map(|name| principal_key(name)).collect();
    let taken: Option<String> = each!(conn, conn => principal_names::table
        .filter(principal_names::name.eq_any(&keys))
        .filter(principal_names::provider_id.eq_any([provider.as_str(), EVERYWHERE]))
        .select(principal_names::name)
        .first(conn)
        .optional())?;
    Ok(taken.is_some())
}

/// Takes both names for a new principal of the provider, or none of them; they may be the same. `false`: one is or
/// was in use, or may never be. Call it with the provider's row held, or two that come at once may both fail. An API
/// key made at the same moment is no danger, because its id is random.
pub(in crate::store) fn claim(conn: &mut Conn, provider: &ProviderId, one: &str, other: &str) -> Result<bool, Fault> {
    const CLAIM: &str = "INSERT INTO principal_names (name, provider_id) \
         SELECT asked.name, $1 FROM (SELECT $2 AS name UNION SELECT $3) AS asked \
         WHERE NOT EXISTS (SELECT 1 FROM principal_names AS held \
         WHERE held.name IN ($2, $3) AND held.provider_id IN ($1, ''))";
    if is_reserved(one) || is_reserved(other) {
        return Ok(false);
    }
    let rows = diesel::sql_query(CLAIM)
        .bind::<Text, _>(provider.as_str())
        .bind::<Text, _>(principal_key(one))
        .bind::<Text, _>(principal_key(other))
        .execute(conn)?;
    Ok(rows > 0)
}

/// Takes the id of a new API key at every provider. `false`: it is or was in use at one of them.
pub(in crate::store) fn claim_everywhere(conn: &mut Conn, id: &ApiKeyId) -> Result<bool, Fault> {
    const CLAIM: &str = "INSERT INTO principal_names (name, provider_id) \
         SELECT $1, '' WHERE NOT EXISTS (SELECT 1 FROM principal_names AS held WHERE held.name = $1)";
    Ok(diesel::sql_query(CLAIM).bind::<Text, _>(principal_key(id.as_str())).execute(conn)? == 1)
}

/// Takes a claim back, in the transaction that made it.
pub(in crate::store) fn release(conn: &mut Conn, id: &ApiKeyId) -> Result<(), Fault> {
    let row = principal_names::table.find((principal_key(id.as_str()), EVERYWHERE));
    each!(conn, conn => diesel::delete(row).execute(conn))?;
    Ok(())
}
