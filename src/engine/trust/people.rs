//! The account behind the subject of an external token: linked before, or linked now by an email
//! that both sides have verified, or made now. Nothing else finds anybody.

use std::sync::Arc;

use crate::domain::event::Event;
use crate::domain::external::ExternalToken;
use crate::domain::trust::Provision;
use crate::domain::{Context, Decision, Fault, Provider, ProviderId, User, UserId};
use crate::engine::Engine;
use crate::engine::cache::users::UserEntry;
use crate::engine::changes::user_change_id;
use crate::engine::manage::{fields, user_fields};
use crate::engine::names;
use crate::engine::trust::Accepted;
use crate::store::user_links::Subject;
use crate::store::{ChangedTable, Conn, Tx, events, providers, user_links, users};

/// How the subject stands to the accounts before anything is written.
pub enum Standing {
    Linked(Arc<UserEntry>),
    /// An account with the same verified email, to be linked.
    SameEmail(Arc<UserEntry>),
    /// Nobody yet; an account may be made.
    New,
    /// Nobody, and none is made; or somebody who is not live. A sentence for the log.
    Nobody(&'static str),
}

/// What is read in one go.
struct Found {
    linked: Option<UserId>,
    same_email: Option<UserId>,
}

impl Engine {
    /// Looks only.
    pub(in crate::engine) async fn standing(
        &self,
        ctx: &Context,
        provider: &ProviderId,
        accepted: &Accepted,
    ) -> Result<Standing, Fault> {
        let rules = &accepted.row.rules;
        let email = verified_email(&accepted.token).filter(|_| rules.link_by_verified_email);
        let (owner, named) = (provider.clone(), subject_of(provider, accepted));
        let read = move |conn: &mut Conn| {
            let linked = user_links::get(conn, &named)?;
            let same_email = match (&linked, &email) {
                (None, Some(email)) => by_verified_email(conn, &owner, email)?.map(|user| user.id),
                _ => None,
            };
            Ok(Found { linked, same_email })
        };
        let Found { linked, same_email } = self.0.db.read(ctx.deadline, read).await?;
        let live = async |id: &UserId| {
            let entry = self.user(ctx, provider, id).await?;
            Ok::<_, Fault>(entry.filter(|entry| entry.user.is_live()))
        };
        Ok(match (linked, same_email, rules.provision) {
            (Some(id), _, _) => match live(&id).await? {
                Some(entry) => Standing::Linked(entry),
                None => Standing::Nobody("the account that this subject is linked to is not live"),
            },
            (None, Some(id), _) => match live(&id).await? {
                Some(entry) => Standing::SameEmail(entry),
                None => Standing::Nobody("the account with this email is not live"),
            },
            (None, None, Provision::JustInTime) => Standing::New,
            (None, None, Provision::None) => Standing::Nobody("this subject is linked to no account, and none is made"),
        })
    }

    /// Keeps the link that [`Standing::SameEmail`] found. Of two that link at once the first stays;
    /// `false`: the subject is somebody else's by now, or the account's email has changed.
    pub(in crate::engine) async fn link(
        &self,
        ctx: &Context,
        accepted: &Accepted,
        user: &UserEntry,
    ) -> Result<bool, Fault> {
        let (provider, id, now) = (user.user.provider.clone(), user.user.id.clone(), ctx.now.seconds());
        let named = subject_of(&provider, accepted);
        let email = verified_email(&accepted.token);
        let event = self.event_of_link(ctx, accepted, &user.user, "user.linked");
        let decided = self
            .0
            .db
            .write(ctx.deadline, move |tx| {
                // Names change only while the provider's row is held.
                let held = providers::locked(tx, &provider)?.is_some();
                let still = match &email {
                    Some(email) if held => by_verified_email(tx, &provider, email)?.is_some_and(|user| user.id == id),
                    _ => false,
                };
                if !still {
                    return Ok(Decision::Allow(false));
                }
                if user_links::insert_if_absent(tx, &named, &id, now)? {
                    events::insert(tx, &event)?;
                    return Ok(Decision::Allow(true));
                }
                Ok(Decision::Allow(user_links::get(tx, &named)? == Some(id.clone())))
            })
            .await?;
        Ok(matches!(decided, Decision::Allow(true)))
    }

    /// Makes the account of a subject that has none, with its link; of two that make one at once
    /// there is one afterwards, and both get it. `None`: the provider is gone, or no name is free.
    pub(in crate::engine) async fn provision(
        &self,
        ctx: &Context,
        provider: &Provider,
        accepted: &Accepted,
    ) -> Result<Option<UserId>, Fault> {
        let id = UserId::from(self.0.random.uuid_v7(ctx.now));
        let mut blank = user_fields::blank(provider, id.clone(), ctx.now.seconds());
        blank.name = accepted.token.text("name").and_then(|name| fields::label(name.to_owned()).ok());
        // An issuer that is not trusted with emails for linking is not trusted with them here either: an
        // address that it makes up would catch the one whom it belongs to.
        let email = verified_email(&accepted.token).filter(|_| accepted.row.rules.link_by_verified_email);
        let usernames = usernames(&accepted.token, email.as_deref(), &id);
        let event = self.event_of_link(ctx, accepted, &blank, "user.provisioned");
        let (subject, now) = (subject_of(&provider.id, accepted), ctx.now);
        let decided = self
            .0
            .db
            .write(ctx.deadline, move |tx| {
                // Held until the end: whoever comes second finds the link of the first.
                if providers::locked(tx, &blank.provider)?.is_none() {
                    return Ok(Decision::Allow(None));
                }
                if let Some(linked) = user_links::get(tx, &subject)? {
                    return Ok(Decision::Allow(Some(linked)));
                }
                let Some(user) = named(tx, &blank, email.as_deref(), &usernames)? else {
                    return Ok(Decision::Allow(None));
                };
                if !users::insert(tx, &user, &names::keys_of(&user))? {
                    return Ok(Decision::Allow(None));
                }
                user_links::insert_if_absent(tx, &subject, &user.id, now.seconds())?;
                tx.changed(ChangedTable::Users, &user_change_id(&user.provider, &user.id), now)?;
                events::insert(tx, &event)?;
                Ok(Decision::Allow(Some(user.id)))
            })
            .await?;
        let made = if let Decision::Allow(made) = decided { made } else { None };
        if let Some(id) = &made {
            self.forget_user(&provider.id, id);
        }
        Ok(made)
    }

    fn event_of_link(&self, ctx: &Context, accepted: &Accepted, user: &User, action: &'static str) -> Event {
        Event {
            id: self.0.random.uuid_v7(ctx.now),
            at: ctx.now.millis(),
            provider: Some(user.provider.clone()),
            actor: accepted.row.id.to_string(),
            action,
            target: user.id.to_string(),
            request_id: ctx.request_id.clone(),
            details: "{}".to_owned(),
        }
    }
}

fn subject_of(provider: &ProviderId, accepted: &Accepted) -> Subject {
    Subject {
        provider: provider.clone(),
        issuer: accepted.row.issuer.clone(),
        claim: accepted.row.rules.subject_claim.clone(),
        subject: accepted.subject.clone(),
    }
}

/// The email that the issuer says it has verified, if it is one.
fn verified_email(token: &ExternalToken) -> Option<String> {
    let email = token.text("email").filter(|_| token.is_true("email_verified"))?;
    names::email(email).ok()
}

/// The account that has this as its email, verified here too. One that merely has it as a username
/// is another person.
fn by_verified_email(conn: &mut Conn, provider: &ProviderId, email: &str) -> Result<Option<User>, Fault> {
    let key = names::name_key(email);
    let found = users::by_name(conn, provider, &key)?;
    // Beyond letter case nothing is folded: what looks alike is another mailbox.
    let same = |user: &User| user.email.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(email));
    Ok(found.filter(|user| user.email_verified && same(user)))
}

/// What the account may be called, the best first. A name with an `@` is taken for an email, so it
/// must be the verified one: nobody occupies another's address.
fn usernames(token: &ExternalToken, email: Option<&str>, id: &UserId) -> Vec<String> {
    let preferred = token.text("preferred_username").and_then(|name| names::username(name).ok());
    let own = |name: &String| {
        let key = names::name_key(name);
        !key.contains('@') || email.is_some_and(|email| names::name_key(email) == key)
    };
    let email = email.and_then(|email| names::username(email).ok());
    [preferred.filter(own), email, Some(id.to_string())].into_iter().flatten().collect()
}

/// `blank` with the first username that is free, and with the email if that is free.
fn named(tx: &mut Tx<'_>, blank: &User, email: Option<&str>, usernames: &[String]) -> Result<Option<User>, Fault> {
    let free = |tx: &mut Tx<'_>, user: &User| {
        users::is_name_taken(tx, &user.provider, &names::keys_of(user), None).map(|taken| !taken)
    };
    for username in usernames {
        let mut user = User { username: username.clone(), ..blank.clone() };
        if !free(tx, &user)? {
            continue;
        }
        if let Some(email) = email {
            let with_email = User { email: Some(email.to_owned()), email_verified: true, ..user.clone() };
            if free(tx, &with_email)? {
                user = with_email;
            }
        }
        return Ok(Some(user));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::external::ClaimValue;

    fn token(claims: &[(&str, &str)]) -> ExternalToken {
        let text = |value: &&str| match *value {
            "true" | "false" => ClaimValue::Plain((*value).to_owned()),
            text => ClaimValue::Text(text.to_owned()),
        };
        ExternalToken {
            algorithm: String::new(),
            key_id: None,
            typ: None,
            has_critical: false,
            issuer: String::new(),
            audience: std::collections::BTreeSet::new(),
            expires_at: None,
            issued_at: None,
            not_before: None,
            may_act: None,
            claims: claims.iter().map(|(name, value)| ((*name).to_owned(), text(value))).collect::<BTreeMap<_, _>>(),
        }
    }

    #[test]
    fn only_a_verified_email_counts() {
        let email = |claims: &[(&str, &str)]| verified_email(&token(claims));
        assert_eq!(email(&[("email", "A@b.example"), ("email_verified", "true")]).as_deref(), Some("A@b.example"));
        assert_eq!(email(&[("email", "A@b.example"), ("email_verified", "false")]), None);
        assert_eq!(email(&[("email", "A@b.example")]), None);
        assert_eq!(email(&[("email", "nobody"), ("email_verified", "true")]), None);
    }

    #[test]
    fn nobody_is_called_by_an_address_that_is_not_verified() {
        let id = UserId::from("id-1");
        let called = |claims: &[(&str, &str)]| {
            let token = token(claims);
            usernames(&token, verified_email(&token).as_deref(), &id)
        };
        assert_eq!(called(&[("preferred_username", "alice")]), ["alice", "id-1"]);
        assert_eq!(called(&[("preferred_username", "victim@b.example")]), ["id-1"]);
        let own = [("preferred_username", "A@b.example"), ("email", "a@b.example"), ("email_verified", "true")];
        assert_eq!(called(&own), ["A@b.example", "a@b.example", "id-1"]);
        assert_eq!(called(&[("preferred_username", "a b")]), ["id-1"]);
    }
}
