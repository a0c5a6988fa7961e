//! `grantd trust …`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use secrecy::SecretString;

use crate::admin::trusted_issuers::{TrialOut, TrustedIssuerOut};
use crate::admin::wire::value;
use crate::cli::clients::{At, read};
use crate::cli::{CliError, Local, output};
use crate::domain::page::PageRequest;
use crate::domain::patch::Field;
use crate::engine::manage::trusted_issuer_fields::{ConditionDraft, ConditionValue, TrustedIssuerDraft};
use crate::engine::manage::trusted_issuers::TrialDraft;

#[derive(Subcommand)]
pub enum Command {
    /// Trust an issuer; nobody may hand its tokens in before a --client is named
    Create {
        #[command(flatten)]
        at: At,
        #[command(flatten)]
        fields: Box<Fields>,
    },
    /// List trusted issuers
    List {
        #[command(flatten)]
        at: At,
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
    },
    /// End the trust: its tokens are refused at once
    Delete {
        #[command(flatten)]
        at: At,
        id: String,
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

#[derive(Args)]
pub struct Fields {
    /// `iss` of its tokens, byte for byte
    #[arg(long)]
    issuer: Option<String>,
    /// A file with its JWK Set
    #[arg(long, value_name = "FILE", conflicts_with_all = ["jwks_uri", "discovery"])]
    jwks: Option<PathBuf>,
    /// Where its JWK Set is published
    #[arg(long, conflicts_with = "discovery")]
    jwks_uri: Option<String>,
    /// Find its keys by its metadata, which is what it does unless told otherwise
    #[arg(long)]
    discovery: bool,
    /// exchange or validate
    #[arg(long)]
    purpose: Option<String>,
    /// A client that may hand its tokens in; repeat for more
    #[arg(long)]
    client: Option<Vec<String>>,
    /// An `aud` of which its tokens must have one; repeat for more
    #[arg(long)]
    accepted_audience: Option<Vec<String>>,
    /// An algorithm its tokens may be signed with; repeat for more
    #[arg(long)]
    algorithm: Option<Vec<String>>,
    /// The claim that names the subject
    #[arg(long)]
    subject_claim: Option<String>,
    /// "CLAIM OPERATOR VALUE", as "groups like dev-*"; the values of in are separated by commas; repeat for more
    #[arg(long)]
    condition: Option<Vec<String>>,
    /// A token type URI that is taken; repeat for more
    #[arg(long)]
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
    fingerprint: Option<Vec<String>>,
    #[arg(long)]
    enabled: Option<bool>,
}

impl Fields {
    fn draft(self) -> Result<TrustedIssuerDraft, CliError> {
        let jwks = self.jwks.map(|path| read(&path)).transpose()?;
        let conditions = self.condition.map(|all| all.iter().map(|text| condition(text)).collect::<Result<_, _>>());
        // One place of the keys replaces the other.
        let (jwks, jwks_uri) = match (jwks, self.jwks_uri, self.discovery) {
            (Some(jwks), _, _) => (Field::Set(jwks), Field::Reset),
            (None, Some(url), _) => (Field::Reset, Field::Set(url)),
            (None, None, true) => (Field::Reset, Field::Reset),
            (None, None, false) => (Field::Keep, Field::Keep),
        };
        Ok(TrustedIssuerDraft {
            issuer: self.issuer.into(),
            jwks,
            jwks_uri,
            purpose: self.purpose.into(),
            clients: self.client.into(),
            audiences: self.accepted_audience.into(),
            algorithms: self.algorithm.into(),
            subject_claim: self.subject_claim.into(),
            conditions: conditions.transpose()?.into(),
            token_types: self.token_type.into(),
            require_jti: self.require_jti.into(),
            max_age: self.max_age.into(),
            map_to: self.map_to.into(),
            provision: self.provision.into(),
            link_by_verified_email: self.link_by_verified_email.into(),
            allow_refresh: self.allow_refresh.into(),
            scope: self.scope.into(),
            audience: self.audience.into(),
            max_ttl: self.max_ttl.into(),
            fingerprints: self.fingerprint.into(),
            enabled: self.enabled.into(),
            slips: Vec::new(),
        })
    }
}

/// ```text
/// groups like dev-*      org in acme,globex
/// ```
fn condition(text: &str) -> Result<ConditionDraft, CliError> {
    let mut words = text.splitn(3, ' ');
    let (Some(claim), Some(operator), Some(value)) = (words.next(), words.next(), words.next()) else {
        return Err(CliError::Refused("a condition is written as \"CLAIM OPERATOR VALUE\"".to_owned()));
    };
    let value = if operator == "in" {
        ConditionValue::Several(value.split(',').map(|one| one.trim().to_owned()).collect())
    } else {
        ConditionValue::One(value.to_owned())
    };
    Ok(ConditionDraft { claim: claim.to_owned(), operator: operator.to_owned(), value })
}

pub(super) async fn run(command: Command, local: Local) -> Result<(), CliError> {
    let (ctx, actor, engine) = (local.context(), local.actor(), &local.engine);
    match command {
        Command::Create { at, fields } => {
            let made = engine.create_trusted_issuer(&ctx, &actor, &at.provider, fields.draft()?).await?;
            output::show(&value(TrustedIssuerOut::from(made)), local.json)?;
        }
        Command::List { at } => list(&local, &at).await?,
        Command::Show { at, id } => {
            let issuer = engine.read_trusted_issuer(&ctx, &actor, &at.provider, &id).await?;
            output::show(&value(TrustedIssuerOut::from(issuer)), local.json)?;
        }
        Command::Update { at, id, fields } => {
            let draft = fields.draft()?;
            let issuer = engine.update_trusted_issuer(&ctx, &actor, &at.provider, &id, draft, None).await?;
            output::show(&value(TrustedIssuerOut::from(issuer)), local.json)?;
        }
        Command::Delete { at, id } => {
            engine.delete_trusted_issuer(&ctx, &actor, &at.provider, &id, None).await?;
            output::done("The trust has ended.", local.json)?;
        }
        Command::Test { at, id, token_file, client, token_type } => {
            let token = SecretString::from(read(&token_file)?.trim());
            let trial = TrialDraft { token, client_id: client, token_type };
            let trial = engine.try_trusted_issuer(&ctx, &actor, &at.provider, id.as_deref(), trial).await?;
            show_trial(TrialOut::from(trial), local.json)?;
        }
    }
    local.close().await;
    Ok(())
}

/// For people one line a check.
fn show_trial(trial: TrialOut, as_json: bool) -> Result<(), CliError> {
    let shown = value(trial);
    if as_json {
        return Ok(output::show(&shown, true)?);
    }
    let mut lines = Vec::new();
    for row in shown["rows"].as_array().into_iter().flatten() {
        for check in row["checks"].as_array().into_iter().flatten() {
            let mut line = check.clone();
            line["trusted_issuer"] = row["id"].clone();
            lines.push(line);
        }
    }
    output::list(&lines, &["trusted_issuer", "name", "outcome", "detail"], false)?;
    let accepted = if shown["accepted"] == true { "accepted" } else { "refused" };
    Ok(output::done(&format!("{accepted}: {}", shown["reason"].as_str().unwrap_or_default()), false)?)
}

async fn list(local: &Local, at: &At) -> Result<(), CliError> {
    let (ctx, actor) = (local.context(), local.actor());
    let mut items = Vec::new();
    let mut page = PageRequest::first(PageRequest::MAX);
    loop {
        let listed = local.engine.list_trusted_issuers(&ctx, &actor, &at.provider, page.clone()).await?;
        items.extend(listed.items.into_iter().map(|issuer| value(TrustedIssuerOut::from(issuer))));
        let Some(next) = listed.next else { break };
        page.after = Some(next);
    }
    let columns = ["id", "issuer", "purpose", "map_to", "clients", "audiences", "enabled"];
    Ok(output::list(&items, &columns, local.json)?)
}
