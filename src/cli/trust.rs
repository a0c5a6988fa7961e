//! `grantd trust …`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::cli::body::{Change, Data, Version, given, json_file, read};
use crate::cli::call::Call;
use crate::cli::clients::At;
use crate::cli::rest::{Paging, Rest};
use crate::cli::{CliError, output};

#[derive(Subcommand)]
pub enum Command {
    /// Trust an issuer; nobody may hand its tokens in before a --client is named
    Create {
        #[command(flatten)]
        at: At,
        #[command(flatten)]
        fields: Box<Fields>,
        #[command(flatten)]
        data: Data,
    },
    /// List trusted issuers
    List {
        #[command(flatten)]
        at: At,
        #[command(flatten)]
        paging: Paging,
    },
    /// Show a trusted issuer
    Show {
        #[command(flatten)]
        at: At,
        id: String,
    },
    /// Change a trusted issuer
    Update {
        #[command(flatten)]
        at: At,
        id: String,
        #[command(flatten)]
        fields: Box<Fields>,
        #[command(flatten)]
        change: Change,
    },
    /// End the trust: its tokens are refused at once
    Delete {
        #[command(flatten)]
        at: At,
        id: String,
        #[command(flatten)]
        version: Version,
    },
    /// Say how every check of a token comes out; nothing is spent or made
    Test {
        #[command(flatten)]
        at: At,
        /// One trusted issuer; without it all of the token's issuer
        id: Option<String>,
        /// A file with the token
        #[arg(long, value_name = "FILE")]
        token_file: PathBuf,
        /// The client that would hand it in
        #[arg(long)]
        client: Option<String>,
        /// The token type URI it would be called
        #[arg(long)]
        token_type: Option<String>,
    },
}

#[derive(Args, Serialize)]
pub struct Fields {
    /// `iss` of its tokens, byte for byte
    #[arg(long)]
    issuer: Option<String>,
    /// A file with its JWK Set
    #[arg(long, value_name = "FILE", conflicts_with_all = ["jwks_uri", "discovery"])]
    #[serde(skip)]
    jwks: Option<PathBuf>,
    /// Where its JWK Set is published
    #[arg(long, conflicts_with = "discovery")]
    #[serde(skip)]
    jwks_uri: Option<String>,
    /// Find its keys by its metadata, which is what it does unless told otherwise
    #[arg(long)]
    #[serde(skip)]
    discovery: bool,
    /// exchange or validate
    #[arg(long)]
    purpose: Option<String>,
    /// A client that may hand its tokens in; repeat for more
    #[arg(long)]
    #[serde(rename = "clients")]
    client: Option<Vec<String>>,
    /// An `aud` of which its tokens must have one; repeat for more
    #[arg(long)]
    #[serde(rename = "audiences")]
    accepted_audience: Option<Vec<String>>,
    /// An algorithm its tokens may be signed with; repeat for more
    #[arg(long)]
    #[serde(rename = "algorithms")]
    algorithm: Option<Vec<String>>,
    /// The claim that names the subject
    #[arg(long)]
    subject_claim: Option<String>,
    /// "CLAIM OPERATOR VALUE", as "groups like dev-*"; the values of in are separated by commas; repeat for more
    #[arg(long)]
    #[serde(skip)]
    condition: Option<Vec<String>>,
    /// A token type URI that is taken; repeat for more
    #[arg(long)]
    #[serde(rename = "token_types")]
    token_type: Option<Vec<String>>,
    /// A token works once, by its jti
    #[arg(long)]
    require_jti: Option<bool>,
    /// Seconds that its iat may lie back
    #[arg(long)]
    max_age: Option<i64>,
    /// user or client
    #[arg(long)]
    map_to: Option<String>,
    /// none or jit
    #[arg(long)]
    provision: Option<String>,
    /// Link an account by an email that both sides have verified
    #[arg(long)]
    link_by_verified_email: Option<bool>,
    /// Give refresh tokens too
    #[arg(long)]
    allow_refresh: Option<bool>,
    /// What an exchanged token may have: scope names, separated by spaces
    #[arg(long)]
    scope: Option<String>,
    /// What an exchanged token may be for; repeat for more
    #[arg(long)]
    audience: Option<Vec<String>>,
    /// Seconds
    #[arg(long)]
    max_ttl: Option<i64>,
    /// SHA-1 or SHA-256 of a certificate that the servers of its keys must show; repeat for more
    #[arg(long)]
    #[serde(rename = "fingerprints")]
    fingerprint: Option<Vec<String>>,
    #[arg(long)]
    enabled: Option<bool>,
}

impl Fields {
    /// By their names in the API.
    fn given(&self) -> Result<Map<String, Value>, CliError> {
        let mut members = given(self);
        if let Some(all) = &self.condition {
            let read = all.iter().map(|text| condition(text)).collect::<Result<Vec<_>, _>>()?;
            members.insert("conditions".to_owned(), Value::Array(read));
        }
        // One place of the keys replaces the other.
        let keys = match (&self.jwks, &self.jwks_uri, self.discovery) {
            (Some(file), _, _) => Some((json_file(file)?, Value::Null)),
            (None, Some(url), _) => Some((Value::Null, json!(url))),
            (None, None, true) => Some((Value::Null, Value::Null)),
            (None, None, false) => None,
        };
        if let Some((jwks, url)) = keys {
            members.extend([("jwks".to_owned(), jwks), ("jwks_uri".to_owned(), url)]);
        }
        Ok(members)
    }
}

/// ```text
/// groups like dev-*      org in acme,globex
/// ```
fn condition(text: &str) -> Result<Value, CliError> {
    let mut words = text.splitn(3, ' ');
    let (Some(claim), Some(operator), Some(value)) = (words.next(), words.next(), words.next()) else {
        return Err(CliError::Refused("a condition is written as \"CLAIM OPERATOR VALUE\"".to_owned()));
    };
    let value =
        if operator == "in" { json!(value.split(',').map(str::trim).collect::<Vec<_>>()) } else { json!(value) };
    Ok(json!({ "claim": claim, "operator": operator, "value": value }))
}

impl Command {
    pub async fn run(self, rest: &Rest) -> Result<(), CliError> {
        match self {
            Self::Create { at, fields, data } => {
                let body = data.body(fields.given()?)?;
                rest.show(Call::create(at.path(&["trusted-issuers"])?, Value::Object(body))).await
            }
            Self::List { at, paging } => {
                let columns = ["id", "issuer", "purpose", "map_to", "clients", "audiences", "enabled"];
                rest.list(Call::get(at.path(&["trusted-issuers"])?), &columns, &paging).await
            }
            Self::Show { at, id } => rest.show(Call::get(at.path(&["trusted-issuers", &id])?)).await,
            Self::Update { at, id, fields, change } => {
                let (body, version) = change.patch(fields.given()?)?;
                rest.show(Call::patch(at.path(&["trusted-issuers", &id])?, body).if_match(version)).await
            }
            Self::Delete { at, id, version } => {
                let call = Call::delete(at.path(&["trusted-issuers", &id])?).if_match(version.if_match);
                rest.done(call, "The trust has ended.").await
            }
            Self::Test { at, id, token_file, client, token_type } => {
                let mut body = Map::new();
                let token = read(&token_file)?.trim().to_owned();
                for (name, value) in [("token", Some(token)), ("client_id", client), ("token_type", token_type)] {
                    body.extend(value.map(|value| (name.to_owned(), json!(value))));
                }
                let row = id.as_deref().map_or_else(Vec::new, |id| vec![id]);
                let segments = [vec!["trusted-issuers"], row, vec!["test"]].concat();
                let answer = rest.ask(Call::post(at.path(&segments)?, Value::Object(body))).await?;
                show_trial(&answer.json(), rest.json)
            }
        }
    }
}

/// For people one line a check.
fn show_trial(shown: &Value, as_json: bool) -> Result<(), CliError> {
    if as_json {
        return Ok(output::show(shown, true)?);
    }
    let mut lines = Vec::new();
    for row in shown["rows"].as_array().into_iter().flatten() {
        for check in row["checks"].as_array().into_iter().flatten() {
            let mut line = check.clone();
            line["trusted_issuer"] = row["id"].clone();
            lines.push(line);
        }
    }
    output::table(&lines, &["trusted_issuer", "name", "outcome", "detail"])?;
    let accepted = if shown["accepted"] == true { "accepted" } else { "refused" };
    Ok(output::done(&format!("{accepted}: {}", output::plain(&shown["reason"])), false)?)
}
