//! Judges the fields of an API key, and that nobody makes a key stronger than itself.

use crate::domain::patch::Field;
use crate::domain::refusal::FieldError;
use crate::domain::{ApiKey, AudienceSet, Refusal, RefusalKind, Role, ScopeSet};
use crate::engine::manage::Actor;
use crate::engine::manage::fields::{Checks, any, audience, label, one_of, scope, seconds};

const TEN_YEARS: i64 = 3650 * 86_400;

/// An API key to be made, or a change to one.
#[derive(Clone, Debug, Default)]
pub struct ApiKeyDraft {
    pub name: Field<String>,
    pub role: Field<String>,
    /// Id or slug. At creation only.
    pub provider: Field<String>,
    pub scope: Field<String>,
    pub audience: Field<Vec<String>>,
    pub max_ttl: Field<i64>,
    pub may_set_subject: Field<bool>,
    /// Epoch seconds.
    pub expires_at: Field<i64>,
    /// What could not even be read; told together with what is wrong otherwise.
    pub slips: Vec<FieldError>,
}

/// `current` with the draft applied, and the names of the fields that changed. `now` in epoch
/// seconds.
pub fn apply(draft: ApiKeyDraft, current: &ApiKey, now: i64) -> Result<(ApiKey, Vec<&'static str>), Refusal> {
    let mut checks = Checks::after(draft.slips);
    let in_future = |end: i64| if end > now { Ok(end) } else { Err("must lie in the future") };
    let changed = ApiKey {
        name: checks.apply("name", draft.name, (&current.name, "api key".to_owned()), label),
        role: checks.apply(
            "role",
            draft.role,
            (&current.role, Role::Default),
            one_of(Role::from_name, "default, member, admin, owner"),
        ),
        scope: checks.optional("scope", draft.scope, &current.scope, scope),
        audience: checks.apply("audience", draft.audience, (&current.audience, AudienceSet::default()), audience),
        max_ttl: checks.optional("max_ttl", draft.max_ttl, &current.max_ttl, seconds(1, TEN_YEARS)),
        may_set_subject: checks.apply("may_set_subject", draft.may_set_subject, (&current.may_set_subject, false), any),
        expires_at: checks.optional("expires_at", draft.expires_at, &current.expires_at, in_future),
        ..current.clone()
    };
    let fields = checks.finish()?;
    Ok((changed, fields))
}

/// What a new key starts from: the maker's own bounds.
pub fn inherit(blank: &mut ApiKey, actor: &Actor) {
    if let Some(maker) = actor.key() {
        blank.scope.clone_from(&maker.scope);
        blank.audience = maker.audience.clone();
        blank.max_ttl = maker.max_ttl;
        blank.expires_at = maker.expires_at;
    }
}

/// May this actor have a hand in a key like this: make it, change it, end it? An admin reaches the
/// roles default and member only, an owner every role; neither anything stronger than itself.
pub fn within_reach(actor: &Actor, key: &ApiKey) -> Result<(), Refusal> {
    actor.require(Role::Admin)?;
    if actor.role() < Role::Owner && key.role > Role::Member {
        return Err(Refusal::forbidden("An admin key reaches keys of role default and member only."));
    }
    let Some(own) = actor.key() else { return Ok(()) };
    match stronger_in(key, own) {
        None => Ok(()),
        Some(what) => Err(Refusal::with_hint(
            RefusalKind::Forbidden,
            format!("The key would be stronger than the one that acts: {what}."),
        )),
    }
}

/// The first respect in which `key` is stronger than `own`.
fn stronger_in(key: &ApiKey, own: &ApiKey) -> Option<&'static str> {
    let bound_elsewhere = own.provider.is_some() && key.provider != own.provider;
    let outlasts = |mine: Option<i64>, its: Option<i64>| mine.is_some_and(|mine| its.is_none_or(|its| its > mine));
    let checks = [
        (key.role > own.role, "role"),
        (bound_elsewhere, "provider"),
        (!is_scope_within(key.scope.as_ref(), own.scope.as_ref()), "scope"),
        (!is_audience_within(&key.audience, &own.audience), "audience"),
        (outlasts(own.max_ttl, key.max_ttl), "max_ttl"),
        (outlasts(own.expires_at, key.expires_at), "expires_at"),
        (key.may_set_subject && !own.may_set_subject, "may_set_subject"),
    ];
    checks.into_iter().find(|(stronger, _)| *stronger).map(|(_, what)| what)
}

/// A maker without a list of its own is not bound to one: it could give any audience to a client as
/// well. One with a list makes no key without one, which would reach the provider's default.
fn is_audience_within(audience: &AudienceSet, bound: &AudienceSet) -> bool {
    bound.is_empty() || (!audience.is_empty() && audience.iter().all(|value| bound.contains(value)))
}

/// `None` means any scope.
fn is_scope_within(scope: Option<&ScopeSet>, bound: Option<&ScopeSet>) -> bool {
    match (scope, bound) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(scope), Some(bound)) => scope.first_outside(bound).is_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(role: Role) -> ApiKey {
        ApiKey {
            id: "k".into(),
            name: "k".into(),
            role,
            provider: None,
            scope: None,
            audience: AudienceSet::default(),
            max_ttl: None,
            may_set_subject: false,
            hint: String::new(),
            expires_at: None,
            last_used_at: None,
            created_at: 0,
            updated_at: 0,
            deleted_at: None,
            epoch: 0,
            version: 1,
        }
    }

    #[test]
    fn a_maker_without_bounds_bounds_nothing() {
        let listed = ApiKey { audience: AudienceSet::of(["x"]).unwrap(), ..key(Role::Member) };
        assert_eq!(stronger_in(&listed, &key(Role::Owner)), None);
    }

    #[test]
    fn each_way_to_be_stronger_is_found() {
        let own = ApiKey {
            provider: Some("p".into()),
            scope: Some(ScopeSet::parse("a b").unwrap()),
            audience: AudienceSet::of(["x"]).unwrap(),
            max_ttl: Some(60),
            expires_at: Some(1000),
            ..key(Role::Admin)
        };
        let child = ApiKey { role: Role::Member, ..own.clone() };
        assert_eq!(stronger_in(&child, &own), None);
        let stronger = [
            (ApiKey { role: Role::Owner, ..child.clone() }, "role"),
            (ApiKey { provider: None, ..child.clone() }, "provider"),
            (ApiKey { provider: Some("q".into()), ..child.clone() }, "provider"),
            (ApiKey { scope: None, ..child.clone() }, "scope"),
            (ApiKey { scope: Some(ScopeSet::parse("c").unwrap()), ..child.clone() }, "scope"),
            (ApiKey { audience: AudienceSet::of(["x", "y"]).unwrap(), ..child.clone() }, "audience"),
            (ApiKey { audience: AudienceSet::default(), ..child.clone() }, "audience"),
            (ApiKey { max_ttl: None, ..child.clone() }, "max_ttl"),
            (ApiKey { max_ttl: Some(61), ..child.clone() }, "max_ttl"),
            (ApiKey { expires_at: None, ..child.clone() }, "expires_at"),
            (ApiKey { may_set_subject: true, ..child }, "may_set_subject"),
        ];
        for (key, what) in stronger {
            assert_eq!(stronger_in(&key, &own), Some(what));
        }
    }
}
