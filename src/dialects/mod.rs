//! The wires. A dialect reads its wire form into one `GrantRequest`, hands it to the engine and
//! writes the outcome in its own form; no dialect knows another. A new one is a folder, a line in
//! [`surfaces!`] and a test folder.

use actix_web::{HttpRequest, HttpResponse, web};

use crate::domain::grant::{GrantRequest, Granted};
use crate::domain::{Context, Failed, Refusal};
use crate::edge::exchange::not_found;
use crate::edge::mount::mounts;
use crate::edge::route_tree::Mount;
use crate::edge::{Call, Operation, Surface, exchange, surface};
use crate::engine::Engine;

pub mod deepgram;
pub mod endorsed;
pub mod forward_auth;
pub mod oauth2;
pub mod rfc6749;
mod rfc6749_doc;
pub mod runai;
pub mod usegrant;
pub mod vocalstack;

/// A token endpoint on one wire.
pub trait Dialect: Surface {
    fn parse(call: &Call<'_>) -> Result<GrantRequest, Refusal>;
    /// Writes the success; owns its status.
    fn render(granted: Granted, ctx: &Context) -> HttpResponse;
}

/// Serves the token endpoint of dialect `D`: parse, engine, render.
pub async fn serve<D: Dialect>(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    exchange::<D>(request, payload, async |received| -> Result<HttpResponse, Failed> {
        let grant_request = D::parse(&received.call())?;
        let granted = engine.grant(&received.ctx, grant_request).await?;
        Ok(D::render(granted, &received.ctx))
    })
    .await
}

/// Which surfaces are mounted, and where they answer.
#[derive(Clone, Debug, Default)]
pub struct Surfaces {
    /// Run:ai; `None`: off, here as below.
    pub runai: Option<OnHost>,
    pub deepgram: Option<OnHost>,
    pub usegrant: Option<OnHost>,
    pub vocalstack: Option<OnHost>,
    pub endorsed: Option<OnHost>,
}

impl Surfaces {
    /// The same surfaces where no host binds them: below the path of a provider.
    pub fn on_any_host(&self) -> Self {
        let Self { runai, deepgram, usegrant, vocalstack, endorsed } = self;
        let freed = |surface: &Option<OnHost>| surface.as_ref().map(|_host| None);
        Self {
            runai: freed(runai),
            deepgram: freed(deepgram),
            usegrant: freed(usegrant),
            vocalstack: freed(vocalstack),
            endorsed: freed(endorsed),
        }
    }
}

/// The host a surface is bound to; `None`: any.
pub type OnHost = Option<String>;

/// Every surface type with the switch that governs it: the one line a new dialect adds. One
/// whose path prefix lies below another's stands before it.
macro_rules! surfaces {
    ($visit:ident) => {
        $visit!(oauth2::OAuth2, |_: &Surfaces| Some(None));
        $visit!(oauth2::Services, |_: &Surfaces| Some(None));
        $visit!(forward_auth::ForwardAuth, |_: &Surfaces| Some(None));
        $visit!(endorsed::Endorsed, |on: &Surfaces| on.endorsed.clone());
        $visit!(runai::V1, |on: &Surfaces| on.runai.clone());
        $visit!(runai::AppToken, |on: &Surfaces| on.runai.clone());
        $visit!(runai::V2, |on: &Surfaces| on.runai.clone());
        $visit!(deepgram::Deepgram, |on: &Surfaces| on.deepgram.clone());
        $visit!(usegrant::UseGrant, |on: &Surfaces| on.usegrant.clone());
        $visit!(vocalstack::VocalStack, |on: &Surfaces| on.vocalstack.clone());
    };
}

/// What every surface that is on mounts, below the root or below one provider.
pub fn all_mounts(on: &Surfaces) -> Vec<Mount> {
    let mut all = Vec::new();
    macro_rules! collect {
        ($surface:ty, $switch:expr) => {
            let switch: fn(&Surfaces) -> Option<OnHost> = $switch;
            if let Some(host) = switch(on) {
                all.extend(mounts::<$surface>(host.as_deref()));
            }
        };
    }
    surfaces!(collect);
    all
}

/// Answers an unknown path (below the base of the public URL) in the shape of the surface that owns
/// its prefix. One that is off owns none.
pub async fn unknown_path(request: HttpRequest, path: &str, on: &Surfaces) -> HttpResponse {
    macro_rules! owned {
        ($surface:ty, $switch:expr) => {
            let switch: fn(&Surfaces) -> Option<OnHost> = $switch;
            let is_owned = <$surface as Surface>::owns(path) || <$surface as Surface>::owns(below_provider(path));
            if switch(on).is_some() && is_owned {
                return not_found::<$surface>(request).await;
            }
        };
    }
    surfaces!(owned);
    not_found::<oauth2::OAuth2>(request).await
}

/// `/p/acme/oauth2/token` → `/oauth2/token`.
pub fn below_provider(path: &str) -> &str {
    let Some(rest) = path.strip_prefix("/p/") else { return "" };
    rest.find('/').and_then(|slash| rest.get(slash..)).unwrap_or("")
}

/// Every operation of every surface that is on, for the OpenAPI document.
pub fn operations(on: &Surfaces) -> Vec<Operation> {
    let mut all = Vec::new();
    macro_rules! collect {
        ($surface:ty, $switch:expr) => {
            let switch: fn(&Surfaces) -> Option<OnHost> = $switch;
            if switch(on).is_some() {
                all.extend(surface::operations::<$surface>(true));
            }
        };
    }
    surfaces!(collect);
    all
}
