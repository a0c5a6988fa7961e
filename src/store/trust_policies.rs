//! `trust_policies`: what the tokens of an issuer of a tenant must say.

use diesel::prelude::*;

use crate::domain::page::{Page, PageRequest};
use crate::domain::trust::Condition;
use crate::domain::{AudienceSet, Fault, IssuerId, TrustPolicy, TrustPolicyId};
use crate::store::connection::Conn;
use crate::store::fault::unreadable;
use crate::store::trusted_issuers::MirrorCondition;

diesel::table! {
    trust_policies (id) {
        id -> Text,
        issuer_id -> Text,
        name -> Text,
        description -> Text,
        audience -> Text,
        conditions -> Text,
        created_at -> BigInt,
        updated_at -> BigInt,
        deleted_at -> Nullable<BigInt>,
    }
}

#[derive(Queryable, Insertable)]
#[diesel(table_name = trust_policies)]
struct Row {
    id: String,
    issuer_id: String,
    name: String,
    description: String,
    audience: String,
    conditions: String,
    created_at: i64,
    updated_at: i64,
    deleted_at: Option<i64>,
}

impl TryFrom<Row> for TrustPolicy {
    type Error = Fault;

    fn try_from(row: Row) -> Result<Self, Fault> {
        let Row { id, issuer_id, name, description, audience, conditions, created_at, updated_at, deleted_at } = row;
        let bad = |column| move || unreadable("trust_policies", column);
        let mirrors: Vec<MirrorCondition> = serde_json::from_str(&conditions).map_err(|_| bad("conditions")())?;
        let conditions: Option<Vec<Condition>> = mirrors.into_iter().map(MirrorCondition::condition).collect();
        Ok(Self {
            id: id.into(),
            issuer: issuer_id.into(),
            name,
            description,
            audience: AudienceSet::parse(&audience).map_err(|_| bad("audience")())?,
            conditions: conditions.ok_or_else(bad("conditions"))?,
            created_at,
            updated_at,
            deleted_at,
        })
    }
}

impl From<TrustPolicy> for Row {
    fn from(policy: TrustPolicy) -> Self {
        let TrustPolicy { id, issuer, name, description, audience, conditions, created_at, updated_at, deleted_at } =
            policy;
        let mirrors: Vec<MirrorCondition> = conditions.into_iter().map(MirrorCondition::from).collect();
        Self {
            id: id.to_string(),
            issuer_id: issuer.to_string(),
            name,
            description,
            audience: audience.as_str().to_owned(),
            // Strings and lists always serialise; an empty text would be refused when read.
            conditions: serde_json::to_string(&mirrors).unwrap_or_default(),
            created_at,
            updated_at,
            deleted_at,
        }
    }
}

pub fn insert(conn: &mut Conn, policy: TrustPolicy) -> Result<(), Fault> {
    diesel::insert_into(trust_policies::table).values(Row::from(policy)).execute(conn)?;
    Ok(())
}

/// By id, if it is not deleted. Whose it is, its issuer's row says.
pub fn get(conn: &mut Conn, id: &TrustPolicyId) -> Result<Option<TrustPolicy>, Fault> {
    let row: Option<Row> =
        trust_policies::table.find(id.as_str()).filter(trust_policies::deleted_at.is_null()).first(conn).optional()?;
    row.map(TrustPolicy::try_from).transpose()
}

/// Those of an issuer that are not deleted, ordered by id.
pub fn list(conn: &mut Conn, issuer: &IssuerId, page: &PageRequest) -> Result<Page<TrustPolicy>, Fault> {
    let rows: Vec<Row> = trust_policies::table
        .filter(trust_policies::issuer_id.eq(issuer.as_str()))
        .filter(trust_policies::id.gt(page.after.as_deref().unwrap_or_default()))
        .filter(trust_policies::deleted_at.is_null())
        .order(trust_policies::id)
        .limit(i64::from(page.limit) + 1)
        .load(conn)?;
    let items = rows.into_iter().map(TrustPolicy::try_from).collect::<Result<Vec<_>, _>>()?;
    Ok(Page::cut(items, page, |policy| policy.id.to_string()))
}

/// Ends a policy of this issuer. `false`: unknown or deleted before. `now` in epoch seconds.
pub fn soft_delete(conn: &mut Conn, issuer: &IssuerId, id: &TrustPolicyId, now: i64) -> Result<bool, Fault> {
    let row = trust_policies::table
        .find(id.as_str())
        .filter(trust_policies::issuer_id.eq(issuer.as_str()))
        .filter(trust_policies::deleted_at.is_null());
    let end = (trust_policies::deleted_at.eq(now), trust_policies::updated_at.eq(now));
    Ok(diesel::update(row).set(end).execute(conn)? == 1)
}
