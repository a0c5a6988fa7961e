//! Judges the fields of an account: what a new one starts from, what a change makes of it, and what
//! a password may be.

use secrecy::{ExposeSecret, SecretString};

use crate::crypto::Passwords;
use crate::domain::patch::Field;
use crate::domain::refusal::FieldError;
use crate::domain::secret::MAX_SECRET;
use crate::domain::user::PasswordHash;
use crate::domain::{Provider, Refusal, User, UserId};
use crate::engine::manage::common_passwords::is_common;
use crate::engine::manage::fields::{Checks, any, label};
use crate::engine::names::{self, name_key};

/// Characters; NIST SP 800-63B asks for eight at least and no other composition.
const LEAST_PASSWORD: usize = 8;
/// Of groups, and of roles, that one account may have.
const MOST_NAMES: usize = 256;

/// An account to be made, or a change to one.
#[derive(Clone, Debug, Default)]
pub struct UserDraft {
    pub username: Field<String>,
    pub email: Field<String>,
    pub email_verified: Field<bool>,
    pub name: Field<String>,
    pub groups: Field<Vec<String>>,
    pub roles: Field<Vec<String>>,
    pub enabled: Field<bool>,
    /// At creation only: later it has an endpoint of its own.
    pub password: Field<SecretString>,
    /// At creation only: what an import brings along instead of the password.
    pub password_hash: Field<String>,
    /// What could not even be read; told together with what is wrong otherwise.
    pub slips: Vec<FieldError>,
}

/// What a password is to be.
#[derive(Clone, Debug)]
pub enum NewPassword {
    /// Chosen by a person: not hashed yet.
    Chosen(SecretString),
    /// Brought along by an import.
    Hashed(PasswordHash),
    /// No login by password.
    None,
}

/// An account with every default, to apply a draft to. `now` in epoch seconds.
pub fn blank(provider: &Provider, id: UserId, now: i64) -> User {
    User {
        provider: provider.id.clone(),
        id,
        username: String::new(),
        email: None,
        email_verified: false,
        name: None,
        groups: Vec::new(),
        roles: Vec::new(),
        password: None,
        password_changed_at: None,
        enabled: true,
        locked_at: None,
        epoch: 1,
        version: 1,
        created_at: now,
        updated_at: now,
        deleted_at: None,
    }
}

/// A new account from `blank`, and the password it is to have.
pub fn new(
    mut draft: UserDraft,
    blank: &User,
    passwords: &Passwords,
) -> Result<(User, NewPassword, Vec<&'static str>), Refusal> {
    let mut checks = Checks::after(std::mem::take(&mut draft.slips));
    if !matches!(draft.username, Field::Set(_)) {
        checks.refuse("username", "is required");
    }
    let (password, hash) = (std::mem::take(&mut draft.password), std::mem::take(&mut draft.password_hash));
    let user = judged(&mut checks, draft, blank);
    let password = new_password(&mut checks, password, hash, &user, passwords);
    Ok((user, password, checks.finish()?))
}

/// `current` with the draft applied, and the names of the fields that changed.
pub fn apply(mut draft: UserDraft, current: &User) -> Result<(User, Vec<&'static str>), Refusal> {
    let mut checks = Checks::after(std::mem::take(&mut draft.slips));
    for (name, is_named) in [("password", !draft.password.is_keep()), ("password_hash", !draft.password_hash.is_keep())]
    {
        if is_named {
            checks.refuse(name, "is changed by a call of its own: …/password");
        }
    }
    if matches!(draft.username, Field::Reset) {
        checks.refuse("username", "is required");
    }
    let user = judged(&mut checks, draft, current);
    Ok((user, checks.finish()?))
}

/// The password of a call that does nothing but set it: exactly one of the two.
pub fn password_of(
    slips: Vec<FieldError>,
    password: Field<SecretString>,
    hash: Field<String>,
    user: &User,
    passwords: &Passwords,
) -> Result<NewPassword, Refusal> {
    let mut checks = Checks::after(slips);
    if password.is_keep() && hash.is_keep() {
        checks.refuse("password", "is required: a password, or null for none; or password_hash");
    }
    let new = new_password(&mut checks, password, hash, user, passwords);
    checks.finish()?;
    Ok(new)
}

fn judged(checks: &mut Checks, draft: UserDraft, current: &User) -> User {
    let UserDraft {
        username,
        email,
        email_verified,
        name,
        groups,
        roles,
        enabled,
        password: _,
        password_hash: _,
        slips: _,
    } = draft;
    let username = match username {
        Field::Reset => Field::Keep,
        other => other,
    };
    let says_verified = !email_verified.is_keep();
    let mut user = User {
        username: checks.apply("username", username, (&current.username, String::new()), |text| names::username(&text)),
        email: checks.optional("email", email, &current.email, |text: String| names::email(&text)),
        email_verified: checks.apply("email_verified", email_verified, (&current.email_verified, false), any),
        name: checks.optional("name", name, &current.name, label),
        groups: checks.apply("groups", groups, (&current.groups, Vec::new()), names_of),
        roles: checks.apply("roles", roles, (&current.roles, Vec::new()), names_of),
        enabled: checks.apply("enabled", enabled, (&current.enabled, true), any),
        ..current.clone()
    };
    // What was verified was the old address.
    let same = user.email.as_deref().map(name_key) == current.email.as_deref().map(name_key);
    if !same && !says_verified {
        user.email_verified = false;
    }
    if user.email_verified && user.email.is_none() {
        checks.refuse("email_verified", "needs an email");
    }
    user
}

/// Names of groups or roles, each once.
pub(in crate::engine::manage) fn names_of(names: Vec<String>) -> Result<Vec<String>, String> {
    if names.len() > MOST_NAMES {
        return Err(format!("may have at most {MOST_NAMES} names"));
    }
    let mut kept: Vec<String> = Vec::with_capacity(names.len());
    for name in names {
        let name = label(name).map_err(|error| format!("each {error}"))?;
        if !kept.contains(&name) {
            kept.push(name);
        }
    }
    Ok(kept)
}

fn new_password(
    checks: &mut Checks,
    password: Field<SecretString>,
    hash: Field<String>,
    user: &User,
    passwords: &Passwords,
) -> NewPassword {
    match (password, hash) {
        (Field::Set(_), Field::Set(_)) => checks.refuse("password_hash", "may not stand beside password"),
        (Field::Set(text), _) => match flaw_of_password(text.expose_secret(), user) {
            None => return NewPassword::Chosen(text),
            Some(flaw) => checks.refuse("password", flaw),
        },
        (_, Field::Set(hash)) => match passwords.flaw_of_import(&hash) {
            None => return NewPassword::Hashed(PasswordHash(hash)),
            Some(flaw) => checks.refuse("password_hash", format!("cannot be used: {flaw}")),
        },
        _ => {}
    }
    NewPassword::None
}

/// Why this account may not have this password, in words for the one who chose it. `None`: it may.
pub fn flaw_of_password(text: &str, user: &User) -> Option<String> {
    if text.chars().count() < LEAST_PASSWORD || text.len() > MAX_SECRET {
        return Some(format!("must be at least {LEAST_PASSWORD} characters and at most {MAX_SECRET} bytes"));
    }
    if is_common(text) {
        return Some("is one of the passwords that everybody tries first".to_owned());
    }
    let key = name_key(text);
    let email = user.email.as_deref().map(name_key);
    let mailbox = email.as_deref().and_then(|email| email.split_once('@')).map(|(mailbox, _)| mailbox);
    let is_name = [Some(name_key(&user.username).as_str()), email.as_deref(), mailbox].contains(&Some(key.as_str()));
    is_name.then(|| "must not be the username or the email".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alice() -> User {
        let provider = "p".into();
        User {
            username: "Alice.Anderson".to_owned(),
            email: Some("a.anderson@example.com".to_owned()),
            email_verified: true,
            ..User {
                provider,
                id: "u".into(),
                username: String::new(),
                email: None,
                email_verified: false,
                name: None,
                groups: Vec::new(),
                roles: Vec::new(),
                password: None,
                password_changed_at: None,
                enabled: true,
                locked_at: None,
                epoch: 1,
                version: 1,
                created_at: 0,
                updated_at: 0,
                deleted_at: None,
            }
        }
    }

    #[test]
    fn a_password_is_long_enough_and_neither_common_nor_a_name() {
        let long = "x1".repeat(251);
        for bad in
            ["", "short", "ääääääa", "Password1", "alice.ANDERSON", "A.Anderson@example.com", "a.anderson", &long]
        {
            assert!(flaw_of_password(bad, &alice()).is_some(), "{bad}");
        }
        for good in ["correct horse", "ä-ä-ä-ä-ö", &long[2..]] {
            assert_eq!(flaw_of_password(good, &alice()), None, "{good}");
        }
    }

    #[test]
    fn another_address_is_not_verified_because_the_old_one_was() {
        let changed = |email: Field<String>, email_verified: Field<bool>| {
            apply(UserDraft { email, email_verified, ..UserDraft::default() }, &alice()).map(|(user, _)| user)
        };
        let other = || Field::Set("b@example.com".to_owned());
        assert!(!changed(other(), Field::Keep).unwrap().email_verified);
        assert!(changed(other(), Field::Set(true)).unwrap().email_verified);
        assert!(changed(Field::Set("A.Anderson@EXAMPLE.com".to_owned()), Field::Keep).unwrap().email_verified);
        assert!(!changed(Field::Reset, Field::Keep).unwrap().email_verified);
        assert!(changed(Field::Reset, Field::Set(true)).is_err());
    }
}
