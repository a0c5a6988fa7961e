//! The code (RFC 6749 §4.1.2): one row, which is the grant until the code is redeemed.

use secrecy::ExposeSecret;

use crate::crypto::claims_request::narrowed;
use crate::crypto::credential;
use crate::domain::authorize::Authorize;
use crate::domain::client::GrantType;
use crate::domain::secret::{SecretKind, StoredSecret};
use crate::domain::token::Epochs;
use crate::domain::{AuthorizationCode, Context, Decision, Failed, Fault, PersonGrant, Session};
use crate::engine::Engine;
use crate::engine::authorize::consent::disclosed;
use crate::engine::authorize::{Asked, logged_out};
use crate::engine::cache::providers::ProviderEntry;
use crate::engine::profile::covering;
use crate::store::{codes, events};

/// Codes that one session gets within a minute, on one node: a loop of redirects writes no more rows and events.
pub const CODES_A_MINUTE: u64 = 30;

impl Engine {
    /// The browser leaves with a code.
    pub(super) async fn issue_code(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        asked: Asked,
        session: Session,
    ) -> Result<Authorize, Failed> {
        ctx.trail.kind("authorization");
        let Asked { target, request } = asked;
        if !self.0.codes_of_sessions.add_below(&session.id, ctx.now, CODES_A_MINUTE) {
            let description = "This session got too many codes within a minute. Wait a minute, then try again.";
            return Ok(target.back.with_error("temporarily_unavailable", description));
        }
        let secret = credential::generate(SecretKind::AuthorizationCode, &self.0.random);
        let StoredSecret::Digest { pepper_id, digest } = self.secrets().peppers.digest(secret.expose_secret()) else {
            return Err(Fault::crypto("a code was not digested").into());
        };
        let user = self.user(ctx, &provider.provider.id, &session.user).await?.ok_or_else(logged_out)?;
        let epochs = Epochs {
            provider: provider.provider.epoch,
            client: target.client.epoch,
            user: user.user.epoch,
            session: session.epoch,
        };
        // A scope that the client gets later must add nothing to this grant.
        let shown = disclosed(&request, &target.client.scope);
        let claims = narrowed(&request.claims, |claim| covering(&[claim]).iter().any(|scope| shown.contains(scope)));
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
                claims,
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
            epochs,
        };
        let event = self.event_of_new_grant(ctx, &code.grant, GrantType::AuthorizationCode);
        let write = self.0.db.write(ctx.deadline, move |tx| {
            codes::insert(tx, &code)?;
            events::insert(tx, &event)?;
            Ok(Decision::Allow(()))
        });
        write.await?;
        Ok(target.back.with_code(secret.expose_secret().to_owned()))
    }
}
