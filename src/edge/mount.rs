//! The routes of a surface as resources: one a path, its methods, CORS preflight where the route
//! allows it, and 405 in the surface's shape for the rest.

use actix_web::guard::{self, Guard, GuardContext};
use actix_web::http::{Method, header};
use actix_web::{HttpRequest, HttpResponse, Resource, web};

use crate::domain::provider_domain::without_port;
use crate::edge::exchange::{without_body, wrong_method};
use crate::edge::route_tree::Mount;
use crate::edge::{Edge, RouteSpec, Surface};

/// What a surface that takes any path calls the rest of it.
pub const BELOW: &str = "below";

/// What surface `S` mounts, in the order its routes name their paths.
pub fn mounts<S: Surface>(host: Option<&str>) -> Vec<Mount> {
    let mut paths: Vec<&'static str> = Vec::new();
    for route in S::routes() {
        if !paths.contains(&route.path) {
            paths.push(route.path);
        }
    }
    let below = |path: &str| format!("{path}/{{{BELOW}}}*");
    let deeper = paths.iter().filter(|_| S::TAKES_ANY).map(|path| mount_at::<S>(path, &below(path), host));
    let deeper: Vec<Mount> = deeper.collect();
    paths.into_iter().map(|path| mount_at::<S>(path, path, host)).chain(deeper).collect()
}

/// The resource that the routes name `path`, answering at `at`.
pub fn mount_at<S: Surface>(path: &'static str, at: &str, host: Option<&str>) -> Mount {
    let host = host.map(str::to_ascii_lowercase);
    Mount::new(at, move |rest| resource::<S>(path, rest, host))
}

fn resource<S: Surface>(path: &'static str, at: &str, host: Option<String>) -> Resource {
    let routes = || S::routes().iter().filter(move |route| route.path == path);
    let mut resource = web::resource(at);
    if let Some(host) = host {
        resource = resource.guard(OnHost(host));
    }
    if S::TAKES_ANY {
        return routes().take(1).fold(resource, |resource, route| resource.route((route.route)()));
    }
    for route in routes() {
        resource = resource.route(with_method(route));
    }
    let allowed = allowed_methods::<S>(path);
    if S::CROSS_ORIGIN {
        let methods = allow_header(&allowed);
        let preflight = move |request: HttpRequest| {
            let methods = methods.clone();
            async move { preflight::<S>(request, methods) }
        };
        resource = resource.route(web::method(Method::OPTIONS).to(preflight));
    }
    resource.default_service(web::to(move |request: HttpRequest| {
        let allowed = allowed.clone();
        async move { wrong_method::<S>(request, &allowed) }
    }))
}

/// A GET also answers HEAD (RFC 9110 §9.3.2); the body is left out by the connection.
fn with_method(spec: &RouteSpec) -> actix_web::Route {
    let route = (spec.route)();
    if spec.method == Method::GET {
        route.guard(guard::Any(guard::Get()).or(guard::Head()))
    } else {
        route.method(spec.method.clone())
    }
}

fn allowed_methods<S: Surface>(path: &str) -> Vec<Method> {
    let routes = S::routes().iter().filter(|route| route.path == path);
    let mut allowed: Vec<Method> = routes.map(|route| route.method.clone()).collect();
    if allowed.contains(&Method::GET) {
        allowed.push(Method::HEAD);
    }
    if S::CROSS_ORIGIN {
        allowed.push(Method::OPTIONS);
    }
    allowed
}

/// The value of `Allow` for a list of methods (RFC 9110 §10.2.1).
pub fn allow_header(methods: &[Method]) -> String {
    methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ")
}

fn preflight<S: Surface>(request: HttpRequest, methods: String) -> HttpResponse {
    without_body::<S>(request, |_request, _ctx| {
        HttpResponse::NoContent()
            .insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, methods))
            .insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, "Authorization, Content-Type, DPoP"))
            .insert_header((header::ACCESS_CONTROL_MAX_AGE, "3600"))
            .finish()
    })
}

/// A surface bound to a host answers there, and at the domains of providers that have turned it on.
struct OnHost(String);

impl Guard for OnHost {
    fn check(&self, ctx: &GuardContext<'_>) -> bool {
        let host = ctx.head().headers().get(header::HOST).and_then(|value| value.to_str().ok());
        // With a port in the setting both must fit, without one the name alone.
        let name = host.map(|host| if self.0.contains(':') { host } else { without_port(host) });
        let is_own = name.is_some_and(|name| name.eq_ignore_ascii_case(&self.0));
        let edge = || ctx.app_data::<web::Data<Edge>>();
        is_own || edge().is_some_and(|edge| edge.domain(ctx.head().headers()).is_some())
    }
}
