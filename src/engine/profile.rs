//! What is said about a person, in ID tokens and at userinfo alike: by scope, and by the `claims`
//! parameter where the client has the scope that covers the claim (OIDC Core §5.4, §5.5).

use crate::domain::token::Profile;
use crate::domain::{ScopeSet, User};

/// The scopes that cover claims about a person. `groups` and `roles` are such that an admin gives a client.
pub const PROFILE_SCOPES: [&str; 4] = ["profile", "email", "groups", "roles"];

/// Which scope covers which claim (OIDC Core §5.4).
const COVERS: [(&str, &[&str]); 4] = [
    ("profile", &["preferred_username", "name", "updated_at"]),
    ("email", &["email", "email_verified"]),
    ("groups", &["groups"]),
    ("roles", &["roles"]),
];

/// The scopes that cover these claims.
pub fn covering(claims: &[impl AsRef<str>]) -> Vec<&'static str> {
    let is_asked = |own: &[&str]| own.iter().any(|name| claims.iter().any(|claim| claim.as_ref() == *name));
    COVERS.iter().filter(|(_, own)| is_asked(own)).map(|(scope, _)| *scope).collect()
}

/// Who asks: the scope that was granted, that of the client, and the claims asked for by name.
pub struct Asked<'a> {
    pub granted: &'a ScopeSet,
    pub of_client: &'a ScopeSet,
    pub claims: &'a [String],
}

/// What this person's account says of what was asked; `by_groups` are the roles that its groups give it.
/// Nothing and empty are left out.
pub fn profile(user: &User, by_groups: &[String], asked: &Asked<'_>) -> Profile {
    let may = |scope: &str, claim: &str| {
        let by_name = asked.claims.iter().any(|own| own == claim) && asked.of_client.contains(scope);
        asked.granted.contains(scope) || by_name
    };
    let email = user.email.clone();
    let email_verified = email.as_ref().map(|_| user.email_verified);
    let groups = (!user.groups.is_empty()).then(|| user.groups.clone());
    let others = by_groups.iter().filter(|role| !user.roles.contains(role));
    let roles: Vec<String> = user.roles.iter().chain(others).cloned().collect();
    Profile {
        preferred_username: may("profile", "preferred_username").then(|| user.username.clone()),
        name: user.name.clone().filter(|_| may("profile", "name")),
        email: email.filter(|_| may("email", "email")),
        email_verified: email_verified.filter(|_| may("email", "email_verified")),
        groups: groups.filter(|_| may("groups", "groups")),
        roles: (!roles.is_empty() && may("roles", "roles")).then_some(roles),
        updated_at: may("profile", "updated_at").then_some(user.updated_at),
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn ann() -> User {
        User {
            provider: "p".into(),
            id: "u".into(),
            username: "ann".into(),
            email: Some("ann@example.com".into()),
            email_verified: true,
            name: Some("Ann".into()),
            groups: vec!["staff".into()],
            roles: vec!["admin".into()],
            password: None,
            password_changed_at: None,
            enabled: true,
            locked_at: None,
            epoch: 1,
            version: 1,
            created_at: 0,
            updated_at: 7,
            deleted_at: None,
        }
    }

    fn asked(granted: &str, of_client: &str, claims: &[&str]) -> Profile {
        let (granted, of_client) = (ScopeSet::parse(granted).unwrap(), ScopeSet::parse(of_client).unwrap());
        let claims: Vec<String> = claims.iter().map(|claim| (*claim).to_owned()).collect();
        profile(
            &ann(),
            &["reader".to_owned(), "admin".to_owned()],
            &Asked { granted: &granted, of_client: &of_client, claims: &claims },
        )
    }

    #[test]
    fn each_scope_gives_its_claims_and_no_others() {
        assert_eq!(asked("openid", "openid profile email groups", &[]), Profile::default());
        let named = Profile {
            preferred_username: Some("ann".into()),
            name: Some("Ann".into()),
            updated_at: Some(7),
            ..Profile::default()
        };
        assert_eq!(asked("openid profile", "openid profile email", &[]), named);
        let mail = Profile { email: Some("ann@example.com".into()), email_verified: Some(true), ..Profile::default() };
        assert_eq!(asked("email", "email", &[]), mail);
        assert_eq!(asked("groups", "groups", &[]).groups, Some(vec!["staff".into()]));
        let roles = asked("roles", "roles", &[]);
        assert_eq!(roles, Profile { roles: Some(vec!["admin".into(), "reader".into()]), ..Profile::default() });
    }

    #[test]
    fn a_claim_asked_by_name_needs_a_client_with_its_scope() {
        let only_name = Profile { name: Some("Ann".into()), ..Profile::default() };
        assert_eq!(asked("openid", "openid profile", &["name", "email", "sub", "nonsense"]), only_name);
        assert_eq!(asked("openid", "openid", &["name", "groups"]), Profile::default());
    }

    #[test]
    fn what_an_account_does_not_have_is_left_out() {
        let bare = User { email: None, name: None, groups: Vec::new(), roles: Vec::new(), ..ann() };
        let scope = ScopeSet::parse("profile email groups roles").unwrap();
        let said = profile(&bare, &[], &Asked { granted: &scope, of_client: &scope, claims: &[] });
        let expected = Profile { preferred_username: Some("ann".into()), updated_at: Some(7), ..Profile::default() };
        assert_eq!(said, expected);
    }
}
