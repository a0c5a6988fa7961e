//! The parameters of the authorization and logout endpoints, read from a query or a form. That none
//! stands twice and an empty one is absent is [`Form`]'s rule already (RFC 6749 §3.1).

use crate::domain::authorize::{AuthorizeParams, LogoutParams};
use crate::edge::form::Form;

/// Parameters that ask for something that is not done here: to ignore them would be to do something
/// else than was asked.
const UNSUPPORTED: [&str; 5] = ["request", "request_uri", "registration", "dpop_jkt", "authorization_details"];

pub fn authorize(form: &Form<'_>) -> AuthorizeParams {
    let text = |name: &str| form.get(name).map(str::to_owned);
    AuthorizeParams {
        client_id: text("client_id"),
        redirect_uri: text("redirect_uri"),
        response_type: text("response_type"),
        response_mode: text("response_mode"),
        scope: text("scope"),
        state: text("state"),
        nonce: text("nonce"),
        code_challenge: text("code_challenge"),
        code_challenge_method: text("code_challenge_method"),
        prompt: text("prompt"),
        max_age: text("max_age"),
        login_hint: text("login_hint"),
        id_token_hint: text("id_token_hint"),
        ui_locales: text("ui_locales"),
        acr_values: text("acr_values"),
        claims: text("claims"),
        resources: form.all("resource").map(str::to_owned).collect(),
        unsupported: UNSUPPORTED.into_iter().filter(|name| form.get(name).is_some()).collect(),
    }
}

pub fn logout(form: &Form<'_>) -> LogoutParams {
    let text = |name: &str| form.get(name).map(str::to_owned);
    LogoutParams {
        id_token_hint: text("id_token_hint"),
        logout_hint: text("logout_hint"),
        client_id: text("client_id"),
        post_logout_redirect_uri: text("post_logout_redirect_uri"),
        state: text("state"),
        ui_locales: text("ui_locales"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_parameter_is_absent_and_what_is_not_supported_is_named() {
        let form = Form::parse(b"client_id=&state=a%20b&request_uri=x&request=&resource=a&resource=b&registration=y");
        let read = authorize(&form.unwrap());
        assert_eq!((read.client_id, read.state.as_deref()), (None, Some("a b")));
        assert_eq!(read.unsupported, ["request_uri", "registration"]);
        assert_eq!(read.resources, ["a", "b"]);
    }
}
