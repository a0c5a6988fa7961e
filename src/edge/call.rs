//! A request as a dialect sees it: complete, bounded, with its context.

use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{HttpRequest, web};

use crate::domain::grant::ProviderRef;
use crate::domain::id::is_slug;
use crate::domain::provider::DEFAULT_SLUG;
use crate::domain::{Context, ProviderSlug, Refusal};

/// A request whose body has arrived.
pub struct Received {
    pub request: HttpRequest,
    pub body: web::Bytes,
    pub ctx: Context,
    /// The provider that is served where the path names none: that of the domain, else the surface's.
    pub root_provider: ProviderSlug,
}

/// The borrowed view of [`Received`] that parsing works on.
pub struct Call<'a> {
    pub method: &'a Method,
    /// Raw query, without `?`.
    pub query: &'a str,
    pub headers: &'a HeaderMap,
    pub body: &'a [u8],
    /// The provider that the path names, if it names one.
    pub path_provider: Option<&'a str>,
    /// The provider that is served where the path names none: that of the domain, else the surface's.
    pub root_provider: &'a ProviderSlug,
    pub ctx: &'a Context,
}

impl Received {
    pub fn call(&self) -> Call<'_> {
        Call {
            method: self.request.method(),
            query: self.request.query_string(),
            headers: self.request.headers(),
            body: &self.body,
            path_provider: self.request.match_info().get("provider_slug"),
            root_provider: &self.root_provider,
            ctx: &self.ctx,
        }
    }

    /// A path parameter by its name in the route, percent-decoded; empty if the route has none.
    pub fn path(&self, name: &str) -> &str {
        self.request.match_info().get(name).unwrap_or_default()
    }
}

impl Call<'_> {
    /// The provider this call is for: that of the path, else the one served at the root. The
    /// provider `default` has one address only, the root; at a domain there is one provider only.
    pub fn provider(&self) -> Result<ProviderRef, Refusal> {
        if self.path_provider.is_some() && self.ctx.domain.is_some() {
            return Err(Refusal::unknown("There is no such provider."));
        }
        self.in_path_or(self.root_provider.clone())
    }

    /// The provider that the path names, else `default`: for a call whose `Host` may be that of another
    /// request, written by a stranger.
    pub fn provider_whatever_host(&self) -> Result<ProviderRef, Refusal> {
        self.in_path_or(DEFAULT_SLUG.into())
    }

    fn in_path_or(&self, at_root: ProviderSlug) -> Result<ProviderRef, Refusal> {
        let slug = match self.path_provider {
            Some(DEFAULT_SLUG) => return Err(Refusal::unknown("There is no such provider.")),
            // What is no slug is nobody's, and is not looked up.
            Some(slug) if !is_slug(slug) => return Err(Refusal::unknown("There is no such provider.")),
            Some(slug) => slug.into(),
            None => at_root,
        };
        Ok(ProviderRef { slug, must_serve: None, key_decides: false })
    }

    /// As [`Call::provider`], for a surface that a provider has to turn on below its own path and on its
    /// domain. At the root an API key's own provider is meant.
    pub fn surface_provider(&self) -> Result<ProviderRef, Refusal> {
        let is_named = self.path_provider.is_some() || self.ctx.domain.is_some();
        let must_serve = is_named.then_some(self.ctx.surface);
        Ok(ProviderRef { must_serve, key_decides: !is_named, ..self.provider()? })
    }

    /// The media type without parameters, lower case; `None` when absent or unreadable.
    pub fn media_type(&self) -> Option<String> {
        let value = self.headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        (!essence.is_empty()).then_some(essence)
    }
}
