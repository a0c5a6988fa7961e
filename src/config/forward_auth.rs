//! `forward_auth`: how gateways ask whether a request may pass.

use crate::config::section::{Rules, section};
use crate::config::setting::{Raw, Setting, text};

/// Where the method of the request stands that a gateway asks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MethodSource {
    XForwardedMethod,
    Request,
}

section! {
    /// What gateways ask at `/forward-auth`.
    ForwardAuth {
        /// Where the method of the request stands that the gateway asks about. `x-forwarded-method`: in that
        /// header, believed from `trusted_proxies` only (nginx, Caddy, Traefik). `request`: it is the method of the
        /// call itself (Envoy), and the query of a call with a path suffix is then the client's own.
        method: MethodSource = MethodSource::XForwardedMethod,
    }
}

impl Rules for ForwardAuth {}

impl Setting for MethodSource {
    const KIND: &'static str = "x-forwarded-method or request";

    fn read(raw: &Raw) -> Result<Self, String> {
        match text(raw, Self::KIND)? {
            "x-forwarded-method" => Ok(Self::XForwardedMethod),
            "request" => Ok(Self::Request),
            _ => Err("must be x-forwarded-method or request".to_owned()),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::XForwardedMethod => "x-forwarded-method",
            Self::Request => "request",
        }
        .to_owned()
    }
}
