//! The routes of the server without a socket, for the command line on the database: one way to manage,
//! whether a server is asked or the database is opened.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_web::body::to_bytes;
use actix_web::dev::Service;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, Uri};
use actix_web::test::{TestRequest, init_service};
use actix_web::{App, web};

use crate::admin::AsLocalOperator;
use crate::app::Services;
use crate::config::Settings;
use crate::crypto::Random;
use crate::domain::{Fault, Wall};
use crate::engine::Engine;

/// What a route answered.
pub struct LocalAnswer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

type Answering = Pin<Box<dyn Future<Output = Result<LocalAnswer, Fault>>>>;

/// The mounted routes. Whoever calls them is the local operator: no request can set what says so.
pub struct LocalRoutes(Box<dyn Fn(TestRequest) -> Answering>);

impl LocalRoutes {
    pub async fn mount(
        settings: &Settings,
        engine: Engine,
        wall: &Arc<dyn Wall>,
        random: Random,
        timeout: Duration,
    ) -> Self {
        let mut services = Services::new(settings, engine, wall, random, "");
        services.edge.request_timeout = timeout;
        let mounted = App::new().configure(|config| {
            services.mount(config);
            config.app_data(web::Data::new(AsLocalOperator));
        });
        // What actix calls a test is its only public way to drive an application without a socket.
        let service = Rc::new(init_service(mounted).await);
        Self(Box::new(move |request| {
            let service = Rc::clone(&service);
            Box::pin(async move {
                let answered = service.call(request.to_request()).await;
                let answered = answered.map_err(|error| Fault::crypto(format!("no route answered: {error}")))?;
                let (status, headers) = (answered.status().as_u16(), answered.headers().clone());
                let body = to_bytes(answered.into_body()).await;
                let body = body.map_err(|_| Fault::crypto("the answer broke off"))?;
                Ok(LocalAnswer { status, headers, body: body.to_vec() })
            })
        }))
    }

    /// Calls a route. `target` is path and query.
    pub async fn call(
        &self,
        method: &str,
        target: &str,
        headers: &[(&'static str, String)],
        body: Option<Vec<u8>>,
    ) -> Result<LocalAnswer, Fault> {
        let unusable = |what: &str| Fault::crypto(format!("the call has an unusable {what}"));
        let uri: Uri = target.parse().map_err(|_| unusable("path"))?;
        let method = Method::from_bytes(method.as_bytes()).map_err(|_| unusable("method"))?;
        let mut request = TestRequest::default().method(method).uri(&uri.to_string());
        for (name, value) in headers {
            let value = HeaderValue::from_str(value).map_err(|_| unusable("header"))?;
            request = request.insert_header((HeaderName::from_static(name), value));
        }
        if let Some(body) = body {
            request = request.set_payload(body);
        }
        (self.0)(request).await
    }
}
