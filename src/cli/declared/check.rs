//! What the API says of a plan before anything is done: each step that can be judged by itself is sent as a
//! dry run.

use std::collections::HashSet;

use serde_json::Value;

use crate::cli::CliError;
use crate::cli::call::Call;
use crate::cli::declared::kinds::PROVIDER;
use crate::cli::declared::plan::{Act, Step};
use crate::cli::rest::Rest;

/// Refused with all that is wrong, a line each.
pub async fn check(rest: &Rest, steps: &[Step]) -> Result<(), CliError> {
    let plan = Plan::of(steps);
    let mut slips = Vec::new();
    for step in steps {
        let Some(call) = plan.by_itself(step) else { continue };
        match rest.ask(call.tried()).await {
            Ok(_) => {}
            Err(CliError::Refused(sentences)) => slips.push(step.told(&sentences)),
            Err(error) => return Err(error),
        }
    }
    if slips.is_empty() { Ok(()) } else { Err(CliError::Refused(slips.join("\n"))) }
}

/// What a step may wait for.
#[derive(Default)]
struct Plan<'a> {
    /// They come or change, and what lies below them is judged by what they are then.
    providers: HashSet<&'a str>,
    /// Whose clients come, change or end: a scope ends after the last client that has it.
    with_clients: HashSet<&'a str>,
    /// What comes, by provider, section and name.
    made: HashSet<(&'a str, &'static str, &'a str)>,
}

impl<'a> Plan<'a> {
    fn of(steps: &'a [Step]) -> Self {
        let mut plan = Self::default();
        for step in steps {
            let provider = step.provider.as_deref().unwrap_or_default();
            if step.kind.section == PROVIDER.section {
                plan.providers.insert(&step.name);
            }
            if step.kind.section == "clients" {
                plan.with_clients.insert(provider);
            }
            if step.act == Act::Create {
                plan.made.insert((provider, step.kind.section, &step.name));
            }
        }
        plan
    }

    /// The call as it can be judged now; `None` if it cannot.
    fn by_itself(&self, step: &Step) -> Option<Call> {
        let provider = step.provider.as_deref().unwrap_or_default();
        let ends_a_scope = step.act == Act::Delete && step.kind.section == "scopes";
        if self.providers.contains(provider) || (ends_a_scope && self.with_clients.contains(provider)) {
            return None;
        }
        let mut call = step.call.clone();
        let is_made = |section: &'static str, name: &str| self.made.contains(&(provider, section, name));
        match (step.kind.section, call.body.as_mut()) {
            ("clients", Some(body)) => {
                if let Some(Value::String(scope)) = body.get_mut("scope") {
                    let there = scope.split_whitespace().filter(|name| !is_made("scopes", name));
                    *scope = there.collect::<Vec<_>>().join(" ");
                }
            }
            ("trusted_issuers", Some(body)) => {
                if let Some(Value::Array(clients)) = body.get_mut("clients") {
                    let comes = |client: &Value| client.as_str().is_some_and(|name| is_made("clients", name));
                    // A place keeps its number, and there is something in it that is there.
                    let there = clients.iter().find(|client| !comes(client)).cloned();
                    match there {
                        Some(there) => clients.iter_mut().filter(|client| comes(client)).for_each(|client| {
                            *client = there.clone();
                        }),
                        None => *clients = Vec::new(),
                    }
                }
            }
            _ => {}
        }
        Some(call)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::declared::kinds::BELOW;

    fn step(act: Act, section: &str, provider: Option<&str>, name: &str, body: Value) -> Step {
        let kind = BELOW.into_iter().chain([&PROVIDER]).find(|kind| kind.section == section).unwrap();
        let call = Call::post(kind.path(provider.unwrap_or_default(), None).unwrap(), body);
        let (provider, name) = (provider.map(str::to_owned), name.to_owned());
        Step { act, kind, provider, name, fields: Vec::new(), call, lines: None }
    }

    #[test]
    fn what_waits_for_another_step_is_not_judged_for_it() {
        let steps = [
            step(Act::Create, "providers", None, "new", json!({})),
            step(Act::Create, "clients", Some("new"), "a", json!({})),
            step(Act::Create, "scopes", Some("old"), "s", json!({})),
            step(Act::Create, "clients", Some("old"), "a", json!({"scope": "s t"})),
            step(Act::Create, "trusted_issuers", Some("old"), "i", json!({"clients": ["a", "b"]})),
            step(Act::Create, "trusted_issuers", Some("old"), "j", json!({"clients": ["a"]})),
            step(Act::Delete, "scopes", Some("old"), "x", json!({})),
            step(Act::Delete, "scopes", Some("other"), "x", json!({})),
        ];
        let plan = Plan::of(&steps);
        let judged: Vec<_> = steps.iter().map(|step| plan.by_itself(step).and_then(|call| call.body)).collect();
        assert_eq!(
            judged,
            [
                Some(json!({})),
                None,
                Some(json!({})),
                Some(json!({"scope": "t"})),
                Some(json!({"clients": ["b", "b"]})),
                Some(json!({"clients": []})),
                None,
                Some(json!({})),
            ]
        );
    }
}
