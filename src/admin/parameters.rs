//! What a call may be sent beside its path and body, as the OpenAPI document says it: a query parameter,
//! `Idempotency-Key` or `If-Match` that is not described is refused, because whoever sends one counts on it.

use std::collections::HashMap;
use std::sync::OnceLock;

use actix_web::HttpRequest;
use actix_web::http::Method;

use crate::admin::Admin;
use crate::admin::describe::{IDEMPOTENCY_KEY, IF_MATCH};
use crate::edge::describe::{OperationDoc, Schemas};
use crate::edge::{RouteSpec, Surface};

/// The parameters of one route.
#[derive(Debug, Default)]
pub struct Parameters {
    pub query: Vec<String>,
    pub idempotency_key: bool,
    pub if_match: bool,
}

/// Of the route that took this request.
pub fn of(request: &HttpRequest) -> &'static Parameters {
    static NONE: Parameters = Parameters { query: Vec::new(), idempotency_key: false, if_match: false };
    static ALL: OnceLock<HashMap<(Method, &'static str), Parameters>> = OnceLock::new();
    let all = ALL.get_or_init(|| {
        Admin::routes().iter().map(|route| ((route.method.clone(), route.path), read(route))).collect()
    });
    let pattern = request.match_pattern().unwrap_or_default();
    // The public URL may have a path.
    let path = Admin::PREFIXES.iter().find_map(|prefix| pattern.find(prefix).map(|at| &pattern[at..]));
    let method = if *request.method() == Method::HEAD { &Method::GET } else { request.method() };
    let known = all.iter().find(|((own, at), _)| own == method && Some(*at) == path);
    known.map_or(&NONE, |(_, parameters)| parameters)
}

fn read(route: &RouteSpec) -> Parameters {
    let mut schemas = Schemas::default();
    let mut doc = OperationDoc::new(route, &mut schemas);
    (route.describe)(&mut doc);
    Admin::describe(&mut doc);
    let headers = doc.parameter_names("header");
    let takes = |name: &str| headers.iter().any(|own| own == name);
    Parameters {
        query: doc.parameter_names("query"),
        idempotency_key: takes(IDEMPOTENCY_KEY),
        if_match: takes(IF_MATCH),
    }
}
