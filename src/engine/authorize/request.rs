//! Reads an authorization request in two steps: first who asks and where the answer may go, where
//! every slip ends on a page of ours; then the rest, whose slips go back to the client (RFC 6749
//! §4.1.2.1).

use crate::crypto::claims_request::ClaimsRequest;
use crate::domain::authorize::AuthorizeParams;
use crate::domain::client::GrantType;
use crate::domain::grant::Ask;
use crate::domain::id::is_client_id;
use crate::domain::{AudienceSet, Client, Context, Failed, Refusal, RefusalKind, ScopeSet};
use crate::engine::Engine;
use crate::engine::authorize::redirect::{Back, ResponseMode, is_registered};
use crate::engine::cache::clients::ClientEntry;
use crate::engine::cache::providers::ProviderEntry;
use crate::engine::policy;
use crate::store::clients;

/// S256 gives 43 characters (RFC 7636 §4.2).
const CHALLENGE: usize = 43;
const MAX_STATE: usize = 4096;
const MAX_NONCE: usize = 1024;
/// A longer hint is nobody's name.
const MAX_LOGIN_HINT: usize = 255;
const MAX_LOCALES: usize = 10;

/// A client that asks, and the proven way back to it.
pub(in crate::engine) struct Target {
    pub client: Client,
    pub back: Back,
    pub redirect_uri_sent: bool,
}

/// What is asked for, judged.
pub(in crate::engine) struct Request {
    pub scope: ScopeSet,
    pub audience: AudienceSet,
    pub nonce: Option<String>,
    pub code_challenge: Option<String>,
    pub prompt: Prompt,
    pub max_age: Option<i64>,
    pub login_hint: Option<String>,
    pub ui_locales: Vec<String>,
    pub claims: String,
    /// The claims that it asks for by name, in either place.
    pub named_claims: Vec<String>,
    /// Whom the answer must be about; `Some(None)`: a hint that names nobody we know.
    pub subject: Option<Option<String>>,
}

/// OIDC Core §3.1.2.1 `prompt`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::engine) struct Prompt {
    pub none: bool,
    pub login: bool,
    pub consent: bool,
}

/// An error for the client: its code, and a fixed sentence.
pub(in crate::engine) type Slip = (&'static str, &'static str);

impl Engine {
    /// The client and the way back to it. A refusal is for the error page.
    pub(in crate::engine) async fn authorize_target(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        params: &AuthorizeParams,
    ) -> Result<Target, Failed> {
        let id = params.client_id.as_deref().filter(|id| is_client_id(id)).ok_or_else(unknown_client)?;
        let (owner, wanted) = (provider.provider.id.clone(), id.into());
        let client = self.0.db.read(ctx.deadline, move |conn| clients::get(conn, &owner, &wanted)).await?;
        let client = client.filter(Client::is_live).ok_or_else(unknown_client)?;
        let redirect_uri = redirect_uri(&client, params.redirect_uri.as_deref())?;
        let mode = params.response_mode.as_deref().and_then(ResponseMode::from_name).unwrap_or_default();
        // A state that is refused for its length is not carried around either.
        let state = params.state.clone().filter(|state| state.len() <= MAX_STATE);
        let back = Back { redirect_uri, mode, state, issuer: provider.provider.issuer.clone() };
        Ok(Target { client, back, redirect_uri_sent: params.redirect_uri.is_some() })
    }

    /// The request, or what is to be told to the client.
    pub(in crate::engine) async fn authorize_request(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        target: &Target,
        params: &AuthorizeParams,
    ) -> Result<Result<Request, Slip>, Failed> {
        let entry = self.client(ctx, &provider.provider.id, &target.client.client_id).await?;
        let Some(entry) = entry.filter(|entry| entry.live) else { return Err(unknown_client().into()) };
        let hint = match &params.id_token_hint {
            Some(hint) => Some(self.hinted_subject(ctx, provider, &target.client, hint).await?),
            None => None,
        };
        Ok(judge(provider, &entry, target, params, hint))
    }

    /// Whom a hint of ours names (OIDC Core §3.1.2.1); `None`: nobody we know.
    async fn hinted_subject(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        client: &Client,
        hint: &str,
    ) -> Result<Option<String>, Failed> {
        let hint = self.id_hint(ctx, provider, hint).await?;
        let own = hint.filter(|hint| hint.audience.iter().any(|aud| aud == client.client_id.as_str()));
        Ok(own.map(|hint| hint.subject))
    }
}

fn unknown_client() -> Refusal {
    Refusal::new(RefusalKind::InvalidClient, "The application that sent you here is not known.")
        .about("unknown or disabled client")
}

fn redirect_uri(client: &Client, sent: Option<&str>) -> Result<String, Refusal> {
    let registered = &client.policy.redirect_uris;
    match sent {
        Some(sent) if is_registered(sent, registered, client.policy.application_type) => Ok(sent.to_owned()),
        None if registered.len() == 1 => Ok(registered.first().cloned().unwrap_or_default()),
        _ => Err(Refusal::new(
            RefusalKind::InvalidClient,
            "The application that sent you here asked for an answer at a place it has not named.",
        )
        .about(format!("client {}: redirect_uri is not registered", client.client_id))),
    }
}

fn judge(
    provider: &ProviderEntry,
    client: &ClientEntry,
    target: &Target,
    params: &AuthorizeParams,
    hint: Option<Option<String>>,
) -> Result<Request, Slip> {
    refuse_unsupported(params)?;
    response(params, client)?;
    let claims = params.claims.clone().unwrap_or_default();
    let asked = ClaimsRequest::parse(&claims).ok_or(("invalid_request", "claims cannot be read."))?;
    let subject = hint.or(asked.subject.map(Some));
    let named_claims = asked.id_token.into_iter().chain(asked.userinfo).collect();
    Ok(Request {
        scope: scope(params, client)?,
        audience: audience(params, client, provider)?,
        nonce: bounded(params.nonce.as_ref(), MAX_NONCE, "nonce is too long.")?,
        code_challenge: code_challenge(params, &target.client)?,
        prompt: prompt(params.prompt.as_deref())?,
        max_age: max_age(params.max_age.as_deref())?,
        login_hint: params.login_hint.clone().filter(|hint| hint.chars().count() <= MAX_LOGIN_HINT),
        ui_locales: ui_locales(params.ui_locales.as_deref()),
        claims,
        named_claims,
        subject,
    })
}

fn refuse_unsupported(params: &AuthorizeParams) -> Result<(), Slip> {
    if params.state.as_ref().is_some_and(|state| state.len() > MAX_STATE) {
        return Err(("invalid_request", "state is too long."));
    }
    match params.unsupported.first() {
        None => Ok(()),
        Some(&"request") => Err(("request_not_supported", "Request objects are not supported.")),
        Some(&"request_uri") => Err(("request_uri_not_supported", "request_uri is not supported.")),
        Some(&"registration") => Err(("registration_not_supported", "registration is not supported.")),
        Some(_) => Err(("invalid_request", "A parameter asks for what is not supported.")),
    }
}

fn response(params: &AuthorizeParams, client: &ClientEntry) -> Result<(), Slip> {
    match params.response_type.as_deref() {
        None => return Err(("invalid_request", "response_type is missing.")),
        Some("code") => {}
        Some(_) => return Err(("unsupported_response_type", "Only response_type=code is supported.")),
    }
    if params.response_mode.as_deref().is_some_and(|mode| ResponseMode::from_name(mode).is_none()) {
        return Err(("invalid_request", "response_mode must be query or form_post."));
    }
    policy::may_use_grant(client, GrantType::AuthorizationCode)
        .map_err(|_| ("unauthorized_client", "The client may not use the authorization code."))
}

fn scope(params: &AuthorizeParams, client: &ClientEntry) -> Result<ScopeSet, Slip> {
    let asked = ScopeSet::parse(params.scope.as_deref().unwrap_or_default());
    let asked = asked.map_err(|_| ("invalid_scope", "The scope is malformed."))?;
    let ask = Ask { scope: (!asked.is_empty()).then_some(asked), ..Ask::default() };
    policy::person_scope(&ask, client).map_err(|_| ("invalid_scope", "The client may not have this scope."))
}

/// RFC 8707 §2.
fn audience(params: &AuthorizeParams, client: &ClientEntry, provider: &ProviderEntry) -> Result<AudienceSet, Slip> {
    policy::audience(&params.resources, client, &provider.provider)
        .map_err(|_| ("invalid_target", "The client may not ask for this resource."))
}

/// RFC 7636 §4.3, RFC 9700 §2.1.1: S256 or nothing, and nothing only where the client may.
fn code_challenge(params: &AuthorizeParams, client: &Client) -> Result<Option<String>, Slip> {
    let is_needed = client.is_public() || client.policy.require_pkce;
    match (params.code_challenge.as_deref(), params.code_challenge_method.as_deref()) {
        (None, None) if !is_needed => Ok(None),
        (None, _) => Err(("invalid_request", "code_challenge is missing.")),
        (Some(challenge), Some("S256")) if is_challenge(challenge) => Ok(Some(challenge.to_owned())),
        (Some(_), Some("S256")) => Err(("invalid_request", "code_challenge is malformed.")),
        (Some(_), _) => Err(("invalid_request", "code_challenge_method must be S256.")),
    }
}

fn is_challenge(text: &str) -> bool {
    text.len() == CHALLENGE && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

fn prompt(text: Option<&str>) -> Result<Prompt, Slip> {
    let mut prompt = Prompt::default();
    let words: Vec<&str> = text.unwrap_or_default().split(' ').filter(|word| !word.is_empty()).collect();
    for word in &words {
        match *word {
            "none" => prompt.none = true,
            // Whoever wants to choose an account chooses it by logging in.
            "login" | "select_account" => prompt.login = true,
            "consent" => prompt.consent = true,
            _ => return Err(("invalid_request", "prompt has a value that is not known.")),
        }
    }
    if prompt.none && words.len() > 1 {
        return Err(("invalid_request", "prompt=none stands alone."));
    }
    Ok(prompt)
}

fn max_age(text: Option<&str>) -> Result<Option<i64>, Slip> {
    let Some(text) = text else { return Ok(None) };
    let is_number = text.len() <= 10 && text.bytes().all(|byte| byte.is_ascii_digit());
    let age = if is_number { text.parse().ok() } else { None };
    age.map(Some).ok_or(("invalid_request", "max_age must be a number of seconds."))
}

fn bounded(value: Option<&String>, most: usize, slip: &'static str) -> Result<Option<String>, Slip> {
    match value {
        Some(value) if value.len() > most => Err(("invalid_request", slip)),
        other => Ok(other.cloned()),
    }
}

pub(in crate::engine) fn ui_locales(text: Option<&str>) -> Vec<String> {
    let tag = |tag: &&str| (1..=35).contains(&tag.len()) && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    text.unwrap_or_default().split(' ').filter(tag).take(MAX_LOCALES).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompt_and_max_age_are_read_strictly() {
        assert_eq!(prompt(Some("login consent")).unwrap(), Prompt { none: false, login: true, consent: true });
        assert!(prompt(Some("none")).unwrap().none);
        for bad in ["none login", "create", "NONE"] {
            assert!(prompt(Some(bad)).is_err(), "{bad}");
        }
        assert_eq!(max_age(Some("0")), Ok(Some(0)));
        for bad in ["-1", "1.5", "x", "", "99999999999", "+1"] {
            assert!(max_age(Some(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn locales_are_tags_and_bounded() {
        assert_eq!(ui_locales(Some("de-CH <x> en")), ["de-CH", "en"]);
        assert_eq!(ui_locales(Some(&"en ".repeat(50))).len(), MAX_LOCALES);
        assert!(ui_locales(None).is_empty());
    }
}
