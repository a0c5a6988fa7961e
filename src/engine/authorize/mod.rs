//! The authorization endpoint (RFC 6749 §4.1, OIDC Core §3.1.2): from a request to a code, by way of
//! a login and perhaps a question. What comes back says what the browser is to do next; before the
//! client and its redirect_uri are proven that is never to go anywhere else.

use secrecy::SecretString;

use crate::crypto::{IdHint, read_id_hint};
use crate::domain::authorize::{Authorize, AuthorizeParams, LoggedIn, LoginPage, Waiting};
use crate::domain::grant::ProviderRef;
use crate::domain::session::{Browser, Session};
use crate::domain::{Context, Failed, Fault, Refusal, RefusalKind, ScopeSet, SessionId, UnixTime};
use crate::engine::Engine;
use crate::engine::authorize::flow::{Flow, Pending};
use crate::engine::authorize::redirect::origin_of;
use crate::engine::authorize::request::{Request, Target};
use crate::engine::cache::providers::ProviderEntry;

mod code;
mod consent;
pub(in crate::engine) mod flow;
pub(in crate::engine) mod redirect;
mod request;

/// Longest hint or list of languages that waits with a request, bytes.
const MAX_CARRIED: usize = 1024;

/// A request on its way to a code.
struct Asked {
    target: Target,
    request: Request,
}

/// A request in a browser, and how far it has come.
struct Visit<'a> {
    params: AuthorizeParams,
    browser: &'a Browser,
    standing: Standing,
    /// What the person was shown and has allowed just now.
    allowed: Option<ScopeSet>,
}

/// How far a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It came in just now.
    New,
    /// The person has logged in for it, at the time of the flow or later.
    LoggedIn { since: i64 },
    /// The person has allowed it as well.
    Allowed { since: i64 },
}

impl Engine {
    /// Answers an authorization request.
    ///
    /// Refusals: unknown provider. Everything that is wrong with the request itself is an answer:
    /// a page of ours, or an error for the client.
    pub async fn authorize(
        &self,
        ctx: &Context,
        provider: &ProviderRef,
        params: AuthorizeParams,
        browser: &Browser,
    ) -> Result<Authorize, Failed> {
        self.require_fresh(ctx).await?;
        let provider = self.provider(ctx, provider).await?;
        self.proceed(ctx, &provider, Visit { params, browser, standing: Standing::New, allowed: None }).await
    }

    /// What the login page shows; the flow must be this browser's.
    pub async fn login_page(
        &self,
        ctx: &Context,
        provider: &ProviderRef,
        flow: Option<&str>,
        browser: &Browser,
    ) -> Result<LoginPage, Failed> {
        let provider = self.provider(ctx, provider).await?;
        let Some(flow) = flow else { return Ok(LoginPage::default()) };
        let (params, _) = self.pending_request(ctx, &provider, browser, flow)?;
        let Asked { target, request } = self.asked_again(ctx, &provider, &params).await?;
        Ok(LoginPage {
            client_name: Some(target.client.name),
            login_hint: request.login_hint,
            ui_locales: request.ui_locales,
            redirect_origin: origin_of(&target.back.redirect_uri),
        })
    }

    /// Logs a person in and goes on with what waited for it.
    ///
    /// Refusals: a flow that is over, a wrong name or password, too many tries.
    pub async fn log_in(
        &self,
        ctx: &Context,
        provider: &ProviderRef,
        flow: Option<&str>,
        browser: &Browser,
        username: &str,
        password: &SecretString,
    ) -> Result<LoggedIn, Failed> {
        ctx.trail.kind("login");
        self.require_fresh(ctx).await?;
        let provider = self.provider(ctx, provider).await?;
        let pending = flow.map(|flow| self.pending_request(ctx, &provider, browser, flow)).transpose()?;
        let user = self.prove_password(ctx, &provider, username, password, browser.device.as_ref()).await?;
        let begun = self.begin_session(ctx, &provider, &user, browser).await?;
        let device = self.device_secret(&provider, &user.id, ctx.now)?;
        let next = match pending {
            Some((params, since)) => {
                let browser = &logged_in(browser, &begun.secret);
                let visit = Visit { params, browser, standing: Standing::LoggedIn { since }, allowed: None };
                // The browser gets its cookie also when the request has become impossible meanwhile.
                match self.proceed(ctx, &provider, visit).await {
                    Err(Failed::Refused(refusal)) => Some(Authorize::Page(refusal)),
                    next => Some(next?),
                }
            }
            None => None,
        };
        let session_max_age = begun.session.ends_at - ctx.now.seconds();
        Ok(LoggedIn { session: begun.secret, session_max_age, device, next })
    }

    /// The person does not want to log in: the client is told (RFC 6749 §4.1.2.1).
    pub async fn cancel_login(
        &self,
        ctx: &Context,
        provider: &ProviderRef,
        flow: &str,
        browser: &Browser,
    ) -> Result<Authorize, Failed> {
        let provider = self.provider(ctx, provider).await?;
        let (params, _) = self.pending_request(ctx, &provider, browser, flow)?;
        let target = self.authorize_target(ctx, &provider, &params).await?;
        Ok(denied(ctx, &target))
    }

    /// Judges the request anew each time it comes by: client, keys and person may have changed.
    async fn proceed(&self, ctx: &Context, provider: &ProviderEntry, visit: Visit<'_>) -> Result<Authorize, Failed> {
        let target = match self.authorize_target(ctx, provider, &visit.params).await {
            Ok(target) => target,
            Err(Failed::Refused(refusal)) => {
                ctx.trail.kind("authorization");
                ctx.trail.refused_as(&refusal);
                return Ok(Authorize::Page(refusal));
            }
            Err(fault) => return Err(fault),
        };
        ctx.trail.client(&target.client.client_id);
        let request = match self.authorize_request(ctx, provider, &target, &visit.params).await? {
            Ok(request) => request,
            Err((error, said)) => return Ok(sent_back(ctx, &target, error, said)),
        };
        let asked = Asked { target, request };
        let session = self.browser_session(ctx, provider, visit.browser).await?;
        let is_enough = |session: &Session| is_login_enough(session, &asked.request, visit.standing, ctx.now);
        match session.filter(is_enough) {
            None => self.ask_to_log_in(ctx, provider, visit, &asked),
            Some(session) if !is_meant(&session, &asked.request) => self.other_person(ctx, provider, visit, &asked),
            Some(session) => self.with_session(ctx, provider, visit, asked, session).await,
        }
    }

    fn ask_to_log_in(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        visit: Visit<'_>,
        asked: &Asked,
    ) -> Result<Authorize, Failed> {
        if asked.request.prompt.none {
            return Ok(sent_back(ctx, &asked.target, "login_required", "Nobody is logged in."));
        }
        Ok(Authorize::Login(self.wait(ctx, provider, visit, None)?))
    }

    /// A hint named somebody else: they may log in, once.
    fn other_person(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        visit: Visit<'_>,
        asked: &Asked,
    ) -> Result<Authorize, Failed> {
        if asked.request.prompt.none || visit.standing != Standing::New {
            return Ok(sent_back(ctx, &asked.target, "login_required", "Another person is logged in."));
        }
        Ok(Authorize::Login(self.wait(ctx, provider, visit, None)?))
    }

    /// Seals the request until the person has done what is needed; `asked`: the one who is to answer, and
    /// what the question shows.
    fn wait(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        visit: Visit<'_>,
        asked: Option<(SessionId, ScopeSet)>,
    ) -> Result<Waiting, Failed> {
        let Visit { params, browser, standing, allowed: _ } = visit;
        let began_at = match standing {
            Standing::New => ctx.now.seconds(),
            Standing::LoggedIn { since } | Standing::Allowed { since } => since,
        };
        let (asked, shown) = asked.unzip();
        let flow = Flow { pending: Pending::Authorize(Box::new(kept(params))), began_at, asked, shown };
        self.seal_flow(&provider.provider.id, browser, &flow)
    }

    fn pending_request(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        browser: &Browser,
        flow: &str,
    ) -> Result<(AuthorizeParams, i64), Refusal> {
        let Flow { pending, began_at, asked: _, shown: _ } =
            self.open_flow(ctx, &provider.provider.id, browser, flow)?;
        match pending {
            Pending::Authorize(params) => Ok((*params, began_at)),
            Pending::Logout(_) => Err(Refusal::malformed("This is no sign-in.")),
        }
    }

    /// A request that was good when it was sealed; if it no longer is, the page says so.
    async fn asked_again(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        params: &AuthorizeParams,
    ) -> Result<Asked, Failed> {
        let target = self.authorize_target(ctx, provider, params).await?;
        let request = self.authorize_request(ctx, provider, &target, params).await?;
        let request = request.map_err(|(_, sentence)| Refusal::malformed(sentence))?;
        Ok(Asked { target, request })
    }

    /// An ID token of this provider that came back as a hint, expired or not.
    pub(in crate::engine) async fn id_hint(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        hint: &str,
    ) -> Result<Option<IdHint>, Fault> {
        let ring = self.key_ring(ctx, &provider.provider.id).await?;
        let hint = read_id_hint(hint, |kid| ring.verifying(kid));
        Ok(hint.filter(|hint| provider.has_issuer(&hint.issuer)))
    }
}

/// What of a request is carried along: a hint that is nobody's name, and wishes without meaning here,
/// would only make a URL that proxies refuse.
fn kept(params: AuthorizeParams) -> AuthorizeParams {
    let short = |text: &String| text.len() <= MAX_CARRIED;
    AuthorizeParams {
        login_hint: params.login_hint.filter(short),
        ui_locales: params.ui_locales.filter(short),
        acr_values: None,
        ..params
    }
}

/// Whether the session's login satisfies `prompt` and `max_age` (OIDC Core §3.1.2.3).
fn is_login_enough(session: &Session, request: &Request, standing: Standing, now: UnixTime) -> bool {
    let is_fresh = match standing {
        Standing::New => false,
        Standing::LoggedIn { since } | Standing::Allowed { since } => session.auth_time >= since,
    };
    // A login in the future is an old one: the clock has gone back.
    let age = now.seconds_since(session.auth_time);
    let is_young = request.max_age.is_none_or(|most| most > 0 && age.is_some_and(|age| age <= most));
    is_fresh || (!request.prompt.login && is_young)
}

/// Whether the person is the one whom a hint or a claims request names.
fn is_meant(session: &Session, request: &Request) -> bool {
    match &request.subject {
        None => true,
        Some(named) => named.as_deref() == Some(session.user.as_str()),
    }
}

fn denied(ctx: &Context, target: &Target) -> Authorize {
    sent_back(ctx, target, "access_denied", "The person has refused.")
}

/// The client is told of an error (RFC 6749 §4.1.2.1), and `explain` of the same.
fn sent_back(ctx: &Context, target: &Target, error: &str, said: &str) -> Authorize {
    ctx.trail.kind("authorization");
    ctx.trail.refused("authorization.request", format!("{error}: {said}"));
    target.back.with_error(error, said)
}

fn logged_out() -> Refusal {
    Refusal::new(RefusalKind::InvalidGrant, "You are not logged in any more. Go back to the application and try again.")
}

/// The browser as it will be once it has the new cookie.
fn logged_in(browser: &Browser, secret: &SecretString) -> Browser {
    Browser {
        session: Some(secret.clone()),
        flow: browser.flow.clone(),
        device: browser.device.clone(),
        user_agent: browser.user_agent.clone(),
    }
}
