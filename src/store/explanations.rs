//! `explanations`: why requests were decided as they were. Written behind, in batches; the body is JSON.

use std::borrow::Cow;
use std::net::IpAddr;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};
use serde::{Deserialize, Serialize};

use crate::domain::explanation::{Ending, Fact, Step, UsedKey};
use crate::domain::external::Outcome;
use crate::domain::{ClientId, Explanation, Fault, ProviderId, UnixTime};
use crate::store::connection::Conn;
use crate::store::fault::unreadable;

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    request_id: String,
    #[diesel(sql_type = BigInt)]
    at: i64,
    #[diesel(sql_type = Nullable<Text>)]
    provider_id: Option<String>,
    #[diesel(sql_type = Text)]
    body: String,
}

/// What `body` holds.
#[derive(Serialize, Deserialize)]
struct Body {
    node: String,
    surface: String,
    kind: String,
    outcome: String,
    client: Option<String>,
    /// Missing in rows of the release before.
    #[serde(default)]
    key: Option<StoredKey>,
    address: IpAddr,
    rule: String,
    sentence: String,
    steps: Vec<StoredStep>,
    skipped: u64,
}

#[derive(Serialize, Deserialize)]
struct StoredKey {
    id: String,
    provider: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct StoredStep {
    rule: String,
    outcome: String,
    values: Vec<(String, StoredFact)>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredFact {
    Text(String),
    Number(i64),
    Time(i64),
    Flag(bool),
    List(Vec<String>),
}

impl From<&Fact> for StoredFact {
    fn from(fact: &Fact) -> Self {
        match fact {
            Fact::Text(text) => Self::Text(text.clone().into_owned()),
            Fact::Number(number) => Self::Number(*number),
            Fact::Time(seconds) => Self::Time(*seconds),
            Fact::Flag(flag) => Self::Flag(*flag),
            Fact::List(items) => Self::List(items.clone()),
        }
    }
}

impl From<StoredFact> for Fact {
    fn from(fact: StoredFact) -> Self {
        match fact {
            StoredFact::Text(text) => Self::Text(Cow::Owned(text)),
            StoredFact::Number(number) => Self::Number(number),
            StoredFact::Time(seconds) => Self::Time(seconds),
            StoredFact::Flag(flag) => Self::Flag(flag),
            StoredFact::List(items) => Self::List(items),
        }
    }
}

impl From<&Step> for StoredStep {
    fn from(step: &Step) -> Self {
        let values = step.values.iter().map(|(name, fact)| (name.clone().into_owned(), fact.into())).collect();
        Self { rule: step.rule.clone().into_owned(), outcome: step.outcome.name().to_owned(), values }
    }
}

impl TryFrom<StoredStep> for Step {
    type Error = Fault;

    fn try_from(step: StoredStep) -> Result<Self, Fault> {
        let StoredStep { rule, outcome, values } = step;
        let known = [Outcome::Passed, Outcome::Failed, Outcome::Skipped];
        let outcome = known.into_iter().find(|known| known.name() == outcome);
        let values = values.into_iter().map(|(name, fact)| (Cow::Owned(name), fact.into())).collect();
        let outcome = outcome.ok_or_else(|| unreadable("explanations", "body"))?;
        Ok(Self { rule: Cow::Owned(rule), outcome, values })
    }
}

impl TryFrom<Row> for Explanation {
    type Error = Fault;

    fn try_from(row: Row) -> Result<Self, Fault> {
        let Row { request_id, at, provider_id, body } = row;
        let body: Body = serde_json::from_str(&body).map_err(|_| unreadable("explanations", "body"))?;
        let Body { node, surface, kind, outcome, client, key, address, rule, sentence, steps, skipped } = body;
        Ok(Self {
            request_id,
            at: UnixTime::from_millis(at),
            node: Cow::Owned(node),
            surface: Cow::Owned(surface),
            kind: Cow::Owned(kind),
            outcome: Ending::from_name(&outcome).ok_or_else(|| unreadable("explanations", "body"))?,
            client: client.map(ClientId::from),
            key: key
                .map(|StoredKey { id, provider }| UsedKey { id: id.into(), provider: provider.map(ProviderId::from) }),
            provider: provider_id.map(ProviderId::from),
            address,
            rule: Cow::Owned(rule),
            sentence: Cow::Owned(sentence),
            steps: steps.into_iter().map(Step::try_from).collect::<Result<_, _>>()?,
            skipped,
        })
    }
}

/// Writes one; nothing if its request has one.
pub fn insert(conn: &mut Conn, explanation: &Explanation) -> Result<(), Fault> {
    const INSERT: &str = "INSERT INTO explanations (request_id, at, provider_id, body) VALUES ($1, $2, $3, $4) \
         ON CONFLICT DO NOTHING";
    let Explanation {
        request_id,
        at,
        node,
        surface,
        kind,
        outcome,
        client,
        key,
        provider,
        address,
        rule,
        sentence,
        steps,
        skipped,
    } = explanation;
    let body = Body {
        node: node.clone().into_owned(),
        surface: surface.clone().into_owned(),
        kind: kind.clone().into_owned(),
        outcome: outcome.name().to_owned(),
        client: client.as_ref().map(ToString::to_string),
        key: key.as_ref().map(|UsedKey { id, provider }| StoredKey {
            id: id.to_string(),
            provider: provider.as_ref().map(ToString::to_string),
        }),
        address: *address,
        rule: rule.clone().into_owned(),
        sentence: sentence.clone().into_owned(),
        steps: steps.iter().map(StoredStep::from).collect(),
        skipped: *skipped,
    };
    let body = serde_json::to_string(&body).map_err(Fault::store)?;
    diesel::sql_query(INSERT)
        .bind::<Text, _>(request_id)
        .bind::<BigInt, _>(at.millis())
        .bind::<Nullable<Text>, _>(provider.as_ref().map(|provider| provider.as_str()))
        // PostgreSQL takes no NUL, which JSON spells otherwise.
        .bind::<Text, _>(body)
        .execute(conn)?;
    Ok(())
}

pub fn get(conn: &mut Conn, request_id: &str) -> Result<Option<Explanation>, Fault> {
    const GET: &str = "SELECT request_id, at, provider_id, body FROM explanations WHERE request_id = $1";
    let row: Option<Row> = diesel::sql_query(GET).bind::<Text, _>(request_id).get_result(conn).optional()?;
    row.map(Explanation::try_from).transpose()
}

/// Deletes at most `limit` of the oldest beyond `keep` rows; answers how many.
pub fn sweep_beyond(conn: &mut Conn, keep: u32, limit: u32) -> Result<usize, Fault> {
    let (row, skip) = match conn {
        Conn::Sqlite(_) => ("rowid", ""),
        Conn::Postgres(_) => ("ctid", " FOR UPDATE SKIP LOCKED"),
    };
    let sql = format!(
        "DELETE FROM explanations WHERE {row} IN (SELECT {row} FROM explanations WHERE at <= \
         (SELECT at FROM explanations ORDER BY at DESC LIMIT 1 OFFSET {keep}) ORDER BY at LIMIT {limit}{skip})"
    );
    Ok(diesel::sql_query(sql).execute(conn)?)
}
