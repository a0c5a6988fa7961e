//! `grantd explain`: why a request was granted or refused.

use std::io::Write;

use serde_json::Value;

use crate::cli::call::{Call, path};
use crate::cli::output::{self, plain};
use crate::cli::rest::Rest;
use crate::cli::{CliError, output::one_line};

/// The sentence first, then what it is about, then the steps that led there.
pub async fn run(rest: &Rest, request_id: &str) -> Result<(), CliError> {
    let explained = rest.ask(Call::get(path(&["explain", request_id])?)).await?.json();
    if rest.json {
        return Ok(output::show(&explained, true)?);
    }
    let mut out = std::io::stdout().lock();
    if let Some(sentence) = explained.get("sentence").and_then(Value::as_str) {
        writeln!(out, "{}\n", one_line(sentence))?;
    }
    let mut facts = explained.clone();
    if let Value::Object(members) = &mut facts {
        members.retain(|name, _| name != "sentence" && name != "steps");
    }
    drop(out);
    output::show(&facts, false)?;
    let steps = explained.get("steps").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let mut out = std::io::stdout().lock();
    for step in steps {
        let text = |name: &str| step.get(name).map(plain).unwrap_or_default();
        writeln!(out, "\n{}: {}", text("rule"), text("outcome"))?;
        for (name, value) in step.get("values").and_then(Value::as_object).into_iter().flatten() {
            writeln!(out, "    {}  {}", one_line(name), plain(value))?;
        }
    }
    Ok(())
}
