//! Runs management calls: on the routes of this process over the opened database, or at a server.
//! Every command goes through here, so both ways do the same.

use std::collections::BTreeSet;
use std::io::Write;

use clap::Args;
use serde_json::{Value, json};

use crate::app::{LocalAnswer, LocalRoutes};
use crate::cli::call::{Answer, Call, Verb};
use crate::cli::commands::{Global, Target};
use crate::cli::problem::error_of;
use crate::cli::remote::Remote;
use crate::cli::{CliError, Local, output};

/// The largest page a server gives.
pub const PAGE: usize = 500;

pub struct Rest {
    place: Place,
    pub json: bool,
    /// Changes are judged and not made.
    pub dry_run: bool,
    /// Chosen by hand, to have the answer of a call once more.
    idempotency_key: Option<String>,
}

pub enum Place {
    Database { local: Box<Local>, routes: LocalRoutes },
    Server(Remote),
}

/// How much of a list, and which columns.
#[derive(Args)]
pub struct Paging {
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = PAGE as u64, conflicts_with = "all", value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    /// All there are
    #[arg(long)]
    all: bool,
    /// Columns of the table: fields of --json, separated by commas
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    columns: Option<Vec<String>>,
    /// Order by a field; --sort=-FIELD turns it round
    #[arg(long, value_name = "FIELD", allow_hyphen_values = true)]
    sort: Option<String>,
    /// Only those with this value, as enabled=false; repeat for more
    #[arg(long, value_name = "FIELD=VALUE")]
    filter: Vec<String>,
}

impl Rest {
    pub fn new(place: Place, global: &Global) -> Self {
        let Global { json, place: Target { dry_run, ref idempotency_key, .. }, .. } = *global;
        Self { place, json, dry_run, idempotency_key: idempotency_key.clone() }
    }

    pub fn has_idempotency_key(&self) -> bool {
        self.idempotency_key.is_some()
    }

    /// For a command that makes several things: one key cannot stand for all of them.
    pub fn refuse_idempotency_key(&self) -> Result<(), CliError> {
        match self.idempotency_key {
            Some(_) => Err(CliError::Usage("--idempotency-key is for a command that makes one thing".to_owned())),
            None => Ok(()),
        }
    }

    /// The answer, whatever its status.
    pub async fn send(&self, mut call: Call) -> Result<Answer, CliError> {
        if self.dry_run {
            call = call.tried();
        }
        if let Some(key) = &self.idempotency_key {
            if !call.once {
                self.refuse_idempotency_key()?;
            }
            call.once_key = Some(key.clone());
        }
        match &self.place {
            Place::Server(remote) => remote.call(&call).await,
            Place::Database { routes, .. } => {
                let mut headers = Vec::new();
                if call.body.is_some() {
                    headers.push(("content-type", "application/json".to_owned()));
                }
                headers.extend(call.if_match.as_ref().map(|tag| ("if-match", tag.clone())));
                headers.extend(call.once_key.as_ref().map(|key| ("idempotency-key", key.clone())));
                let body = call.body.as_ref().map(|body| body.to_string().into_bytes());
                let answered = routes.call(call.verb.name(), &call.target(), &headers, body).await;
                let LocalAnswer { status, headers, body } = answered.map_err(|fault| CliError::Failed(fault.into()))?;
                let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
                Ok(Answer { status, etag: header("etag"), retry_after: header("retry-after"), body })
            }
        }
    }

    /// The answer of a call that succeeded.
    pub async fn ask(&self, call: Call) -> Result<Answer, CliError> {
        let success = call.success;
        let answer = self.send(call).await?;
        if !answer.is_success() {
            return Err(error_of(&answer));
        }
        if answer.is_as_documented(success) { Ok(answer) } else { Err(not_ours("it answers something else")) }
    }

    /// Shows what the call answers.
    pub async fn show(&self, call: Call) -> Result<(), CliError> {
        let changes = call.verb != Verb::Get;
        let answer = self.ask(call).await?;
        let shown = answer.json();
        let printed = self.print(&shown, answer.etag.as_deref());
        if changes { self.seen(&shown, printed) } else { Ok(printed?) }?;
        self.say_if_dry(changes)
    }

    /// What was done is done, also where its answer could not be printed.
    fn seen(&self, shown: &Value, printed: std::io::Result<()>) -> Result<(), CliError> {
        match printed {
            Err(error) if !self.dry_run => Err(unseen(shown, &error)),
            printed => Ok(printed?),
        }
    }

    fn print(&self, shown: &Value, etag: Option<&str>) -> std::io::Result<()> {
        output::show(shown, self.json)?;
        match etag {
            Some(tag) if !self.json => writeln!(std::io::stdout(), "\netag  {}", output::one_line(tag)),
            _ => Ok(()),
        }
    }

    /// Runs a change without anything to show.
    pub async fn done(&self, call: Call, sentence: &str) -> Result<(), CliError> {
        self.ask(call).await?;
        let said = if self.dry_run { "It would be done." } else { sentence };
        self.seen(&Value::Null, output::done(said, self.json))?;
        self.say_if_dry(true)
    }

    /// What a call answers as `{items}`, all of it.
    pub async fn table(&self, call: Call, columns: &[&str]) -> Result<(), CliError> {
        let changes = call.verb != Verb::Get;
        let answer = self.ask(call).await?.json();
        let items = items_of(&answer)?;
        if self.json {
            output::show(&answer, true)?;
        } else {
            output::table(items, columns)?;
        }
        self.say_if_dry(changes)
    }

    /// A list, page by page, as far as it was asked for.
    pub async fn list(&self, mut call: Call, columns: &[&str], paging: &Paging) -> Result<(), CliError> {
        for pair in &paging.filter {
            let Some((name, value)) = pair.split_once('=') else {
                return Err(CliError::Usage("--filter takes FIELD=VALUE".to_owned()));
            };
            call = call.query(name, Some(value));
        }
        call = call.query("sort", paging.sort.as_ref());
        let wanted = if paging.all { usize::MAX } else { usize::try_from(paging.limit).unwrap_or(usize::MAX) };
        let (items, more) = self.items(call, wanted).await?;
        if self.json {
            output::show(&json!({ "items": items, "next_cursor": more }), true)?;
            return Ok(());
        }
        match &paging.columns {
            Some(named) => output::table(&items, known(named, &items)?)?,
            None => output::table(&items, columns)?,
        }
        if more.is_some() {
            writeln!(std::io::stderr(), "There are more: --all shows them.")?;
        }
        Ok(())
    }

    /// Up to `wanted` items, and the cursor where there are more.
    pub async fn items(&self, call: Call, wanted: usize) -> Result<(Vec<Value>, Option<String>), CliError> {
        let mut items = Vec::new();
        let mut pages = Pages::default();
        loop {
            items.extend(pages.next(self, &call, PAGE.min(wanted - items.len()).max(1)).await?);
            if pages.cursor.is_none() || items.len() >= wanted {
                return Ok((items, pages.cursor));
            }
        }
    }

    fn say_if_dry(&self, changes: bool) -> Result<(), CliError> {
        if self.dry_run && changes {
            writeln!(std::io::stderr(), "Dry run: nothing was changed.")?;
        }
        Ok(())
    }

    pub async fn close(self) {
        if let Place::Database { local, routes } = self.place {
            drop(routes);
            local.close().await;
        }
    }
}

/// A list that is read page by page.
#[derive(Default)]
pub struct Pages {
    /// Where the next page begins; `None` before the first one and after the last one.
    pub cursor: Option<String>,
    /// Where pages began. One that comes again would come for ever.
    seen: BTreeSet<String>,
}

impl Pages {
    /// The items of the next page, at most `size`.
    pub async fn next(&mut self, rest: &Rest, call: &Call, size: usize) -> Result<Vec<Value>, CliError> {
        let asked = call.clone().query("limit", Some(size)).query("cursor", self.cursor.take());
        let answer = rest.ask(asked).await?.json();
        let items = items_of(&answer)?.to_vec();
        self.cursor = match answer.get("next_cursor") {
            None | Some(Value::Null) => None,
            Some(Value::String(cursor)) if self.seen.insert(cursor.clone()) => Some(cursor.clone()),
            Some(_) => return Err(not_ours("its list does not end")),
        };
        Ok(items)
    }
}

/// `items` of an answer: objects.
pub fn items_of(answer: &Value) -> Result<&[Value], CliError> {
    let items = answer.get("items").and_then(Value::as_array);
    let items = items.filter(|items| items.iter().all(Value::is_object));
    items.map(Vec::as_slice).ok_or_else(|| not_ours("it answers something else than a list"))
}

/// What answers is something else than grantd.
pub fn not_ours(what: &str) -> CliError {
    CliError::Refused(format!("there is no admin API of grantd at this --server: {what}"))
}

/// A change was made whose answer nobody saw.
fn unseen(shown: &Value, error: &std::io::Error) -> CliError {
    let text = |names: &[&str]| names.iter().find_map(|name| shown.get(*name)).and_then(Value::as_str);
    let what = text(&["client_id", "id", "slug", "name"]).map(|name| format!(". It is {}", output::one_line(name)));
    let lost = text(&["client_secret", "secret", "key", "access_token"])
        .map_or("", |_| "; its secret is lost: make another one");
    CliError::Unseen(format!("{error}{}{lost}", what.unwrap_or_default()))
}

/// Refuses a column that nothing has.
fn known<'a>(columns: &'a [String], items: &[Value]) -> Result<&'a [String], CliError> {
    let names: BTreeSet<&String> = items.iter().filter_map(Value::as_object).flat_map(|item| item.keys()).collect();
    match columns.iter().find(|column| !names.is_empty() && !names.contains(column)) {
        None => Ok(columns),
        Some(_) => {
            let names: Vec<&str> = names.into_iter().map(String::as_str).collect();
            Err(CliError::Usage(format!("--columns takes of {}", names.join(", "))))
        }
    }
}
