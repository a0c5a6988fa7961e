//! `/docs`: the OpenAPI document for people, rendered here: no script, nothing from elsewhere.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use crate::domain::{Failed, Fault, Refusal};
use crate::edge::exchange;
use crate::ops::reference::view::{OperationView, Section, sections};
use crate::ops::{Operations, Ops};

mod schema;
mod view;

const STYLE: &str = include_str!("../../../templates/docs/style.css");
const POLICY: &str =
    "default-src 'none'; style-src 'self'; img-src data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

#[derive(Template)]
#[template(path = "docs/index.html")]
struct IndexView<'a> {
    base: &'a str,
    version: &'static str,
    /// Slug of the section that is shown; empty: none.
    current: &'a str,
    about: Vec<Vec<view::Piece>>,
    sections: &'a [Section],
}

#[derive(Template)]
#[template(path = "docs/section.html")]
struct SectionView<'a> {
    base: &'a str,
    version: &'static str,
    sections: &'a [Section],
    title: &'a str,
    current: &'a str,
    about: &'a str,
    operations: Vec<OperationView>,
}

pub async fn index(request: HttpRequest, payload: web::Payload, operations: web::Data<Operations>) -> HttpResponse {
    exchange::<Ops>(request, payload, async |_received| {
        let document = operations.document();
        let about = document["info"]["description"].as_str().unwrap_or_default();
        page(&IndexView {
            base: operations.base(),
            version: env!("CARGO_PKG_VERSION"),
            current: "",
            about: about.split("\n\n").map(view::marked).collect(),
            sections: &sections(document),
        })
    })
    .await
}

pub async fn section(request: HttpRequest, payload: web::Payload, operations: web::Data<Operations>) -> HttpResponse {
    exchange::<Ops>(request, payload, async |received| {
        let document = operations.document();
        let sections = sections(document);
        let wanted = received.path("section");
        let found = sections.iter().find(|section| section.slug == wanted);
        let found = found.ok_or_else(|| Failed::from(Refusal::unknown("There is nothing at this path.")))?;
        page(&SectionView {
            base: operations.base(),
            version: env!("CARGO_PKG_VERSION"),
            sections: &sections,
            title: &found.title,
            current: &found.slug,
            about: &found.about,
            operations: found
                .operations
                .iter()
                .map(|entry| OperationView::of(document, operations.base(), entry))
                .collect(),
        })
    })
    .await
}

pub async fn style(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    exchange::<Ops>(request, payload, async |_received| -> Result<HttpResponse, Failed> {
        let mut answer = HttpResponse::Ok();
        answer.insert_header((header::CONTENT_TYPE, "text/css; charset=utf-8"));
        answer.insert_header((header::CACHE_CONTROL, "public, max-age=300"));
        Ok(answer.body(STYLE))
    })
    .await
}

fn page(page: &impl Template) -> Result<HttpResponse, Failed> {
    let html = page.render().map_err(Fault::crypto)?;
    let mut answer = HttpResponse::Ok();
    answer.insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"));
    answer.insert_header((header::CONTENT_SECURITY_POLICY, POLICY));
    answer.insert_header((header::REFERRER_POLICY, "no-referrer"));
    answer.insert_header((header::X_FRAME_OPTIONS, "DENY"));
    Ok(answer.body(html))
}
