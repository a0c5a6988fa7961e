//! What an API key that is bound to a provider sees of an explanation. The facts of a foreign key (its id, role,
//! bounds and end) are no concern of that provider, although the key was used there.

use std::borrow::Cow;

use crate::domain::explanation::{Ending, Step, UsedKey, facts};
use crate::domain::external::Outcome;
use crate::domain::{Explanation, ProviderId};
use crate::engine::explain::sentences::sentence;

/// Rules that say nothing about the key of the caller. A rule that is not named here is hidden.
const NOT_OF_THE_KEY: [&str; 6] = ["granted", "provider.", "request.", "server.", "throttle.", "token."];
/// The rules of a key that is refused. On the wire they are one, so they are one here.
pub const OF_A_REFUSED_KEY: &str = "api_key.";
/// The rule of every key that does not exist.
const UNKNOWN: &str = "api_key.known";
/// The rule that stands for hidden ones.
const HIDDEN: &str = "api_key.shown";
const HIDDEN_SENTENCE: &str =
    "The caller used an API key that is not bound to this provider. An API key that is bound to none sees the rule.";

/// `None`: nothing of it concerns the provider.
pub fn to_provider(explanation: Explanation, provider: &ProviderId) -> Option<Explanation> {
    let is_own_key = explanation.key.as_ref().is_some_and(|key| key.provider.as_ref() == Some(provider));
    if is_own_key {
        return Some(Explanation { provider: Some(provider.clone()), ..explanation });
    }
    if explanation.provider.as_ref() != Some(provider) {
        return None;
    }
    Some(match explanation.key.clone() {
        Some(key) => without_key(explanation, &key),
        None => explanation,
    })
}

fn without_key(mut explanation: Explanation, key: &UsedKey) -> Explanation {
    explanation.client = explanation.client.filter(|client| client.as_str() != key.id.as_str());
    explanation.steps.retain_mut(|step| {
        if step.rule.starts_with(OF_A_REFUSED_KEY) {
            *step = Step { rule: UNKNOWN.into(), outcome: Outcome::Failed, values: facts![] };
            return true;
        }
        is_not_of_the_key(&step.rule)
    });
    explanation.steps.dedup();
    if explanation.rule.starts_with(OF_A_REFUSED_KEY) {
        explanation.rule = UNKNOWN.into();
        explanation.sentence = sentence(UNKNOWN, &facts![]).map_or(Cow::Borrowed(HIDDEN_SENTENCE), Cow::Owned);
    } else if explanation.outcome != Ending::Granted && !is_not_of_the_key(&explanation.rule) {
        explanation.rule = HIDDEN.into();
        explanation.sentence = HIDDEN_SENTENCE.into();
    }
    explanation.key = None;
    explanation
}

fn is_not_of_the_key(rule: &str) -> bool {
    NOT_OF_THE_KEY.iter().any(|own| rule.starts_with(own))
}
