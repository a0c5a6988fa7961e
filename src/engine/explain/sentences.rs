//! What a rule said, as a sentence with the values that it looked at.

use crate::crypto::webhook::rfc3339;
use crate::domain::explanation::{Fact, Facts};

/// Rule and sentence; `{name}` stands for the value of that name.
const SENTENCES: [(&str, &str); 40] = [
    ("provider.known", "There is no provider {provider}."),
    ("provider.live", "The provider {provider} is disabled or deleted."),
    ("provider.serves", "The provider {provider} has not turned on the surface {surface}."),
    ("provider.visible", "The API key is bound to a provider, and this is another or none."),
    ("client.known", "There is no client of this id."),
    ("client.enabled", "The client {client} is disabled or deleted."),
    ("client.surface", "The client {client} works on the surface {only_surface} only."),
    ("client.auth_method", "The client proves itself by {registered}, and {used} was used."),
    ("client.secret_live", "The secret {secret} (…{hint}) ended at {ended_at}: {because}."),
    ("client.secret_formed", "The secret looks like one that was made here, but was mistyped or cut."),
    ("client.secret_known", "The secret is none of the {live} that the client has now."),
    ("client.grant_type", "The client may not use {asked}; it may use {allowed}."),
    ("api_key.live", "The API key {api_key} (…{hint}) ended at {ended_at}."),
    ("api_key.secret_live", "The secret {secret} of the API key {api_key} has expired or was revoked."),
    ("api_key.known", "There is no such API key."),
    ("api_key.provider", "The API key is bound to another provider."),
    ("role.reaches", "This needs role {needed}; the API key has role {role}."),
    ("role.unbound", "This needs an API key that is bound to no provider."),
    ("scope.allowed", "The scope {missing} is not allowed; {allowed} is."),
    ("audience.allowed", "The audience {asked} is not allowed; {allowed} is."),
    ("lifetime.bounded", "A lifetime of {asked} s is beyond {longest} s, the bound of the {bound_by}."),
    ("code.known", "There is no such code here."),
    ("code.client", "The code was made for another client."),
    ("code.redirect_uri", "The redirect_uri is not that of the authorization request."),
    ("code.unspent", "The code was used before, at {spent_at}: its grant was revoked."),
    ("code.live", "The code expired at {expired_at}."),
    ("pkce.verifier", "The code_verifier does not fit: {because}."),
    ("refresh.known", "There is no such refresh family."),
    ("refresh.genuine", "The refresh token was not made here."),
    ("refresh.live", "The refresh family ended at {ended_at}: {because}."),
    ("refresh.client", "The refresh token belongs to another client or provider."),
    ("refresh.replayed", "Generation {presented} came when the row was at {row}: the family was revoked."),
    ("trust.condition", "Condition {condition} is false: {claim} {operator} {expected}, and the claim is {actual}."),
    ("token.live", "The token expired at {expired_at}."),
    ("token.genuine", "The token was not made by this provider."),
    ("token.revoked", "The {what} was revoked."),
    ("token.epoch", "All tokens of its {of} were revoked, or that one was disabled or deleted."),
    ("token.unspent", "The one-time token was used before."),
    ("token.visible", "The token was issued to another client, and is meant for another."),
    ("throttle.room", "Too many failed attempts; another makes sense in {retry_after} s."),
];

/// The sentence of a rule that said no; `None`: it has none, or lacks a value.
pub fn sentence(rule: &str, values: &Facts) -> Option<String> {
    let (_, template) = SENTENCES.iter().find(|(own, _)| *own == rule)?;
    let mut out = String::new();
    let mut rest = *template;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}')?;
        let (_, fact) = values.iter().find(|(own, _)| own == name)?;
        out.push_str(before);
        out.push_str(&words(fact));
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}

fn words(fact: &Fact) -> String {
    match fact {
        Fact::Text(text) => text.to_string(),
        Fact::Number(number) => number.to_string(),
        Fact::Time(seconds) => rfc3339(seconds.saturating_mul(1000)),
        Fact::Flag(flag) => flag.to_string(),
        Fact::List(items) if items.is_empty() => "none".to_owned(),
        Fact::List(items) => items.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::explanation::facts;

    #[test]
    fn a_sentence_says_the_values_and_one_that_lacks_a_value_is_none() {
        let values = facts![presented: Fact::Number(7), row: Fact::Number(9)];
        let said = sentence("refresh.replayed", &values);
        assert_eq!(said.as_deref(), Some("Generation 7 came when the row was at 9: the family was revoked."));
        let lists = facts![missing: Fact::text("b"), allowed: Fact::list([])];
        assert_eq!(sentence("scope.allowed", &lists).as_deref(), Some("The scope b is not allowed; none is."));
        let timed = facts![expired_at: Fact::Time(0)];
        assert_eq!(sentence("code.live", &timed).as_deref(), Some("The code expired at 1970-01-01T00:00:00.000Z."));
        assert_eq!(sentence("refresh.replayed", &facts![]), None);
        assert_eq!(sentence("no.such_rule", &facts![]), None);
    }
}
