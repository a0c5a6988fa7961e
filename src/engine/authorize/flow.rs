//! What waits for a person travels with the browser: sealed, so that nobody reads or forges it, bound
//! to a cookie of the browser that began it (RFC 9700 §4.7), and good for an hour. No server keeps it
//! and no row is written for a request that nobody has proven anything in.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use url::form_urlencoded::{self, Serializer};

use crate::domain::authorize::{AuthorizeParams, LogoutParams, Waiting};
use crate::domain::session::Browser;
use crate::domain::{Context, Failed, ProviderId, Refusal, RefusalKind, ScopeSet, SessionId};
use crate::engine::Engine;

/// Seconds.
const FLOW_TTL: i64 = 3600;
/// Longest sealed flow: it travels in a URL, and proxies bound a line of a head.
const MAX_FLOW: usize = 7 * 1024;
const BINDING_FORM: &str = "flow";

/// What waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Pending {
    Authorize(Box<AuthorizeParams>),
    Logout(LogoutParams),
}

/// An opened flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::engine) struct Flow {
    pub pending: Pending,
    /// When the request came in, epoch seconds: a login from then on is a fresh one.
    pub began_at: i64,
    /// The session whose person is asked for consent; nobody else may answer.
    pub asked: Option<SessionId>,
    /// What the question shows: an answer allows that and no more.
    pub shown: Option<ScopeSet>,
}

impl Engine {
    /// Seals what waits and binds it to this browser, which gets a binding if it has none.
    pub(in crate::engine) fn seal_flow(
        &self,
        provider: &ProviderId,
        browser: &Browser,
        flow: &Flow,
    ) -> Result<Waiting, Failed> {
        let fresh = browser.flow.is_none().then(|| self.cookie_secret());
        let Some(binding) = browser.flow.as_ref().or(fresh.as_ref()) else {
            return Err(Refusal::malformed("This browser cannot be told from others.").into());
        };
        let bound_to = self.form_token(provider, BINDING_FORM, binding, "");
        let plain = written(flow, &bound_to);
        let sealed = self.secrets().browser.seal(&sealed_for(provider), plain.as_bytes(), &self.0.random)?;
        let text = URL_SAFE_NO_PAD.encode(sealed);
        if text.len() > MAX_FLOW {
            return Err(Refusal::malformed("The request is too long.").into());
        }
        Ok(Waiting { flow: text, binding: fresh })
    }

    /// Opens a flow that this browser began within the last hour.
    pub(in crate::engine) fn open_flow(
        &self,
        ctx: &Context,
        provider: &ProviderId,
        browser: &Browser,
        text: &str,
    ) -> Result<Flow, Refusal> {
        let (flow, bound_to) = self.unsealed(provider, text).ok_or_else(over)?;
        if ctx.now.seconds_since(flow.began_at).is_none_or(|age| age >= FLOW_TTL) {
            return Err(over().about("the flow is too old"));
        }
        let binding = browser.flow.as_ref();
        let fits = binding.is_some_and(|secret| self.form_token_fits(provider, BINDING_FORM, secret, "", &bound_to));
        if fits { Ok(flow) } else { Err(over().about("the flow was begun by another browser")) }
    }

    fn unsealed(&self, provider: &ProviderId, text: &str) -> Option<(Flow, String)> {
        if text.len() > MAX_FLOW {
            return None;
        }
        let sealed = URL_SAFE_NO_PAD.decode(text).ok()?;
        let plain = self.secrets().browser.open(&sealed_for(provider), &sealed)?;
        read(std::str::from_utf8(&plain).ok()?)
    }
}

fn over() -> Refusal {
    Refusal::new(
        RefusalKind::InvalidGrant,
        "This sign-in is over or was begun in another browser. Go back to the application and try again.",
    )
}

fn sealed_for(provider: &ProviderId) -> Vec<u8> {
    format!("flow\n{provider}").into_bytes()
}

/// One list of the fields, for both directions.
macro_rules! fields {
    ($visit:ident, authorize) => {
        $visit!(
            client_id,
            redirect_uri,
            response_type,
            response_mode,
            scope,
            state,
            nonce,
            code_challenge,
            code_challenge_method,
            prompt,
            max_age,
            login_hint,
            id_token_hint,
            ui_locales,
            acr_values,
            claims
        )
    };
    ($visit:ident, logout) => {
        $visit!(id_token_hint, logout_hint, client_id, post_logout_redirect_uri, state, ui_locales)
    };
}

fn written(flow: &Flow, bound_to: &str) -> String {
    let mut out = Serializer::new(String::new());
    out.append_pair("_at", &flow.began_at.to_string()).append_pair("_to", bound_to);
    if let Some(session) = &flow.asked {
        out.append_pair("_asked", session.as_str());
    }
    if let Some(shown) = &flow.shown {
        out.append_pair("_shown", shown.as_str());
    }
    match &flow.pending {
        Pending::Authorize(params) => {
            out.append_pair("_kind", "authorize");
            macro_rules! write {
                ($($name:ident),+) => {
                    $( if let Some(value) = &params.$name { out.append_pair(stringify!($name), value); } )+
                };
            }
            fields!(write, authorize);
            for resource in &params.resources {
                out.append_pair("resource", resource);
            }
        }
        Pending::Logout(params) => {
            out.append_pair("_kind", "logout");
            macro_rules! write {
                ($($name:ident),+) => {
                    $( if let Some(value) = &params.$name { out.append_pair(stringify!($name), value); } )+
                };
            }
            fields!(write, logout);
        }
    }
    out.finish()
}

fn read(text: &str) -> Option<(Flow, String)> {
    let pairs: Vec<(String, String)> =
        form_urlencoded::parse(text.as_bytes()).map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
    let get = |name: &str| pairs.iter().find(|(own, _)| own == name).map(|(_, value)| value.clone());
    macro_rules! authorize {
        ($($name:ident),+) => {
            AuthorizeParams {
                $( $name: get(stringify!($name)), )+
                resources: pairs.iter().filter(|(own, _)| own == "resource").map(|(_, value)| value.clone()).collect(),
                // A request with one of those was refused before it could wait.
                unsupported: Vec::new(),
            }
        };
    }
    macro_rules! logout {
        ($($name:ident),+) => { LogoutParams { $( $name: get(stringify!($name)), )+ } };
    }
    let pending = match get("_kind")?.as_str() {
        "authorize" => Pending::Authorize(Box::new(fields!(authorize, authorize))),
        "logout" => Pending::Logout(fields!(logout, logout)),
        _ => return None,
    };
    let asked = get("_asked").map(SessionId::from);
    let shown = get("_shown").and_then(|scope| ScopeSet::parse(&scope).ok());
    Some((Flow { pending, began_at: get("_at")?.parse().ok()?, asked, shown }, get("_to")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_comes_back_as_it_was() {
        let params = AuthorizeParams {
            client_id: Some("c".into()),
            state: Some("ä & = % \" <x>".into()),
            resources: vec!["https://a".into(), "https://b".into()],
            claims: Some("{}".into()),
            prompt: Some("login".into()),
            ..AuthorizeParams::default()
        };
        let flow = Flow {
            pending: Pending::Authorize(Box::new(params)),
            began_at: 7,
            asked: None,
            shown: ScopeSet::parse("openid email").ok(),
        };
        assert_eq!(read(&written(&flow, "p.00")), Some((flow, "p.00".to_owned())));
        let params = LogoutParams { state: Some("s".into()), client_id: Some("c".into()), ..LogoutParams::default() };
        let flow = Flow { pending: Pending::Logout(params), began_at: 8, asked: Some("s".into()), shown: None };
        assert_eq!(read(&written(&flow, "x")), Some((flow, "x".to_owned())));
        assert_eq!(read("_kind=other&_at=1&_to=x"), None);
    }
}
