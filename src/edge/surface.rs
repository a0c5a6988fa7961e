//! What every wire has in common: a name, routes, and its own way to say no.

use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse, Route};

use crate::domain::{Context, Failed, Fault, Refusal};
use crate::edge::describe::OperationDoc;

/// Everything that answers on one wire, token calls and management calls alike.
pub trait Surface: 'static {
    /// Stands in logs, events and [`Context::surface`].
    const NAME: &'static str;
    /// Paths that, with everything below them, are answered in this surface's shape where they are
    /// unknown; without a slash at the end.
    const PREFIXES: &'static [&'static str];
    /// Readable from any origin, without credentials.
    const CROSS_ORIGIN: bool = false;
    /// The first route of a path answers every method there and every path below it: what comes in is
    /// another server's request, handed over to be judged.
    const TAKES_ANY: bool = false;

    /// Mounts the routes and feeds the OpenAPI paths, so that they cannot drift.
    fn routes() -> &'static [RouteSpec];

    /// Whether an unknown path is this surface's to answer.
    fn owns(path: &str) -> bool {
        let below =
            |prefix: &&str| path.strip_prefix(*prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        Self::PREFIXES.iter().any(below)
    }

    /// Writes a failure in the surface's own shape and status.
    fn fail(failure: Failure<'_>, ctx: &Context) -> HttpResponse;

    /// The same for a surface whose failures depend on who asks: pages speak the reader's language.
    fn fail_for(_request: &HttpRequest, failure: Failure<'_>, ctx: &Context) -> HttpResponse {
        Self::fail(failure, ctx)
    }

    /// What the OpenAPI document says of all its operations: what proves a caller, and how they fail.
    fn describe(_doc: &mut OperationDoc<'_>) {}

    /// Adds what every answer of the surface carries, also its 404, 405 and 500.
    fn dress(_response: &mut HttpResponse, _ctx: &Context) {}
}

/// Why a request was not answered with success.
#[derive(Clone, Copy, Debug)]
pub enum Failure<'a> {
    Refused(&'a Refusal),
    Fault(&'a Fault),
    /// No such path.
    NotFound,
    /// The path exists, the method does not; these do.
    Method(&'a [Method]),
    /// The body is larger than [`crate::edge::body::LIMIT`].
    TooLarge,
    /// The body did not arrive in time.
    TooSlow,
}

impl<'a> From<&'a Failed> for Failure<'a> {
    fn from(failed: &'a Failed) -> Self {
        match failed {
            Failed::Refused(refusal) => Self::Refused(refusal),
            Failed::Fault(fault) => Self::Fault(fault),
        }
    }
}

/// One operation: where it is mounted and what the OpenAPI document says of it.
#[derive(Clone)]
pub struct RouteSpec {
    pub method: Method,
    /// Below the provider's base, e.g. `/oauth2/token`.
    pub path: &'static str,
    pub operation_id: &'static str,
    pub summary: &'static str,
    pub route: fn() -> Route,
    /// Bodies, parameters and answers, for the OpenAPI document.
    pub describe: fn(&mut OperationDoc<'_>),
}

impl RouteSpec {
    /// Without a description; [`RouteSpec::doc`] adds it.
    pub const fn new(
        method: Method,
        path: &'static str,
        operation_id: &'static str,
        summary: &'static str,
        route: fn() -> Route,
    ) -> Self {
        Self { method, path, operation_id, summary, route, describe: undescribed }
    }

    /// The same, described.
    #[must_use]
    pub const fn doc(mut self, describe: fn(&mut OperationDoc<'_>)) -> Self {
        self.describe = describe;
        self
    }
}

fn undescribed(_doc: &mut OperationDoc<'_>) {}

/// One operation as the OpenAPI document sees it.
pub struct Operation {
    /// [`Surface::NAME`].
    pub surface: &'static str,
    pub route: &'static RouteSpec,
    /// [`Surface::describe`].
    pub of_surface: fn(&mut OperationDoc<'_>),
    /// Whether it is served below `/p/{provider_slug}`, too.
    pub of_provider: bool,
}

/// The operations of surface `S`.
pub fn operations<S: Surface>(of_provider: bool) -> impl Iterator<Item = Operation> {
    S::routes().iter().map(move |route| Operation { surface: S::NAME, route, of_surface: S::describe, of_provider })
}
