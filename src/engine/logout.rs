//! OpenID Connect RP-Initiated Logout 1.0: a client sends the browser here to end its session. Only a
//! hint that names this very session ends it without a question (§2); a bare GET ends nothing. The
//! browser goes back to a registered place or stays here (§3).

use url::Url;

use crate::crypto::IdHint;
use crate::domain::authorize::{Logout, LogoutParams};
use crate::domain::grant::ProviderRef;
use crate::domain::id::is_client_id;
use crate::domain::session::{Browser, Session};
use crate::domain::{Client, Context, Failed, Refusal};
use crate::engine::Engine;
use crate::engine::authorize::flow::{Flow, Pending};
use crate::engine::authorize::redirect::{origin_of, with_query};
use crate::engine::cache::providers::ProviderEntry;
use crate::store::clients;

const MAX_STATE: usize = 4096;

/// A logout request, judged.
struct Wish {
    client: Option<Client>,
    /// A genuine hint of this provider.
    hint: Option<IdHint>,
    /// Registered for the client, with `state`.
    to: Option<String>,
}

impl Engine {
    /// Answers a logout request: ends the session, or says that the person is to be asked.
    pub async fn logout(
        &self,
        ctx: &Context,
        provider: &ProviderRef,
        params: LogoutParams,
        browser: &Browser,
    ) -> Result<Logout, Failed> {
        let provider = self.provider(ctx, provider).await?;
        let wish = self.logout_wish(ctx, &provider, &params).await?;
        let Some(session) = self.browser_session(ctx, &provider, browser).await? else {
            // Nothing to end; only a hint shows that the browser comes from the client it names.
            return Ok(Logout::Ended { to: wish.to.filter(|_| wish.hint.is_some()) });
        };
        if wish.hint.as_ref().is_some_and(|hint| names(hint, &session)) {
            self.end_by_person(ctx, &provider, &session).await?;
            return Ok(Logout::Ended { to: wish.to });
        }
        self.ask_to_log_out(ctx, &provider, params, browser, wish, &session).await
    }

    async fn ask_to_log_out(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        params: LogoutParams,
        browser: &Browser,
        wish: Wish,
        session: &Session,
    ) -> Result<Logout, Failed> {
        let user = self.user(ctx, &provider.provider.id, &session.user).await?;
        let flow = Flow { pending: Pending::Logout(params), began_at: ctx.now.seconds(), asked: None, shown: None };
        let waiting = self.seal_flow(&provider.provider.id, browser, &flow)?;
        Ok(Logout::Ask {
            redirect_origin: wish.to.as_deref().and_then(origin_of),
            client_name: wish.client.map(|client| client.name),
            username: user.map(|entry| entry.user.username.clone()).unwrap_or_default(),
            waiting,
        })
    }

    /// The person has confirmed it on our page.
    pub async fn confirm_logout(
        &self,
        ctx: &Context,
        provider: &ProviderRef,
        flow: &str,
        browser: &Browser,
    ) -> Result<Logout, Failed> {
        let provider = self.provider(ctx, provider).await?;
        let opened = self.open_flow(ctx, &provider.provider.id, browser, flow)?;
        let Pending::Logout(params) = opened.pending else {
            return Err(Refusal::malformed("This is no sign-out.").into());
        };
        let wish = self.logout_wish(ctx, &provider, &params).await?;
        if let Some(session) = self.browser_session(ctx, &provider, browser).await? {
            self.end_by_person(ctx, &provider, &session).await?;
        }
        Ok(Logout::Ended { to: wish.to })
    }

    async fn logout_wish(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        params: &LogoutParams,
    ) -> Result<Wish, Failed> {
        let hint = match &params.id_token_hint {
            Some(hint) => self.id_hint(ctx, provider, hint).await?,
            None => None,
        };
        let hinted = hint.as_ref().and_then(|hint| hint.audience.first().cloned());
        let named = match (params.client_id.clone(), hinted) {
            // §2: a client_id beside a hint must be the client that the hint was issued to.
            (Some(named), Some(hinted)) if named != hinted => return Ok(Wish { client: None, hint: None, to: None }),
            (named, hinted) => named.or(hinted),
        };
        let client = match named.filter(|id| is_client_id(id)) {
            Some(id) => {
                let owner = provider.provider.id.clone();
                let read = move |conn: &mut _| clients::get(conn, &owner, &id.into());
                self.0.db.read(ctx.deadline, read).await?.filter(Client::is_live)
            }
            None => None,
        };
        let to = client.as_ref().and_then(|client| place(client, params));
        Ok(Wish { client, hint, to })
    }

    async fn end_by_person(&self, ctx: &Context, provider: &ProviderEntry, session: &Session) -> Result<(), Failed> {
        let owner = &provider.provider.id;
        let event = self.person_event(ctx, owner, &session.user, "user.logged_out", session.id.as_str());
        self.end_session(ctx, owner, &session.id, event).await?;
        Ok(())
    }
}

/// Whether the hint names this session and its person.
fn names(hint: &IdHint, session: &Session) -> bool {
    hint.subject == session.user.as_str() && hint.session.as_deref().is_none_or(|sid| sid == session.id.as_str())
}

/// Where the client wants the browser, if it registered that place: compared character by character.
fn place(client: &Client, params: &LogoutParams) -> Option<String> {
    let wanted = params.post_logout_redirect_uri.as_ref()?;
    if !client.policy.post_logout_redirect_uris.contains(wanted) || Url::parse(wanted).is_err() {
        return None;
    }
    match params.state.as_ref().filter(|state| state.len() <= MAX_STATE) {
        Some(state) => Some(with_query(wanted, &[("state", state.clone())])),
        None => Some(wanted.clone()),
    }
}
