//! Judges the fields that shape grant types beyond `client_credentials`.

use url::Url;

use crate::domain::SigningAlg;
use crate::domain::client_policy::{ApplicationType, ClientPolicy, RefreshRotation};
use crate::domain::patch::Field;
use crate::engine::manage::client_draft::ClientDraft;
use crate::engine::manage::fields::{Checks, any, one_of, seconds};

const DAY: i64 = 86_400;
const MAX_URIS: usize = 50;
const MAX_URI: usize = 2048;

/// The policy after the change; takes its fields out of the draft. `public`: the client has no
/// credential of its own.
pub fn apply(draft: &mut ClientDraft, current: &ClientPolicy, public: bool, checks: &mut Checks) -> ClientPolicy {
    let take = std::mem::take::<Field<i64>>;
    let kinds = "web, native";
    let application_type = checks.apply(
        "application_type",
        std::mem::take(&mut draft.application_type),
        (&current.application_type, ApplicationType::Web),
        one_of(ApplicationType::from_name, kinds),
    );
    let redirects = |uris: Vec<String>| redirect_uris(uris, application_type);
    let policy = ClientPolicy {
        response_types: checks.apply(
            "response_types",
            std::mem::take(&mut draft.response_types),
            (&current.response_types, Vec::new()),
            response_types,
        ),
        redirect_uris: checks.apply(
            "redirect_uris",
            std::mem::take(&mut draft.redirect_uris),
            (&current.redirect_uris, Vec::new()),
            redirects,
        ),
        post_logout_redirect_uris: checks.apply(
            "post_logout_redirect_uris",
            std::mem::take(&mut draft.post_logout_redirect_uris),
            (&current.post_logout_redirect_uris, Vec::new()),
            redirects,
        ),
        backchannel_logout_uri: checks.optional(
            "backchannel_logout_uri",
            std::mem::take(&mut draft.backchannel_logout_uri),
            &current.backchannel_logout_uri,
            |uri| redirect_uri(&uri, ApplicationType::Web).map(|()| uri),
        ),
        backchannel_logout_session_required: checks.apply(
            "backchannel_logout_session_required",
            std::mem::take(&mut draft.backchannel_logout_session_required),
            (&current.backchannel_logout_session_required, false),
            any,
        ),
        authorization_code_ttl: checks.optional(
            "authorization_code_ttl",
            take(&mut draft.authorization_code_ttl),
            &current.authorization_code_ttl,
            // RFC 6749 §4.1.2: ten minutes at most.
            seconds(1, 600),
        ),
        refresh_token_ttl: checks.optional(
            "refresh_token_ttl",
            take(&mut draft.refresh_token_ttl),
            &current.refresh_token_ttl,
            seconds(1, 3650 * DAY),
        ),
        refresh_token_max_ttl: checks.optional(
            "refresh_token_max_ttl",
            take(&mut draft.refresh_token_max_ttl),
            &current.refresh_token_max_ttl,
            seconds(1, 3650 * DAY),
        ),
        max_ttl: checks.optional("max_ttl", take(&mut draft.max_ttl), &current.max_ttl, seconds(1, 3650 * DAY)),
        refresh_rotation: checks.optional(
            "refresh_rotation",
            std::mem::take(&mut draft.refresh_rotation),
            &current.refresh_rotation,
            one_of(RefreshRotation::from_name, "always, late, never"),
        ),
        refresh_grace: checks.optional(
            "refresh_grace",
            take(&mut draft.refresh_grace),
            &current.refresh_grace,
            seconds(0, 300),
        ),
        refresh_grace_unused: checks.optional(
            "refresh_grace_unused",
            take(&mut draft.refresh_grace_unused),
            &current.refresh_grace_unused,
            seconds(0, DAY),
        ),
        id_token_signed_response_alg: checks.optional(
            "id_token_signed_response_alg",
            std::mem::take(&mut draft.id_token_signed_response_alg),
            &current.id_token_signed_response_alg,
            one_of(SigningAlg::from_name, "ES256, RS256, EdDSA"),
        ),
        require_pkce: checks.apply(
            "require_pkce",
            std::mem::take(&mut draft.require_pkce),
            (&current.require_pkce, true),
            any,
        ),
        require_consent: checks.apply(
            "require_consent",
            std::mem::take(&mut draft.require_consent),
            (&current.require_consent, false),
            any,
        ),
        application_type,
        may_mint: checks.apply("may_mint", std::mem::take(&mut draft.may_mint), (&current.may_mint, false), any),
        may_set_subject: checks.apply(
            "may_set_subject",
            std::mem::take(&mut draft.may_set_subject),
            (&current.may_set_subject, false),
            any,
        ),
    };
    let redirects_fit = policy.redirect_uris.iter().chain(&policy.post_logout_redirect_uris);
    if redirects_fit.clone().any(|uri| redirect_uri(uri, application_type).is_err()) {
        checks.refuse("application_type", "does not allow the redirect URIs there are");
    }
    if public && matches!(policy.refresh_rotation, Some(RefreshRotation::Late | RefreshRotation::Never)) {
        checks.refuse("refresh_rotation", "must be always for a public client");
    }
    if public && !policy.require_pkce {
        checks.refuse("require_pkce", "must be true for a public client");
    }
    if public && policy.may_mint {
        checks.refuse("may_mint", "must be false for a public client: whoever knows its client_id could mint");
    }
    policy
}

/// What a new client starts from.
pub fn default_policy() -> ClientPolicy {
    ClientPolicy { require_pkce: true, ..ClientPolicy::default() }
}

fn response_types(values: Vec<String>) -> Result<Vec<String>, &'static str> {
    let only_code = values.iter().all(|value| value == "code");
    if only_code && values.len() <= 1 { Ok(values) } else { Err("must be [] or [\"code\"]") }
}

fn is_plainly_written(uri: &str, url: &Url) -> bool {
    let authority = uri.strip_prefix(url.scheme()).and_then(|rest| rest.strip_prefix("://"));
    let has_host = authority.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'));
    let path = uri.split('?').next().unwrap_or_default();
    has_host && !path.split('/').any(|segment| matches!(segment, "." | ".."))
}

fn redirect_uris(uris: Vec<String>, kind: ApplicationType) -> Result<Vec<String>, &'static str> {
    if uris.len() > MAX_URIS {
        return Err("must be at most 50 URIs");
    }
    uris.iter().try_for_each(|uri| redirect_uri(uri, kind))?;
    Ok(uris)
}

/// RFC 6749 §3.1.2, RFC 8252 §7, RFC 9700 §2.1: absolute, no fragment, no wildcard; https, or http
/// on loopback; custom schemes of native apps in reverse domain order.
fn redirect_uri(uri: &str, kind: ApplicationType) -> Result<(), &'static str> {
    let printable = uri.bytes().all(|byte| byte.is_ascii_graphic());
    if uri.len() > MAX_URI || !printable || uri.contains(['#', '*', '\\']) {
        return Err("must be absolute URIs without fragment, wildcard, backslash or space");
    }
    let url = Url::parse(uri).map_err(|_| "must be absolute URIs")?;
    // The parser forgives missing and surplus slashes and resolves `..`; a comparison byte for byte
    // would then be with something else than what it stands for.
    if matches!(url.scheme(), "http" | "https") && !is_plainly_written(uri, &url) {
        return Err("must be written plainly: scheme://host/path without dot segments");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not carry user or password");
    }
    let loopback = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    match url.scheme() {
        "https" => Ok(()),
        "http" if loopback => Ok(()),
        "http" => Err("must use https, or http on loopback"),
        custom if kind == ApplicationType::Native && custom.contains('.') => Ok(()),
        _ => Err("must use https, or http on loopback; native apps also a scheme in reverse domain order"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dangerous_redirects_are_refused_and_good_ones_kept() {
        let web = ApplicationType::Web;
        for bad in [
            "/relative",
            "https://a.example/#x",
            "https://*.example/cb",
            "javascript:alert(1)",
            "JaVaScRiPt:alert(1)",
            "data:text/html,x",
            "http://a.example/cb",
            "https://user@a.example/cb",
            "com.example.app:/cb",
            "https://a.example/a b",
            "https:a.example/cb",
            "https:/a.example/cb",
            "https:///a.example/cb",
            "https://a.example/x/../cb",
        ] {
            assert!(redirect_uri(bad, web).is_err(), "{bad}");
        }
        for good in ["https://a.example/cb?x=1", "http://localhost:3000/cb", "http://127.0.0.1/cb"] {
            assert!(redirect_uri(good, web).is_ok(), "{good}");
        }
        assert!(redirect_uri("com.example.app:/cb", ApplicationType::Native).is_ok());
        assert!(redirect_uri("myapp:/cb", ApplicationType::Native).is_err());
    }
}
