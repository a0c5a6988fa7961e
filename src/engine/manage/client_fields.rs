//! Judges the fields of a client: what a new one starts from, and what a change makes of it.

use crate::crypto::ClientKeys;
use crate::crypto::client_keys::assertion_alg;
use crate::domain::client::{AuthMethod, GrantType};
use crate::domain::id::{is_choosable_client_id, is_reserved, is_uuid_shaped};
use crate::domain::patch::Field;
use crate::domain::token::AccessTokenFormat;
use crate::domain::{AudienceSet, Client, ClientId, Provider, Refusal, ScopeSet};
use crate::engine::manage::client_draft::ClientDraft;
use crate::engine::manage::client_policy_fields;
use crate::engine::manage::fields::{Checks, any, audience, label, not_built, one_of, scope, seconds};
use crate::upstream::Fetcher;

const AUTH_METHODS: &str = "client_secret_basic, client_secret_post, private_key_jwt, none";

/// A client with every default, to apply a draft to. `client_id` is the chosen or generated one.
pub fn blank(provider: &Provider, client_id: ClientId, now: i64) -> Client {
    Client {
        provider: provider.id.clone(),
        subject: client_id.to_string(),
        name: client_id.to_string(),
        client_id,
        auth_method: AuthMethod::ClientSecretBasic,
        auth_signing_alg: None,
        jwks: None,
        jwks_uri: None,
        grant_types: vec![GrantType::ClientCredentials],
        scope: ScopeSet::default(),
        audience: AudienceSet::default(),
        resource_server: false,
        resources: AudienceSet::default(),
        access_token_format: AccessTokenFormat::Jwt,
        access_token_ttl: None,
        enabled: true,
        only_surface: None,
        policy: client_policy_fields::default_policy(),
        epoch: 0,
        version: 1,
        created_at: now,
        updated_at: now,
        deleted_at: None,
    }
}

/// The `client_id` and `subject` an admin chose for a new client; wrong ones become slips of the
/// draft. `keep_id`: the `client_id` may also be one that was generated.
pub fn identity(draft: &mut ClientDraft, keep_id: bool) -> (Option<String>, Option<String>) {
    let mut checks = Checks::default();
    let judge = if keep_id { kept_id } else { chosen_id };
    let client_id = checks.optional("client_id", std::mem::take(&mut draft.client_id), &None, judge);
    let subject = checks.optional("subject", std::mem::take(&mut draft.subject), &None, chosen_subject);
    draft.slips.extend(checks.into_errors());
    (client_id, subject)
}

/// `current` with the draft applied, and the names of the fields that changed.
pub fn apply(
    mut draft: ClientDraft,
    current: &Client,
    provider: &Provider,
    fetcher: &Fetcher,
) -> Result<(Client, Vec<&'static str>), Refusal> {
    let mut checks = Checks::after(std::mem::take(&mut draft.slips));
    refuse_unchangeable(&draft, current, &mut checks);
    refuse_not_built(&mut draft, &mut checks);
    let auth_method = checks.apply(
        "token_endpoint_auth_method",
        std::mem::take(&mut draft.token_endpoint_auth_method),
        (&current.auth_method, AuthMethod::ClientSecretBasic),
        one_of(AuthMethod::from_name, AUTH_METHODS),
    );
    let policy = client_policy_fields::apply(&mut draft, &current.policy, auth_method == AuthMethod::None, &mut checks);
    if policy.backchannel_logout_uri != current.policy.backchannel_logout_uri
        && let Some(flaw) = policy.backchannel_logout_uri.as_ref().and_then(|uri| fetcher.accepts(uri).err())
    {
        checks.refuse("backchannel_logout_uri", flaw.to_string());
    }
    let blank = blank(provider, current.client_id.clone(), current.created_at);
    let changed = Client {
        name: checks.apply("client_name", draft.client_name, (&current.name, blank.name), label),
        auth_method,
        auth_signing_alg: checks.optional(
            "token_endpoint_auth_signing_alg",
            draft.token_endpoint_auth_signing_alg,
            &current.auth_signing_alg,
            signing_alg,
        ),
        jwks: checks.optional("jwks", draft.jwks, &current.jwks, jwks),
        jwks_uri: checks
            .optional("jwks_uri", draft.jwks_uri, &current.jwks_uri, |url| fetcher.accepts(&url).map(|()| url)),
        grant_types: checks.apply("grant_types", draft.grant_types, (&current.grant_types, blank.grant_types), grants),
        scope: checks.apply("scope", draft.scope, (&current.scope, blank.scope), scope),
        audience: checks.apply("audience", draft.audience, (&current.audience, blank.audience), audience),
        resource_server: checks.apply("resource_server", draft.resource_server, (&current.resource_server, false), any),
        resources: checks.apply("resources", draft.resources, (&current.resources, blank.resources), audience),
        access_token_format: checks.apply(
            "access_token_format",
            draft.access_token_format,
            (&current.access_token_format, AccessTokenFormat::Jwt),
            one_of(AccessTokenFormat::from_name, "jwt, opaque"),
        ),
        access_token_ttl: checks.optional(
            "access_token_ttl",
            draft.access_token_ttl,
            &current.access_token_ttl,
            seconds(1, provider.ttls.max),
        ),
        enabled: checks.apply("enabled", draft.enabled, (&current.enabled, true), any),
        policy,
        ..current.clone()
    };
    let changed = with_response_type(changed);
    check_together(&changed, current, &mut checks);
    let fields = checks.finish()?;
    Ok((changed, fields))
}

/// RFC 7591 §2.1: `code` goes with the grant type that has a use for it.
fn with_response_type(mut client: Client) -> Client {
    if client.may_use(GrantType::AuthorizationCode) && client.policy.response_types.is_empty() {
        client.policy.response_types = vec!["code".to_owned()];
    }
    client
}

/// What must fit together whatever was changed.
fn check_together(client: &Client, before: &Client, checks: &mut Checks) {
    if client.auth_method == AuthMethod::PrivateKeyJwt && client.jwks.is_none() && client.jwks_uri.is_none() {
        checks.refuse("jwks", "or jwks_uri is needed for private_key_jwt");
    }
    if client.jwks.is_some() && client.jwks_uri.is_some() {
        checks.refuse("jwks_uri", "cannot stand beside jwks (RFC 7591 §2): set the other to null");
    }
    // The built-in first-party client gets its redirects from the operator who wants codes for it; what a
    // surface has made has no grants.
    let built_in = client.only_surface.is_some();
    if !built_in && client.may_use(GrantType::AuthorizationCode) && client.policy.redirect_uris.is_empty() {
        checks.refuse("redirect_uris", "is needed for authorization_code");
    }
    let same_kind = client.grant_types == before.grant_types && client.auth_method == before.auth_method;
    if built_in && !same_kind {
        checks.refuse("grant_types", "and token_endpoint_auth_method of a client of one surface cannot be changed");
    }
    if !built_in && client.is_public() && client.may_use(GrantType::ClientCredentials) {
        checks.refuse("grant_types", "a public client cannot use client_credentials (RFC 6749 §4.4)");
    }
}

/// The same value again is no change.
fn refuse_unchangeable(draft: &ClientDraft, current: &Client, checks: &mut Checks) {
    let differs = |field: &Field<String>, own: &str| match field {
        Field::Keep => false,
        Field::Reset => true,
        Field::Set(value) => value != own,
    };
    if differs(&draft.client_id, current.client_id.as_str()) {
        checks.refuse("client_id", "cannot be changed");
    }
    if differs(&draft.subject, &current.subject) {
        checks.refuse("subject", "cannot be changed");
    }
    if !draft.client_secret.is_keep() {
        checks.refuse("client_secret", "cannot be changed here: secrets are a resource of their own");
    }
}

fn refuse_not_built(draft: &mut ClientDraft, checks: &mut Checks) {
    let switches = [
        ("require_pushed_authorization_requests", std::mem::take(&mut draft.require_pushed_authorization_requests)),
        ("dpop_bound_access_tokens", std::mem::take(&mut draft.dpop_bound_access_tokens)),
    ];
    for (name, switch) in switches {
        checks.apply(name, switch, (&false, false), not_built);
    }
}

fn grants(names: Vec<String>) -> Result<Vec<GrantType>, String> {
    let mut grants = Vec::new();
    for name in &names {
        let served: Vec<&str> =
            GrantType::ALL.into_iter().filter(|grant| grant.is_served()).map(GrantType::name).collect();
        let grant = GrantType::from_name(name).filter(|grant| grant.is_served());
        let grant = grant.ok_or_else(|| format!("must be of those this release serves: {}", served.join(", ")))?;
        if !grants.contains(&grant) {
            grants.push(grant);
        }
    }
    Ok(grants)
}

fn chosen_id(text: String) -> Result<String, &'static str> {
    if is_choosable_client_id(&text) && !is_reserved(&text) {
        return Ok(text);
    }
    Err("must be 1 to 64 of A-Z a-z 0-9 . _ - and not look like a UUID, nor be env, system, cli or grantd")
}

/// A chosen one, or one that an installation of ours has generated.
fn kept_id(text: String) -> Result<String, &'static str> {
    let is_generated = is_uuid_shaped(&text) && !text.bytes().any(|byte| byte.is_ascii_uppercase());
    if is_generated { Ok(text) } else { chosen_id(text) }
}

/// OIDC Core §2: at most 255 ASCII characters.
fn chosen_subject(text: String) -> Result<String, &'static str> {
    let fits = (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if fits && !is_reserved(&text) {
        Ok(text)
    } else {
        Err("must be 1 to 255 printable ASCII characters without space, and not env, system, cli or grantd")
    }
}

fn signing_alg(name: String) -> Result<String, &'static str> {
    if assertion_alg(&name).is_some() { Ok(name) } else { Err("is not an algorithm that assertions may use") }
}

fn jwks(text: String) -> Result<String, String> {
    ClientKeys::parse(&text).map(|_| text).map_err(|flaw| flaw.to_string())
}
