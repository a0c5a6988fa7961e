//! `provider_issuers`: every `iss` a provider signs or has signed with.
//!
//! One of them is the *base*, which follows the public URL; the others are those of verified domains,
//! and former ones. One is *primary* and goes into new tokens: the base, unless a domain was made
//! primary. The issuer of a domain that was deleted is *ended*: free for another provider, while its
//! own tokens verify until they expire; then it is swept.

use diesel::prelude::*;
use diesel::sql_types::Text;

use crate::domain::issuer_url::spellings;
use crate::domain::{Fault, ProviderId};
use crate::store::connection::{Conn, each};
use crate::store::provider_domains;
use crate::store::providers::{self, provider_issuers, providers as rows};

#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = Text)]
    #[diesel(column_name = issuer)]
    _issuer: String,
}

/// The issuers of one provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuers {
    /// Below the public URL.
    pub base: String,
    /// The provider answers to these; the primary one first.
    pub live: Vec<String>,
    /// Tokens of these verify, and nothing else.
    pub former: Vec<String>,
}

/// `None`: there is no such provider.
pub fn of_provider(conn: &mut Conn, id: &ProviderId) -> Result<Option<Issuers>, Fault> {
    let rows: Vec<(String, bool, bool, Option<i64>)> = provider_issuers::table
        .filter(provider_issuers::provider_id.eq(id.as_str()))
        .select((
            provider_issuers::issuer,
            provider_issuers::is_primary,
            provider_issuers::is_base,
            provider_issuers::ended_at,
        ))
        .order((provider_issuers::is_primary.desc(), provider_issuers::issuer))
        .load(conn)?;
    // A release before domains writes no base: there the primary one is it.
    let base = rows.iter().find(|row| row.2).or_else(|| rows.iter().find(|row| row.1));
    let Some(base) = base.map(|row| row.0.clone()) else { return Ok(None) };
    let (live, former): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.3.is_none());
    let texts = |rows: Vec<(String, bool, bool, Option<i64>)>| rows.into_iter().map(|row| row.0).collect();
    Ok(Some(Issuers { base, live: texts(live), former: texts(former) }))
}

/// The issuer below the public URL; also of a deleted provider.
pub fn base(conn: &mut Conn, id: &ProviderId) -> Result<Option<String>, Fault> {
    Ok(of_provider(conn, id)?.map(|issuers| issuers.base))
}

/// The issuer of new tokens; also of a deleted provider.
pub fn primary(conn: &mut Conn, id: &ProviderId) -> Result<Option<String>, Fault> {
    let primary = provider_issuers::table
        .filter(provider_issuers::provider_id.eq(id.as_str()))
        .filter(provider_issuers::is_primary);
    Ok(primary.select(provider_issuers::issuer).first(conn).optional()?)
}

/// The issuer of new tokens if it is that of a domain.
pub fn primary_domain(conn: &mut Conn, id: &ProviderId) -> Result<Option<String>, Fault> {
    let primary = provider_issuers::table
        .filter(provider_issuers::provider_id.eq(id.as_str()))
        .filter(provider_issuers::is_primary)
        .filter(provider_issuers::is_base.eq(false));
    Ok(primary.select(provider_issuers::issuer).first(conn).optional()?)
}

/// The first issuer of a new provider: base and primary. `now` in epoch seconds.
///
/// # Errors
///
/// A broken constraint if another provider lives under it.
pub(in crate::store) fn add_base(conn: &mut Conn, id: &ProviderId, issuer: &str, now: i64) -> Result<(), Fault> {
    add(conn, id, issuer, now)?;
    mark_primary(conn, id, issuer)?;
    mark_base(conn, id, issuer)
}

/// Adds an issuer that is neither base nor primary, or takes an ended one up again. `now` in epoch
/// seconds.
///
/// # Errors
///
/// A broken constraint if another provider lives under it.
pub fn add(conn: &mut Conn, id: &ProviderId, issuer: &str, now: i64) -> Result<(), Fault> {
    each!(conn, conn => diesel::insert_into(provider_issuers::table)
        .values((
            provider_issuers::provider_id.eq(id.as_str()),
            provider_issuers::issuer.eq(issuer),
            provider_issuers::is_primary.eq(false),
            provider_issuers::is_base.eq(false),
            provider_issuers::created_at.eq(now),
        ))
        .on_conflict((provider_issuers::provider_id, provider_issuers::issuer))
        .do_update()
        .set(provider_issuers::ended_at.eq(None::<i64>))
        .execute(conn))?;
    Ok(())
}

/// Ends an issuer that is neither base nor primary. `now` in epoch seconds.
pub fn end(conn: &mut Conn, id: &ProviderId, issuer: &str, now: i64) -> Result<(), Fault> {
    let row = provider_issuers::table
        .filter(provider_issuers::provider_id.eq(id.as_str()))
        .filter(provider_issuers::issuer.eq(issuer))
        .filter(provider_issuers::is_primary.eq(false))
        .filter(provider_issuers::is_base.eq(false))
        .filter(provider_issuers::ended_at.is_null());
    diesel::update(row).set(provider_issuers::ended_at.eq(now)).execute(conn)?;
    Ok(())
}

/// Whether any provider, deleted ones included, lives or has lived under exactly this issuer: tokens of
/// ended ones verify until they expire.
pub fn is_or_was_ours(conn: &mut Conn, issuer: &str) -> Result<bool, Fault> {
    let same = provider_issuers::table.filter(provider_issuers::issuer.eq(issuer));
    let found: Option<String> = same.select(provider_issuers::issuer).first(conn).optional()?;
    Ok(found.is_some())
}

/// As [`is_or_was_ours`], for an issuer that was typed: letter case, a slash at the end and the usual
/// port make no other one. The index on the expression answers it.
pub fn resembles_ours(conn: &mut Conn, issuer: &str) -> Result<bool, Fault> {
    let sql = "SELECT issuer FROM provider_issuers WHERE rtrim(lower(issuer), '/') IN ($1, $2, $3) LIMIT 1";
    let [one, two, three] = spellings(issuer);
    let found: Vec<Found> =
        diesel::sql_query(sql).bind::<Text, _>(one).bind::<Text, _>(two).bind::<Text, _>(three).load(conn)?;
    Ok(!found.is_empty())
}

/// Ends an issuer that another provider has left behind: neither base nor primary, nor that of a domain
/// which it has verified. `false`: another provider still uses it. `now` in epoch seconds.
pub fn make_way(conn: &mut Conn, id: &ProviderId, issuer: &str, now: i64) -> Result<bool, Fault> {
    let Some(holder) = providers::by_issuer(conn, issuer)?.filter(|holder| holder != id) else { return Ok(true) };
    if provider_domains::verified(conn, &holder)?.iter().any(|(_, own)| own == issuer) {
        return Ok(false);
    }
    end(conn, &holder, issuer, now)?;
    Ok(providers::by_issuer(conn, issuer)?.is_none())
}

/// Makes a live issuer the one of new tokens; tokens of the one before verify until they expire.
/// Raises the provider's version. Call it in a transaction that holds the provider's row.
pub fn make_primary(conn: &mut Conn, id: &ProviderId, issuer: &str, now: i64) -> Result<(), Fault> {
    if let Some(Issuers { base, .. }) = of_provider(conn, id)? {
        // Where no row says so, from now on one must.
        mark_base(conn, id, &base)?;
    }
    mark_primary(conn, id, issuer)?;
    touch(conn, id, now)
}

/// Makes `issuer` the base, and the primary one if the base was that; tokens of the one before verify
/// until they expire. Raises the provider's version. Call it in a transaction that holds the
/// provider's row.
///
/// # Errors
///
/// A broken constraint if another provider lives under it.
pub fn move_base(conn: &mut Conn, id: &ProviderId, issuer: &str, now: i64) -> Result<(), Fault> {
    let is_primary = base(conn, id)? == primary(conn, id)?;
    add(conn, id, issuer, now)?;
    if is_primary {
        mark_primary(conn, id, issuer)?;
    }
    mark_base(conn, id, issuer)?;
    touch(conn, id, now)
}

/// Two updates, because the index allows no second primary row even for a moment.
fn mark_primary(conn: &mut Conn, id: &ProviderId, issuer: &str) -> Result<(), Fault> {
    let own = provider_issuers::table.filter(provider_issuers::provider_id.eq(id.as_str()));
    let before = own.filter(provider_issuers::is_primary);
    diesel::update(before).set(provider_issuers::is_primary.eq(false)).execute(conn)?;
    let chosen = own.filter(provider_issuers::issuer.eq(issuer));
    diesel::update(chosen).set(provider_issuers::is_primary.eq(true)).execute(conn)?;
    Ok(())
}

fn mark_base(conn: &mut Conn, id: &ProviderId, issuer: &str) -> Result<(), Fault> {
    let own = provider_issuers::table.filter(provider_issuers::provider_id.eq(id.as_str()));
    let before = own.filter(provider_issuers::is_base);
    diesel::update(before).set(provider_issuers::is_base.eq(false)).execute(conn)?;
    let chosen = own.filter(provider_issuers::issuer.eq(issuer));
    diesel::update(chosen).set(provider_issuers::is_base.eq(true)).execute(conn)?;
    Ok(())
}

fn touch(conn: &mut Conn, id: &ProviderId, now: i64) -> Result<(), Fault> {
    let changed = (rows::version.eq(rows::version + 1), rows::updated_at.eq(now));
    diesel::update(rows::table.filter(rows::id.eq(id.as_str()))).set(changed).execute(conn)?;
    Ok(())
}
