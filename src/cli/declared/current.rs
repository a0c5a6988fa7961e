//! What a server has, as the file would say it.

use serde_json::{Map, Value};

use crate::cli::CliError;
use crate::cli::call::Call;
use crate::cli::declared::kinds::{Kind, PROVIDER};
use crate::cli::problem::error_of;
use crate::cli::rest::{Rest, not_ours};

/// What the admin API says of a path that it does not have.
const NO_PATH: &str = "There is nothing at this path.";

/// One thing at the server.
#[derive(Clone, Debug)]
pub struct Known {
    /// As the API shows it.
    pub members: Map<String, Value>,
    /// What stands in its path.
    pub id: String,
    /// `None` where it came from a list.
    pub etag: Option<String>,
}

/// The provider; `None` if there is none.
pub async fn provider(rest: &Rest, slug: &str) -> Result<Option<Known>, CliError> {
    one(rest, &PROVIDER, "", slug).await
}

/// One thing, with its version; `None` if there is none.
pub async fn one(rest: &Rest, kind: &Kind, provider: &str, id: &str) -> Result<Option<Known>, CliError> {
    let answer = rest.send(Call::get(kind.path(provider, Some(id))?)).await?;
    match answer.status {
        404 if answer.json().get("request_id").is_some() => Ok(None),
        200 => Ok(Some(Known { etag: answer.etag.clone(), ..known(kind, answer.json())? })),
        _ => Err(error_of(&answer)),
    }
}

/// All providers that the key sees, ordered by slug.
pub async fn providers(rest: &Rest) -> Result<Vec<Known>, CliError> {
    let (items, _) = rest.items(Call::get(PROVIDER.path("", None)?), usize::MAX).await?;
    let mut all = items.into_iter().map(|item| known(&PROVIDER, item)).collect::<Result<Vec<_>, _>>()?;
    all.sort_by(|left, right| left.id.cmp(&right.id));
    Ok(all)
}

/// Everything of a kind that a file may hold, at a provider or, for `None`, of the whole installation.
/// In an order that depends on nothing but what is there. `None`: the server knows no such thing.
pub async fn all(rest: &Rest, kind: &'static Kind, provider: Option<&str>) -> Result<Option<Vec<Known>>, CliError> {
    let call = Call::get(kind.path(provider.unwrap_or_default(), None)?);
    let items = match rest.items(call, usize::MAX).await {
        Ok((items, _)) => items,
        // A server of an earlier release has none of them.
        Err(CliError::Refused(sentence)) if sentence == NO_PATH => return Ok(None),
        Err(error) => return Err(error),
    };
    let mine = |item: &Value| kind.below_provider || item.get("provider").unwrap_or(&Value::Null).as_str() == provider;
    let configured = items.into_iter().filter(|item| mine(item) && is_configured(item));
    let mut all = configured.map(|item| known(kind, item)).collect::<Result<Vec<_>, _>>()?;
    all.sort_by_cached_key(|known| (kind.name_of(&known.members), format!("{:?}", kind.set_fields(&known.members))));
    Ok(Some(all))
}

/// Not what is built in and cannot be changed, nor what a surface's own calls manage.
fn is_configured(item: &Value) -> bool {
    let text = |name: &str| item.get(name).and_then(Value::as_str);
    let built_in = item.get("built_in").and_then(Value::as_bool).unwrap_or(false);
    // The built-in client of a surface has its name, and is configured as others are.
    let of_surface = text("surface").is_some_and(|surface| text("client_id") != Some(surface));
    !built_in && !of_surface && text("tenant").is_none()
}

fn known(kind: &Kind, item: Value) -> Result<Known, CliError> {
    match item {
        Value::Object(members) => match members.get(kind.id).and_then(Value::as_str).map(str::to_owned) {
            Some(id) => Ok(Known { members, id, etag: None }),
            None => Err(not_ours(&format!("a {} without {}", kind.noun, kind.id))),
        },
        _ => Err(not_ours(&format!("no {}", kind.noun))),
    }
}
