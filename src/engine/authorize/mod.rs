//! The authorization endpoint (RFC 6749 §4.1, OIDC Core §3.1.2): from a request to a code, by way of
//! a login and perhaps a question. What comes back says what the browser is to do next; before the
//! client and its redirect_uri are proven that is never to go anywhere else.

use secrecy::{ExposeSecret, SecretString};

use crate::crypto::{IdHint, credential, read_id_hint};
use crate::domain::authorize::{Authorize, AuthorizeParams, ConsentPage, LoggedIn, LoginPage, Waiting};
use crate::domain::grant::ProviderRef;
use crate::domain::secret::{SecretKind, StoredSecret};
use crate::domain::session::{Browser, Session};
use crate::domain::{AuthorizationCode, Context, Failed, Fault, PersonGrant, Refusal, RefusalKind, ScopeSet};
use crate::engine::Engine;
use crate::engine::authorize::flow::{Flow, Pending};
use crate::engine::authorize::redirect::origin_of;
use crate::engine::authorize::request::{Request, Target};
use crate::engine::cache::providers::ProviderEntry;
use crate::store::{codes, consents};

pub(in crate::engine) mod flow;
pub(in crate::engine) mod redirect;
mod request;

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
        self.require_fresh()?;
        let provider = self.provider(ctx, provider).await?;
        self.proceed(ctx, &provider, Visit { params, browser, standing: Standing::New }).await
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
        self.require_fresh()?;
        let provider = self.provider(ctx, provider).await?;
        let pending = flow.map(|flow| self.pending_request(ctx, &provider, browser, flow)).transpose()?;
        let user = self.prove_password(ctx, &provider, username, password, browser.device.as_ref()).await?;
        let begun = self.begin_session(ctx, &provider, &user, browser).await?;
        let device = self.device_secret(&provider, &user.id, ctx.now)?;
        let next = match pending {
            Some((params, since)) => {
                let browser = &logged_in(browser, &begun.secret);
                let visit = Visit { params, browser, standing: Standing::LoggedIn { since } };
                Some(self.proceed(ctx, &provider, visit).await?)
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
        Ok(denied(&target))
    }

    /// What the consent page shows, to the person who is logged in.
    pub async fn consent_page(
        &self,
        ctx: &Context,
        provider: &ProviderRef,
        flow: &str,
        browser: &Browser,
    ) -> Result<ConsentPage, Failed> {
        let provider = self.provider(ctx, provider).await?;
        let (params, _) = self.pending_request(ctx, &provider, browser, flow)?;
        let Asked { target, request } = self.asked_again(ctx, &provider, &params).await?;
        let session = self.browser_session(ctx, &provider, browser).await?.ok_or_else(logged_out)?;
        let user = self.user(ctx, &provider.provider.id, &session.user).await?.ok_or_else(logged_out)?;
        Ok(ConsentPage {
            client_name: target.client.name,
            username: user.user.username.clone(),
            scope: request.scope,
            ui_locales: request.ui_locales,
            redirect_origin: origin_of(&target.back.redirect_uri),
        })
    }

    /// The person has decided.
    pub async fn decide_consent(
        &self,
        ctx: &Context,
        provider: &ProviderRef,
        flow: &str,
        browser: &Browser,
        allow: bool,
    ) -> Result<Authorize, Failed> {
        self.require_fresh()?;
        let provider = self.provider(ctx, provider).await?;
        let (params, since) = self.pending_request(ctx, &provider, browser, flow)?;
        if !allow {
            let target = self.authorize_target(ctx, &provider, &params).await?;
            return Ok(denied(&target));
        }
        self.proceed(ctx, &provider, Visit { params, browser, standing: Standing::Allowed { since } }).await
    }

    /// Judges the request anew each time it comes by: client, keys and person may have changed.
    async fn proceed(&self, ctx: &Context, provider: &ProviderEntry, visit: Visit<'_>) -> Result<Authorize, Failed> {
        let target = match self.authorize_target(ctx, provider, &visit.params).await {
            Ok(target) => target,
            Err(Failed::Refused(refusal)) => return Ok(Authorize::Page(refusal)),
            Err(fault) => return Err(fault),
        };
        let request = match self.authorize_request(ctx, provider, &target, &visit.params).await? {
            Ok(request) => request,
            Err((error, sentence)) => return Ok(target.back.with_error(error, sentence)),
        };
        let asked = Asked { target, request };
        let session = self.browser_session(ctx, provider, visit.browser).await?;
        let is_enough = |session: &Session| is_login_enough(session, &asked.request, visit.standing, ctx.now.seconds());
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
            return Ok(asked.target.back.with_error("login_required", "Nobody is logged in."));
        }
        Ok(Authorize::Login(self.wait(ctx, provider, visit)?))
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
            return Ok(asked.target.back.with_error("login_required", "Another person is logged in."));
        }
        Ok(Authorize::Login(self.wait(ctx, provider, visit)?))
    }

    async fn with_session(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        visit: Visit<'_>,
        asked: Asked,
        session: Session,
    ) -> Result<Authorize, Failed> {
        if asked.target.client.policy.require_consent {
            let (user, client) = (session.user.clone(), asked.target.client.client_id.clone());
            let known = self.0.db.read(ctx.deadline, move |conn| consents::allowed(conn, &user, &client)).await?;
            if matches!(visit.standing, Standing::Allowed { .. }) {
                self.remember_consent(ctx, &asked, &session, &known).await?;
            } else if asked.request.prompt.consent || asked.request.scope.first_outside(&known).is_some() {
                return self.ask_for_consent(ctx, provider, visit, &asked);
            }
        }
        self.issue_code(ctx, provider, asked, session).await
    }

    fn ask_for_consent(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        visit: Visit<'_>,
        asked: &Asked,
    ) -> Result<Authorize, Failed> {
        if asked.request.prompt.none {
            return Ok(asked.target.back.with_error("consent_required", "The person has not allowed this."));
        }
        Ok(Authorize::Consent(self.wait(ctx, provider, visit)?))
    }

    async fn remember_consent(
        &self,
        ctx: &Context,
        asked: &Asked,
        session: &Session,
        known: &ScopeSet,
    ) -> Result<(), Failed> {
        let all = ScopeSet::of(known.iter().chain(asked.request.scope.iter()));
        let scope = all.unwrap_or_else(|_| asked.request.scope.clone());
        let (user, client, now) = (session.user.clone(), asked.target.client.client_id.clone(), ctx.now.seconds());
        let write = move |conn: &mut _| consents::allow(conn, &user, &client, &scope, now);
        Ok(self.0.db.write_one(ctx.deadline, write).await?)
    }

    async fn issue_code(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        asked: Asked,
        session: Session,
    ) -> Result<Authorize, Failed> {
        let Asked { target, request } = asked;
        let secret = credential::generate(SecretKind::AuthorizationCode, &self.0.random);
        let StoredSecret::Digest { pepper_id, digest } = self.0.secrets.peppers.digest(secret.expose_secret()) else {
            return Err(Fault::crypto("a code was not digested").into());
        };
        let now = ctx.now.seconds();
        let own_ttl = target.client.policy.authorization_code_ttl;
        let code = AuthorizationCode {
            grant: PersonGrant {
                id: self.0.random.jti(ctx.now),
                provider: provider.provider.id.clone(),
                client: target.client.client_id.clone(),
                user: session.user,
                session: Some(session.id),
                scope: request.scope,
                audience: request.audience,
                claims: request.claims,
                auth_time: session.auth_time,
                amr: session.amr,
            },
            pepper_id,
            digest,
            redirect_uri: target.back.redirect_uri.clone(),
            redirect_uri_sent: target.redirect_uri_sent,
            code_challenge: request.code_challenge,
            nonce: request.nonce,
            created_at: now,
            expires_at: now + own_ttl.unwrap_or(provider.provider.ttls.authorization_code),
            spent_at: None,
        };
        self.0.db.write_one(ctx.deadline, move |conn| codes::insert(conn, &code)).await?;
        Ok(target.back.with_code(secret.expose_secret().to_owned()))
    }

    fn wait(&self, ctx: &Context, provider: &ProviderEntry, visit: Visit<'_>) -> Result<Waiting, Failed> {
        let Visit { params, browser, standing } = visit;
        let began_at = match standing {
            Standing::New => ctx.now.seconds(),
            Standing::LoggedIn { since } | Standing::Allowed { since } => since,
        };
        let flow = Flow { pending: Pending::Authorize(Box::new(params)), began_at };
        self.seal_flow(&provider.provider.id, browser, &flow)
    }

    fn pending_request(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        browser: &Browser,
        flow: &str,
    ) -> Result<(AuthorizeParams, i64), Refusal> {
        let Flow { pending, began_at } = self.open_flow(ctx, &provider.provider.id, browser, flow)?;
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

/// Whether the session's login satisfies `prompt` and `max_age` (OIDC Core §3.1.2.3).
fn is_login_enough(session: &Session, request: &Request, standing: Standing, now: i64) -> bool {
    let is_fresh = match standing {
        Standing::New => false,
        Standing::LoggedIn { since } | Standing::Allowed { since } => session.auth_time >= since,
    };
    let is_young = request.max_age.is_none_or(|age| now - session.auth_time <= age && age > 0);
    is_fresh || (!request.prompt.login && is_young)
}

/// Whether the person is the one whom a hint or a claims request names.
fn is_meant(session: &Session, request: &Request) -> bool {
    match &request.subject {
        None => true,
        Some(named) => named.as_deref() == Some(session.user.as_str()),
    }
}

fn denied(target: &Target) -> Authorize {
    target.back.with_error("access_denied", "The person has refused.")
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
