//! One visit of a browser to one of our pages: the provider it is at, what it sent along, and how the
//! provider looks. Made before any page's own code runs.

use actix_web::http::header::{HeaderMap, HeaderValue};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse, web};

use crate::domain::authorize::Brand;
use crate::domain::grant::ProviderRef;
use crate::domain::session::Browser;
use crate::domain::{Context, Failed};
use crate::edge::form::Form;
use crate::edge::{Call, Received, exchange};
use crate::engine::Engine;
use crate::web::answer::redirect;
use crate::web::cookies;
use crate::web::locale::choose;
use crate::web::pages::Ui;
use crate::web::{Base, Web};

/// What a page works on.
pub struct Visit<'a> {
    pub engine: &'a Engine,
    pub call: Call<'a>,
    pub ctx: &'a Context,
    pub provider: ProviderRef,
    pub brand: Brand,
    pub browser: Browser,
}

/// Left with the request for the error page, which is written when the visit is over.
struct Branded(Brand);

/// Serves a page: `show` gets the visit, failures become the error page.
pub async fn serve(
    request: HttpRequest,
    payload: web::Payload,
    engine: web::Data<Engine>,
    show: impl AsyncFnOnce(&Visit<'_>) -> Result<HttpResponse, Failed>,
) -> HttpResponse {
    exchange::<Web>(request, payload, async |received| {
        let visit = Visit::of(&engine, received).await?;
        show(&visit).await
    })
    .await
}

impl<'a> Visit<'a> {
    async fn of(engine: &'a Engine, received: &'a Received) -> Result<Self, Failed> {
        let call = received.call();
        let provider = call.provider()?;
        let brand = engine.brand(&received.ctx, &provider).await?;
        received.request.extensions_mut().insert(Branded(brand.clone()));
        let browser = cookies::browser(call.headers, &brand);
        Ok(Self { engine, call, ctx: &received.ctx, provider, brand, browser })
    }

    /// The look of a page, in the best of the languages wanted.
    pub fn ui<'w>(&self, wanted: impl IntoIterator<Item = &'w str>) -> Ui {
        Ui::of(Some(&self.brand), &self.brand.base_path, choose(wanted, self.call.headers))
    }

    /// The parameters of the URL.
    pub fn query(&self) -> Result<Form<'a>, Failed> {
        Ok(Form::parse(self.call.query.as_bytes())?)
    }

    /// The form that was sent.
    pub fn form(&self) -> Result<Form<'a>, Failed> {
        Ok(Form::of(&self.call)?)
    }

    /// 303 to a page of the same provider: `/account`.
    pub fn to_page(&self, path: &str) -> Result<HttpResponse, Failed> {
        redirect(&format!("{}{path}", self.brand.base_path))
    }

    pub fn header(&self, name: &str) -> Option<&HeaderValue> {
        self.call.headers.get(name)
    }
}

/// The look of an error page, whatever came before it.
pub fn ui_of(request: &HttpRequest) -> Ui {
    let headers: &HeaderMap = request.headers();
    let query = Form::parse(request.query_string().as_bytes()).ok();
    let wanted = query.as_ref().and_then(|query| query.get("ui_locales")).unwrap_or_default();
    let language = choose(wanted.split(' '), headers);
    if let Some(Branded(brand)) = request.extensions().get::<Branded>() {
        return Ui::of(Some(brand), &brand.base_path, language);
    }
    let base = request.app_data::<web::Data<Base>>().map_or("", |base| base.0.as_str());
    Ui::of(None, base, language)
}
