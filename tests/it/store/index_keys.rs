//! Whatever stands in an index has a length that the index holds: PostgreSQL refuses a row of an index beyond
//! 2,704 bytes, which would be a fault that anybody could cause.

use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;
use diesel::sql_types::Text;

use crate::support::databases::{Kind, TestDb, block_on, soon};

#[derive(QueryableByName)]
struct Column {
    #[diesel(sql_type = Text)]
    index: String,
    #[diesel(sql_type = Text)]
    name: String,
}

/// Every text and byte column of every index, as `table.column`.
const COLUMNS: &str = "/* a test */ SELECT i.relname::text AS index, t.relname || '.' || a.attname AS name \
     FROM pg_index x JOIN pg_class t ON t.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid \
     JOIN pg_namespace n ON n.oid = t.relnamespace \
     JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = ANY (x.indkey) \
     WHERE n.nspname = 'public' AND a.atttypid IN ('text'::regtype, 'bytea'::regtype) AND t.relname NOT LIKE '\\_\\_diesel%'";

/// The most that PostgreSQL takes, less the head of the row and of each column.
const MOST: usize = 2704 - 64;

/// Identifiers that grantd makes, words of ours and digests: at most this many bytes.
const OURS: usize = 64;
/// Names that may have any characters: 255 of four bytes.
const NAME: usize = 255 * 4;

/// The longest that a column of an index can be, in bytes; what a caller decides over is judged before it gets here.
fn bound(column: &str) -> Option<usize> {
    let (_, own) = column.split_once('.')?;
    Some(match column {
        // An `iss` that an administrator trusts; `issuer:` and that, where a token is spent; our own URL.
        "trusted_issuers.issuer" | "provider_issuers.issuer" | "provider_domains.issuer" => 2048,
        "assertion_jtis.client_id" => 2055,
        "assertion_jtis.jti" => 256,
        // One key of all three: `MAX_LINK` bytes together.
        "user_links.issuer" => 2560,
        "user_links.claim" | "user_links.subject" => 0,
        "users.username_key" => NAME,
        "users.email_key" => 254,
        "provider_domains.domain" => 253,
        "clients.subject" => 255,
        "clients.name" | "api_keys.name" | "providers.name" => NAME,
        "scopes.name" | "provider_roles.name" | "provider_groups.name" => NAME,
        // A client, a person, a key, a row or a name.
        "events.actor" | "events.target" => NAME,
        "webhook_patterns.pattern" | "events.action" => 100,
        "providers.slug" | "api_keys.role" | "clients.only_surface" => OURS,
        // `client:` or `key:` and an id, a digest, a grant.
        "login_failures.id" | "revoked.id" | "usage.id" => 255 + OURS,
        _ if own == "client_id" => 255,
        _ if matches!(own, "id" | "digest" | "kid" | "jti" | "key" | "alg" | "kind" | "state" | "name") => OURS,
        _ if own.ends_with("_id") => OURS,
        _ => return None,
    })
}

#[test]
fn every_column_of_an_index_has_a_bound_and_together_they_fit() {
    let test = TestDb::migrated(Kind::Postgres);
    let read = async { test.db().read(soon(), |conn| Ok(diesel::sql_query(COLUMNS).load::<Column>(conn)?)).await };
    let mut indexes: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for Column { index, name } in block_on(read).unwrap() {
        indexes.entry(index).or_default().insert(name);
    }
    assert!(indexes.len() > 50, "{indexes:#?}");
    for (index, columns) in &indexes {
        let of =
            |column: &String| bound(column).unwrap_or_else(|| panic!("say here how long {column} can be: {index}"));
        let bytes: usize = columns.iter().map(of).sum();
        assert!(bytes <= MOST, "{index} may hold {bytes} bytes: {columns:?}");
    }
}
