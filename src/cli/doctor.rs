//! `grantd doctor`: what is wrong or dangerous in this installation, in sentences.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::app::Purpose;
use crate::cli::{CliError, Local};
use crate::config::Settings;
use crate::domain::Failed;
use crate::domain::client::GrantType;
use crate::domain::page::PageRequest;
use crate::domain::trust::MAX_ROWS_OF_ISSUER;
use crate::engine::health::MAX_SKEW;
use crate::engine::manage::data_keys::DataKeyState;

/// A data key of this age is worth a word, seconds: two years.
const OLD_DATA_KEY: i64 = 2 * 365 * 86_400;

/// How grave a finding is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Good,
    Note,
    Wrong,
}

struct Finding {
    level: Level,
    sentence: String,
}

pub async fn run(settings: &Settings, as_json: bool) -> Result<(), CliError> {
    let mut findings = vec![master_key(settings), public_url(settings)];
    findings.extend(key_file_mode(settings));
    let local = Local::open(settings, Purpose::Manage, as_json).await?;
    findings.push(good("the database is reached, up to date, and the master key opens it"));
    findings.push(clock(&local));
    findings.extend(timeouts(&local).await?);
    findings.push(overdue_keys(&local).await?);
    findings.extend(data_keys(&local).await?);
    findings.extend(password_grants(&local).await?);
    findings.extend(overcrowded_issuers(&local).await?);
    local.close().await;
    report(&findings, as_json)?;
    if findings.iter().any(|finding| finding.level == Level::Wrong) {
        return Err(CliError::Unhealthy("there is something to mend".to_owned()));
    }
    Ok(())
}

fn master_key(settings: &Settings) -> Finding {
    if settings.master_key.is_some() {
        return good("the master key comes from the configuration: keep a copy apart from the database");
    }
    let path = settings.master_key_file();
    note(format!(
        "the only copy of the master key lies in {}: without it nothing in the database can be opened, so copy it \
         to a safe place, apart from backups of the database",
        path.display()
    ))
}

fn public_url(settings: &Settings) -> Finding {
    match &settings.public_url {
        None => {
            let issuer = match settings.listen.port() {
                0 => "http://localhost and the port that each start is given".to_owned(),
                port => settings.public_url(port).as_str().to_owned(),
            };
            note(format!("no public URL is set: tokens name {issuer} as their issuer"))
        }
        Some(url) if url.is_http() && !url.is_loopback() => {
            wrong(format!("the public URL {} is plain http: secrets and tokens can be read on the way", url.as_str()))
        }
        Some(url) => good(&format!("the public URL is {}", url.as_str())),
    }
}

/// A key file that others may read is no key.
fn key_file_mode(settings: &Settings) -> Option<Finding> {
    let path = settings.master_key_file();
    let mode = std::fs::metadata(&path).ok()?.permissions().mode() & 0o777;
    (mode & 0o077 != 0).then(|| wrong(format!("{} can be read by others (mode {mode:o}): chmod 600", path.display())))
}

fn clock(local: &Local) -> Finding {
    let skew = local.engine.clock_skew();
    if skew > MAX_SKEW {
        wrong(format!("this machine's clock differs from the database's by {skew} ms"))
    } else {
        good("the clock agrees with the database's")
    }
}

/// What PostgreSQL does not end by itself stays locked when a node is gone.
async fn timeouts(local: &Local) -> Result<Vec<Finding>, CliError> {
    let missing = local.engine.missing_timeouts(local.context().deadline).await.map_err(Failed::Fault)?;
    let sentence = |name: &str| {
        wrong(format!(
            "{name} is 0, so PostgreSQL keeps the locks of a node that is gone: ALTER ROLE <role of the database URL> \
             SET {name} = '5s'"
        ))
    };
    Ok(missing.into_iter().map(sentence).collect())
}

/// Signing keys whose rotation is late: no server has run, or none could make keys.
async fn overdue_keys(local: &Local) -> Result<Finding, CliError> {
    let overdue = local.engine.overdue_keys(&local.context(), 10).await.map_err(Failed::Fault)?;
    if overdue.is_empty() {
        return Ok(good("every signing key is rotated in time"));
    }
    let named: Vec<String> = overdue.iter().map(|(slug, kid, alg)| format!("{slug} {alg} {kid}")).collect();
    Ok(wrong(format!("the rotation of signing keys is late by an hour or more: {}", named.join(", "))))
}

/// How old each data key is that makes new things.
async fn data_keys(local: &Local) -> Result<Vec<Finding>, CliError> {
    let (ctx, actor) = (local.context(), local.actor());
    let keys = local.engine.list_data_keys(&ctx, &actor).await?;
    let now = ctx.now.seconds();
    let old = keys.iter().filter(|key| key.state == DataKeyState::Active && now - key.active_at > OLD_DATA_KEY);
    Ok(old
        .map(|key| {
            let days = (now - key.active_at) / 86_400;
            let purpose = key.purpose.name();
            note(format!("the {purpose} data key is {days} days old: `grantd keys rotate-data-key {purpose}`"))
        })
        .collect())
}

/// Every client that was given the password grant (RFC 9700 §2.4).
async fn password_grants(local: &Local) -> Result<Vec<Finding>, CliError> {
    let (ctx, actor) = (local.context(), local.actor());
    let mut findings = Vec::new();
    let mut providers = PageRequest::first(PageRequest::MAX);
    loop {
        let listed = local.engine.list_providers(&ctx, &actor, providers.clone()).await?;
        for provider in &listed.items {
            let mut page = PageRequest::first(PageRequest::MAX);
            loop {
                let clients = local.engine.list_clients(&ctx, &actor, provider.id.as_str(), page.clone()).await?;
                let holders = clients.items.iter().filter(|client| client.may_use(GrantType::Password));
                findings.extend(holders.map(|client| {
                    let state = if client.enabled { "enabled" } else { "disabled" };
                    note(format!("client {}/{} has the password grant ({state})", provider.slug, client.client_id))
                }));
                let Some(next) = clients.next else { break };
                page.after = Some(next);
            }
        }
        let Some(next) = listed.next else { return Ok(findings) };
        providers.after = Some(next);
    }
}

/// Rows that an older release let a provider make, and that no token is judged by any more.
async fn overcrowded_issuers(local: &Local) -> Result<Vec<Finding>, CliError> {
    let found = local.engine.overcrowded_issuers(&local.context(), 20).await.map_err(Failed::Fault)?;
    Ok(found
        .iter()
        .map(|(slug, issuer, rows)| {
            wrong(format!(
                "provider {slug} has {rows} trusted issuers for {issuer:.200}: a token is judged by {MAX_ROWS_OF_ISSUER}, \
                 enabled ones first, then the oldest. Delete the others, or join them into one"
            ))
        })
        .collect())
}

fn report(findings: &[Finding], as_json: bool) -> Result<(), CliError> {
    let name = |level| match level {
        Level::Good => "ok",
        Level::Note => "note",
        Level::Wrong => "WRONG",
    };
    let mut out = std::io::stdout().lock();
    if as_json {
        let items: Vec<_> =
            findings.iter().map(|finding| json!({"level": name(finding.level), "finding": finding.sentence})).collect();
        return Ok(writeln!(out, "{:#}", json!({ "items": items }))?);
    }
    for finding in findings {
        writeln!(out, "{:5}  {}", name(finding.level), finding.sentence)?;
    }
    Ok(())
}

fn good(sentence: &str) -> Finding {
    Finding { level: Level::Good, sentence: sentence.to_owned() }
}

fn note(sentence: String) -> Finding {
    Finding { level: Level::Note, sentence }
}

fn wrong(sentence: String) -> Finding {
    Finding { level: Level::Wrong, sentence }
}
