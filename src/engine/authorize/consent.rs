//! Consent: clients that have to ask (`require_consent`) get no code before the person has allowed
//! what they will learn. The question belongs to one session: another person's answer is none.

use crate::domain::authorize::{Authorize, AuthorizeParams, ConsentPage};
use crate::domain::event::Event;
use crate::domain::grant::ProviderRef;
use crate::domain::session::{Browser, Session};
use crate::domain::{Context, Decision, Failed, ScopeSet, UserId};
use crate::engine::Engine;
use crate::engine::authorize::flow::{Flow, Pending};
use crate::engine::authorize::redirect::origin_of;
use crate::engine::authorize::request::{Request, Target};
use crate::engine::authorize::{Asked, Standing, Visit, denied, logged_out, sent_back};
use crate::engine::cache::providers::ProviderEntry;
use crate::engine::profile;
use crate::store::{consents, events};

impl Engine {
    /// What the consent page shows, to the person who is logged in.
    pub async fn consent_page(
        &self,
        ctx: &Context,
        provider: &ProviderRef,
        flow: &str,
        browser: &Browser,
    ) -> Result<ConsentPage, Failed> {
        let provider = self.provider(ctx, provider).await?;
        let (params, _, shown) = self.asked_of(ctx, &provider, browser, flow).await?;
        let Asked { target, request } = self.asked_again(ctx, &provider, &params).await?;
        let session = self.browser_session(ctx, &provider, browser).await?.ok_or_else(logged_out)?;
        let user = self.user(ctx, &provider.provider.id, &session.user).await?.ok_or_else(logged_out)?;
        Ok(ConsentPage {
            client_name: target.client.name,
            username: user.user.username.clone(),
            scope: shown,
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
        self.require_fresh(ctx).await?;
        let provider = self.provider(ctx, provider).await?;
        let (params, since, shown) = self.asked_of(ctx, &provider, browser, flow).await?;
        if !allow {
            let target = self.authorize_target(ctx, &provider, &params).await?;
            if let Some(session) = self.browser_session(ctx, &provider, browser).await? {
                self.0.behind.note_event(self.consent_event(ctx, &target, &session.user, "consent.refused"));
            }
            return Ok(denied(ctx, &target));
        }
        let visit = Visit { params, browser, standing: Standing::Allowed { since }, allowed: Some(shown) };
        self.proceed(ctx, &provider, visit).await
    }

    /// The request that this browser's person was asked about, when it began, and what the question showed.
    async fn asked_of(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        browser: &Browser,
        flow: &str,
    ) -> Result<(AuthorizeParams, i64, ScopeSet), Failed> {
        let Flow { pending, began_at, asked, shown } = self.open_flow(ctx, &provider.provider.id, browser, flow)?;
        let session = self.browser_session(ctx, provider, browser).await?.ok_or_else(logged_out)?;
        match (pending, asked) {
            // A question of the release before does not say what it showed: it is put again.
            (Pending::Authorize(params), Some(asked)) if asked == session.id => {
                Ok((*params, began_at, shown.unwrap_or_default()))
            }
            _ => Err(logged_out().about("the question was not put to this person").into()),
        }
    }

    /// On behalf of this session's person: a code, or first the question.
    pub(super) async fn with_session(
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
            let wanted = disclosed(&asked.request, &asked.target.client.scope);
            match &visit.allowed {
                // The client may have got more since the question was put.
                Some(shown) if wanted.first_outside(shown).is_none() => {
                    self.remember_consent(ctx, &asked, &session, &known, wanted).await?;
                }
                None if !asked.request.prompt.consent && wanted.first_outside(&known).is_none() => {}
                _ => return self.ask_for_consent(ctx, provider, visit, &asked, (session, wanted)),
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
        (session, wanted): (Session, ScopeSet),
    ) -> Result<Authorize, Failed> {
        if asked.request.prompt.none {
            return Ok(sent_back(ctx, &asked.target, "consent_required", "The person has not allowed this."));
        }
        Ok(Authorize::Consent(self.wait(ctx, provider, visit, Some((session.id, wanted)))?))
    }

    async fn remember_consent(
        &self,
        ctx: &Context,
        asked: &Asked,
        session: &Session,
        known: &ScopeSet,
        allowed: ScopeSet,
    ) -> Result<(), Failed> {
        let all = ScopeSet::of(known.iter().chain(allowed.iter()));
        let scope = all.unwrap_or(allowed);
        let (user, client, now) = (session.user.clone(), asked.target.client.client_id.clone(), ctx.now.seconds());
        let event = self.consent_event(ctx, &asked.target, &session.user, "consent.given");
        let write = self.0.db.write(ctx.deadline, move |tx| {
            consents::allow(tx, &user, &client, &scope, now)?;
            events::insert(tx, &event)?;
            Ok(Decision::Allow(()))
        });
        write.await?;
        Ok(())
    }

    fn consent_event(&self, ctx: &Context, target: &Target, user: &UserId, action: &'static str) -> Event {
        let client = &target.client;
        self.person_event(ctx, &client.provider, user, action, client.client_id.as_str())
    }
}

/// What the client will learn: the scope, and the scopes that cover claims it asks for by name (OIDC
/// Core §5.5), as far as it may have them.
pub(super) fn disclosed(request: &Request, of_client: &ScopeSet) -> ScopeSet {
    let named = profile::covering(&request.named_claims).into_iter().filter(|scope| of_client.contains(scope));
    ScopeSet::of(request.scope.iter().chain(named)).unwrap_or_else(|_| request.scope.clone())
}
