//! Runs management calls: on the routes of this process over the opened database, or at a server.
//! Every command goes through here, so both ways do the same.

use std::collections::BTreeSet;
use std::io::Write;

use clap::Args;
use serde_json::{Value, json};

use crate::app::{LocalAnswer, LocalRoutes};
use crate::cli::call::{Answer, Call, Verb};
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
}

pub enum Place {
    Database { local: Box<Local>, routes: LocalRoutes },
    Server(Remote),
}

/// How much of a list, and which columns.
#[derive(Args)]
pub struct Paging {
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = PAGE, conflicts_with = "all")]
    limit: usize,
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
    pub fn new(place: Place, json: bool, dry_run: bool) -> Self {
        Self { place, json, dry_run }
    }

    /// The answer, whatever its status.
    pub async fn send(&self, mut call: Call) -> Result<Answer, CliError> {
        if self.dry_run && call.verb != Verb::Get {
            call = call.query("dry_run", Some(true));
        }
        match &self.place {
            Place::Server(remote) => remote.call(&call).await,
            Place::Database { routes, .. } => {
                let mut headers = Vec::new();
                if call.body.is_some() {
                    headers.push(("content-type", "application/json".to_owned()));
                }
                headers.extend(call.if_match.as_ref().map(|tag| ("if-match", tag.clone())));
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
        let answer = self.send(call).await?;
        if !answer.is_success() {
            return Err(error_of(&answer));
        }
        if !answer.body.is_empty() && !answer.is_json() {
            return Err(CliError::Refused("there is no admin API of grantd at this --server".to_owned()));
        }
        Ok(answer)
    }

    /// Shows what the call answers.
    pub async fn show(&self, call: Call) -> Result<(), CliError> {
        let changes = call.verb != Verb::Get;
        let answer = self.ask(call).await?;
        output::show(&answer.json(), self.json)?;
        if let (Some(tag), false) = (&answer.etag, self.json) {
            writeln!(std::io::stdout(), "\netag  {}", output::one_line(tag))?;
        }
        self.say_if_dry(changes)
    }

    /// Runs a change without anything to show.
    pub async fn done(&self, call: Call, sentence: &str) -> Result<(), CliError> {
        self.ask(call).await?;
        let said = if self.dry_run { "It would be done." } else { sentence };
        output::done(said, self.json)?;
        self.say_if_dry(true)
    }

    /// What a call answers as `{items}`, all of it.
    pub async fn table(&self, call: Call, columns: &[&str]) -> Result<(), CliError> {
        let changes = call.verb != Verb::Get;
        let answer = self.ask(call).await?.json();
        if self.json {
            output::show(&answer, true)?;
        } else {
            output::table(items_of(&answer), columns)?;
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
        let wanted = if paging.all { usize::MAX } else { paging.limit };
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
        let mut cursor: Option<String> = None;
        loop {
            let page = PAGE.min(wanted - items.len()).max(1);
            let asked = call.clone().query("limit", Some(page)).query("cursor", cursor.take());
            let mut answer = self.ask(asked).await?.json();
            let next = answer.get("next_cursor").and_then(Value::as_str).map(str::to_owned);
            if let Some(Value::Array(found)) = answer.get_mut("items").map(Value::take) {
                items.extend(found);
            }
            if next.is_none() || items.len() >= wanted {
                return Ok((items, next));
            }
            cursor = next;
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

/// `items` of an answer.
pub fn items_of(answer: &Value) -> &[Value] {
    answer.get("items").and_then(Value::as_array).map_or(&[], Vec::as_slice)
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
