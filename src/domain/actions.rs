//! Every action that an audit event can have, and what it tells. The one list: a webhook that wants something
//! else is refused, since it would wait for ever; an event that is not here does not get past a test. A name that
//! was ever written stays here: events of a family are looked for by the names of it.

/// Name, and what has happened.
pub static ACTIONS: &[(&str, &str)] = &[
    ("api_key.created", "An API key was made."),
    ("api_key.deleted", "An API key was ended."),
    ("api_key.tokens_revoked", "All tokens that an API key has made were revoked."),
    ("api_key.updated", "An API key was changed."),
    ("api_key_secret.created", "An API key got another secret."),
    ("api_key_secret.revoked", "A secret of an API key was ended."),
    ("api_key_secret.rotated", "An API key got a new secret, and the one before an end."),
    ("client.created", "A client was made."),
    ("client.deleted", "A client was ended, with its tokens."),
    ("client.logout_not_delivered", "A client could not be told that somebody has logged out."),
    ("client.tokens_revoked", "All tokens of a client were revoked."),
    ("client.updated", "A client was changed."),
    ("client_secret.created", "A client got another secret."),
    ("client_secret.revoked", "A secret of a client was ended."),
    ("client_secret.rotated", "A client got a new secret, and the one before an end."),
    ("code.replayed", "An authorization code was used again; what it had given was revoked."),
    ("consent.given", "A person let a client have what it asked for."),
    ("consent.refused", "A person refused it."),
    ("data_key.created", "A data key follows the one before."),
    ("domain.created", "A domain was named."),
    ("domain.deleted", "A domain was ended."),
    ("domain.updated", "A domain became the primary one, or ceased to be it."),
    ("domain.verified", "A domain was proven by its DNS record."),
    ("grant.created", "A client got its first refresh token for a person."),
    ("grant.revoked", "A grant of a person was revoked."),
    ("grants.revoked", "All grants of a person, or of a client, were revoked."),
    ("group.created", "A group was made."),
    ("group.deleted", "A group was ended."),
    ("group.updated", "A group was changed."),
    ("installation.created", "The first start."),
    ("installation.reset", "`keys reset`: what was sealed under a lost master key was given up."),
    ("master_key.replaced", "`keys rekey`."),
    ("provider.created", "A provider was made."),
    ("provider.deleted", "A provider was ended, with all that belongs to it."),
    ("provider.tokens_revoked", "All tokens of a provider were revoked."),
    ("provider.updated", "A provider was changed."),
    ("refresh.family_ahead", "A refresh token came that the database has not reached yet, as after a restored backup."),
    ("refresh.replayed", "A refresh token that had been replaced was used; its grant was revoked."),
    ("role.created", "A role was made."),
    ("role.deleted", "A role was ended."),
    ("role.updated", "A role was changed."),
    ("scope.created", "A scope was made."),
    ("scope.deleted", "A scope was ended."),
    ("scope.updated", "A scope was changed."),
    ("session.ended", "One session of a person was ended."),
    ("sessions.ended", "All sessions of a person, or those at a client, were ended."),
    ("signing_key.activated", "The next key signs from now on, by schedule."),
    ("signing_key.created", "The next key was published, by schedule."),
    ("signing_keys.replaced", "An emergency: every key of a provider was replaced at once."),
    ("signing_keys.rotated", "The keys of a provider were rotated by hand."),
    ("tenant.created", "A UseGrant tenant was made."),
    ("tenant.deleted", "A UseGrant tenant was ended."),
    ("tenant_provider.created", "A UseGrant tenant got an identity provider."),
    ("tenant_provider.deleted", "A UseGrant tenant lost one."),
    ("token.issued", "Tokens of machines, counted; only with `events.machine_tokens`."),
    ("token.revoked", "One token was revoked."),
    ("trust_policy.created", "A UseGrant access policy was made."),
    ("trust_policy.deleted", "A UseGrant access policy was ended."),
    ("trusted_issuer.created", "Tokens of an issuer are taken."),
    ("trusted_issuer.deleted", "Tokens of an issuer are taken no longer."),
    ("trusted_issuer.updated", "What is taken from an issuer was changed."),
    ("user.created", "A user was made."),
    ("user.deleted", "A user was ended."),
    ("user.linked", "A person of a trusted issuer was linked with a user."),
    ("user.locked", "A user was locked."),
    ("user.logged_in", "Somebody logged in."),
    ("user.logged_out", "Somebody logged out."),
    ("user.logged_out_everywhere", "Somebody ended all sessions of theirs."),
    ("user.login_failed", "A wrong password for a user that exists."),
    ("user.login_slowed", "So many of them that the next ones have to wait."),
    ("user.password_changed", "A password was changed."),
    ("user.provisioned", "A user was made by the token of a trusted issuer."),
    ("user.sessions_ended", "All sessions of a user were ended by somebody else."),
    ("user.unlocked", "A user was unlocked."),
    ("user.updated", "A user was changed."),
    ("webhook.created", "A webhook was made."),
    ("webhook.deleted", "A webhook was ended."),
    ("webhook.delivery_retried", "A dead delivery was sent again by hand."),
    ("webhook.disabled", "A webhook was switched off, since its endpoint is gone for good."),
    ("webhook.secret_rotated", "A webhook got a new secret."),
    ("webhook.tested", "A webhook was tried."),
    ("webhook.updated", "A webhook was changed."),
];

/// Whether an event can have this action.
pub fn is_action(name: &str) -> bool {
    ACTIONS.iter().any(|(action, _)| *action == name)
}

/// Those whose part before the dot this is.
pub fn of_family(family: &str) -> impl Iterator<Item = &'static str> {
    ACTIONS.iter().map(|(name, _)| *name).filter(move |name| name.split('.').next() == Some(family))
}

/// The parts before the dot, each once.
pub fn families() -> impl Iterator<Item = &'static str> {
    let family = |name: &'static str| name.split('.').next().unwrap_or(name);
    let mut before = "";
    ACTIONS
        .iter()
        .map(move |(name, _)| family(name))
        .filter(move |family| std::mem::replace(&mut before, family) != *family)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_in_order_and_names_each_once() {
        assert!(ACTIONS.is_sorted_by(|(a, _), (b, _)| a < b));
        assert_eq!(families().filter(|family| *family == "user").count(), 1);
        assert_eq!(of_family("code").collect::<Vec<_>>(), ["code.replayed"]);
        assert_eq!(
            (of_family("cod").count(), families().map(|family| of_family(family).count()).sum()),
            (0, ACTIONS.len())
        );
        assert!(is_action("user.created") && !is_action("user.") && !is_action("user.creatd"));
    }
}
