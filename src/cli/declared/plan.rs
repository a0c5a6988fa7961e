//! What must be done so that a server has what a file wants, before anything is done.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::cli::CliError;
use crate::cli::call::Call;
use crate::cli::declared::current::{self, Known};
use crate::cli::declared::document::{Document, Item, Lines, Wanted};
use crate::cli::declared::kinds::{Kind, PROVIDER, WEBHOOK};
use crate::cli::output::{one_line, plain};
use crate::cli::rest::Rest;
use crate::domain::id::is_uuid_shaped;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Create,
    Change,
    Delete,
}

/// One call that changes one thing.
pub struct Step {
    pub act: Act,
    pub kind: &'static Kind,
    /// `None`: of the whole installation.
    pub provider: Option<String>,
    pub name: String,
    pub fields: Vec<FieldChange>,
    pub call: Call,
    /// `None`: the file does not name it.
    pub lines: Option<Lines>,
}

pub struct FieldChange {
    pub name: &'static str,
    pub from: Value,
    pub to: Value,
}

/// Steps in an order in which each finds what it needs.
pub async fn plan(rest: &Rest, document: &Document, prune: bool) -> Result<Vec<Step>, CliError> {
    let mut planner = Planner { rest, prune, steps: Vec::new(), ends: Vec::new() };
    for wanted in &document.providers {
        planner.provider(wanted).await?;
    }
    if let Some(items) = &document.webhooks {
        planner.section(&WEBHOOK, None, items, true, &Kept::default()).await?;
    }
    // What ends goes the other way: a client before its scopes.
    planner.steps.extend(planner.ends.into_iter().rev());
    Ok(planner.steps)
}

/// Names that no end may take: what stays in the file would bring them back.
#[derive(Default)]
struct Kept {
    scopes: BTreeSet<String>,
    roles: BTreeSet<String>,
}

impl Kept {
    fn of(wanted: &Wanted) -> Self {
        let of = |section: &str| {
            let sections: Vec<_> = wanted.sections.iter().filter(|(kind, _)| kind.section == section).collect();
            sections.into_iter().flat_map(|(_, items)| items)
        };
        let scopes = of("clients").filter_map(|client| client.fields.get("scope").and_then(Value::as_str));
        let roles = of("groups").filter_map(|group| group.fields.get("roles").and_then(Value::as_array)).flatten();
        Self {
            scopes: scopes.flat_map(str::split_whitespace).map(str::to_owned).collect(),
            roles: roles.filter_map(Value::as_str).map(str::to_owned).collect(),
        }
    }

    fn has(&self, kind: &Kind, name: &str) -> bool {
        match kind.section {
            "scopes" => self.scopes.contains(name),
            "roles" => self.roles.contains(name),
            _ => false,
        }
    }
}

struct Planner<'a> {
    rest: &'a Rest,
    prune: bool,
    steps: Vec<Step>,
    ends: Vec<Step>,
}

impl Planner<'_> {
    async fn provider(&mut self, wanted: &Wanted) -> Result<(), CliError> {
        let slug = PROVIDER.name_of(&wanted.provider.fields);
        let found = current::provider(self.rest, &slug).await?;
        match &found {
            None => {
                let call = Call::create(PROVIDER.path("", None)?, body(&wanted.provider.fields));
                let fields = made_of(&PROVIDER, &wanted.provider.fields);
                self.push(Act::Create, (&PROVIDER, None), &wanted.provider, fields, call);
            }
            Some(found) => self.change(&PROVIDER, None, &wanted.provider, found)?,
        }
        let kept = Kept::of(wanted);
        for (kind, items) in &wanted.sections {
            self.section(kind, Some(&slug), items, found.is_some(), &kept).await?;
        }
        Ok(())
    }

    /// `exists`: whether there is a provider that could have any. `kept`: what stays although it is not named.
    async fn section(
        &mut self,
        kind: &'static Kind,
        provider: Option<&str>,
        items: &[Item],
        exists: bool,
        kept: &Kept,
    ) -> Result<(), CliError> {
        let known = if exists { current::all(self.rest, kind, provider).await? } else { None };
        let mut left = known.unwrap_or_default();
        let mut open = Vec::new();
        // What is there already as it is wanted is taken first, so that of two of one name each keeps its own.
        for item in items {
            match left.iter().position(|known| is_the_same(kind, item, known) && changes(kind, item, known).is_empty())
            {
                Some(at) => drop(left.remove(at)),
                None => open.push(item),
            }
        }
        for item in open {
            match left.iter().position(|known| is_the_same(kind, item, known)) {
                Some(at) => {
                    let listed = left.remove(at);
                    let place = provider.unwrap_or_default();
                    // A list has no versions.
                    let found = current::one(self.rest, kind, place, &listed.id).await?;
                    self.change(kind, provider, item, &found.unwrap_or(listed))?;
                }
                None => self.create(kind, provider, item)?,
            }
        }
        for known in left.into_iter().filter(|known| self.prune && !kept.has(kind, &known.id)) {
            // A surface's own client cannot end.
            if known.members.get("surface").is_some_and(Value::is_string) {
                continue;
            }
            let etag = match current::one(self.rest, kind, provider.unwrap_or_default(), &known.id).await? {
                Some(found) => found.etag,
                None => continue,
            };
            let call = Call::delete(kind.path(provider.unwrap_or_default(), Some(&known.id))?).if_match(etag);
            let name = kind.name_of(&known.members);
            let provider = provider.map(str::to_owned);
            self.ends.push(Step { act: Act::Delete, kind, provider, name, fields: Vec::new(), call, lines: None });
        }
        Ok(())
    }

    fn create(&mut self, kind: &'static Kind, provider: Option<&str>, item: &Item) -> Result<(), CliError> {
        let mut members = item.fields.clone();
        if let (false, Some(provider)) = (kind.below_provider, provider) {
            members.insert("provider".to_owned(), json!(provider));
        }
        let name = kind.name_of(&item.fields);
        let mut members = body(&members);
        // Without it, it would be that of the provider which the key is bound to.
        if !kind.below_provider && provider.is_none() {
            members["provider"] = Value::Null;
        }
        let mut call = Call::create(kind.path(provider.unwrap_or_default(), None)?, members);
        // A generated id moves with its client.
        if kind.id == "client_id" && is_uuid_shaped(&name) {
            call = call.query("keep_id", Some(true));
        }
        self.push(Act::Create, (kind, provider), item, made_of(kind, &item.fields), call);
        Ok(())
    }

    fn change(
        &mut self,
        kind: &'static Kind,
        provider: Option<&str>,
        item: &Item,
        known: &Known,
    ) -> Result<(), CliError> {
        let fields = changes(kind, item, known);
        if fields.is_empty() {
            return Ok(());
        }
        let fixed = |change: &&FieldChange| kind.fields.iter().any(|field| field.name == change.name && field.fixed);
        if let Some(change) = fields.iter().find(fixed) {
            let name = one_line(&kind.name_of(&item.fields));
            let what = format!("{} of the {} {name} cannot be changed", change.name, kind.noun);
            return Err(CliError::Refused(item.lines.told(&what)));
        }
        let patch: Map<String, Value> = fields
            .iter()
            // Null is the default, whatever it is there.
            .map(|change| (change.name.to_owned(), item.fields.get(change.name).map(meant).unwrap_or_default()))
            .collect();
        let path = kind.path(provider.unwrap_or_default(), Some(&known.id))?;
        let call = Call::patch(path, Value::Object(patch)).if_match(known.etag.clone());
        self.push(Act::Change, (kind, provider), item, fields, call);
        Ok(())
    }

    fn push(
        &mut self,
        act: Act,
        place: (&'static Kind, Option<&str>),
        item: &Item,
        fields: Vec<FieldChange>,
        call: Call,
    ) {
        let (kind, provider) = (place.0, place.1.map(str::to_owned));
        let (name, lines) = (kind.name_of(&item.fields), Some(item.lines.clone()));
        self.steps.push(Step { act, kind, provider, name, fields, call, lines });
    }
}

/// Whether a thing at the server is the one that the file means.
fn is_the_same(kind: &Kind, item: &Item, known: &Known) -> bool {
    kind.fields.iter().filter(|field| kind.known_by.contains(&field.name)).all(|field| {
        let wanted = value_of(field.name, kind, item, known);
        field.same(&wanted, known.members.get(field.name).unwrap_or(&Value::Null))
    })
}

/// What the file wants of a field: its value, or the default.
fn value_of(name: &str, kind: &Kind, item: &Item, known: &Known) -> Value {
    match item.fields.get(name) {
        Some(value) if !value.is_null() => value.clone(),
        _ => {
            let field = kind.fields.iter().find(|field| field.name == name);
            field.map(|field| field.default.of(&item.fields, &known.members)).unwrap_or_default()
        }
    }
}

fn changes(kind: &Kind, item: &Item, known: &Known) -> Vec<FieldChange> {
    let differs = |field: &crate::cli::declared::kinds::Field| {
        let from = known.members.get(field.name).cloned().unwrap_or_default();
        let to = value_of(field.name, kind, item, known);
        (!field.same(&from, &to)).then_some(FieldChange { name: field.name, from, to })
    };
    kind.fields.iter().filter_map(differs).collect()
}

/// What a new one is made with.
fn made_of(kind: &Kind, wanted: &Map<String, Value>) -> Vec<FieldChange> {
    let given = |name: &'static str| {
        let to = wanted.get(name).map(meant).filter(|value| !value.is_null())?;
        Some(FieldChange { name, from: Value::Null, to })
    };
    kind.fields
        .iter()
        .filter(|field| !kind.known_by.contains(&field.name))
        .filter_map(|field| given(field.name))
        .collect()
}

fn body(fields: &Map<String, Value>) -> Value {
    let meant = fields.iter().map(|(name, value)| (name.clone(), meant(value)));
    Value::Object(meant.filter(|(_, value)| !value.is_null()).collect())
}

/// A text that says nothing is none, for the API as in a comparison.
fn meant(value: &Value) -> Value {
    if value.as_str().is_some_and(str::is_empty) { Value::Null } else { value.clone() }
}

impl Step {
    /// `+ client svc`, and its fields below.
    pub fn lines(&self) -> Vec<String> {
        const LONGEST: usize = 100;
        let short = |value: &Value| {
            let text = if value.is_null() { "–".to_owned() } else { plain(value) };
            if text.chars().count() <= LONGEST {
                text
            } else {
                format!("{}…", text.chars().take(LONGEST).collect::<String>())
            }
        };
        let mark = match self.act {
            Act::Create => '+',
            Act::Change => '~',
            Act::Delete => '-',
        };
        let mut lines = vec![format!("{mark} {}", self.title())];
        lines.extend(self.fields.iter().map(|change| match self.act {
            Act::Change => format!("    {}: {} -> {}", change.name, short(&change.from), short(&change.to)),
            Act::Create | Act::Delete => format!("    {}: {}", change.name, short(&change.to)),
        }));
        lines
    }

    /// What the API says of it, each sentence with its line in the file.
    pub fn told(&self, sentences: &str) -> String {
        let told = |sentence: &str| match &self.lines {
            Some(lines) => lines.told(sentence),
            None => sentence.to_owned(),
        };
        sentences.lines().map(|line| format!("{} ({})", told(line), self.title())).collect::<Vec<_>>().join("\n")
    }

    /// Whether its answer holds a secret that is shown once.
    pub fn makes_a_secret(&self) -> bool {
        let body = self.call.body.as_ref();
        let method = body.and_then(|body| body.get("token_endpoint_auth_method")).and_then(Value::as_str);
        let is_with_secret = match self.kind.section {
            "webhooks" => true,
            "clients" => !matches!(method, Some("none" | "private_key_jwt")),
            _ => false,
        };
        self.act == Act::Create && is_with_secret
    }

    /// `client acme/svc`.
    pub fn title(&self) -> String {
        let place = self.provider.as_ref().map(|provider| format!("{provider}/")).unwrap_or_default();
        format!("{} {place}{}", self.kind.noun, one_line(&self.name))
    }

    pub fn to_value(&self) -> Value {
        let fields: Vec<Value> = self
            .fields
            .iter()
            .map(|change| json!({ "field": change.name, "from": change.from, "to": change.to }))
            .collect();
        json!({ "action": self.act.name(), "kind": self.kind.noun, "provider": self.provider, "name": self.name, "fields": fields })
    }
}

impl Act {
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Change => "change",
            Self::Delete => "delete",
        }
    }
}
