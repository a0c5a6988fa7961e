//! OpenID Connect Core §5.3: claims about the person behind an access token.

use crate::crypto::claims_request::ClaimsRequest;
use crate::domain::grant::ProviderRef;
use crate::domain::token::Profile;
use crate::domain::{AccessClaims, ClientId, Context, Failed, Fault, GrantId, Refusal, RefusalKind, ScopeSet, UserId};
use crate::engine::Engine;
use crate::engine::profile::{Asked, PROFILE_SCOPES, profile};
use crate::store::{codes, refresh_families};

/// The scope that opens userinfo.
const OPENID: &str = "openid";

/// What is said about a person.
pub struct UserInfo {
    pub subject: String,
    pub profile: Profile,
}

impl Engine {
    /// The claims that this access token may see. Refused: a token that is not active, is not a
    /// person's, or has no `openid`.
    pub async fn userinfo(&self, ctx: &Context, provider: &ProviderRef, token: &str) -> Result<UserInfo, Failed> {
        self.require_fresh(ctx).await?;
        let provider = self.provider(ctx, provider).await?;
        let claims = self.active_token(ctx, &provider, token).await?.ok_or_else(|| invalid("an inactive token"))?;
        let person = claims.person.as_ref().ok_or_else(|| invalid("a machine's token"))?;
        if !claims.scope.contains(OPENID) {
            let kind = RefusalKind::InsufficientScope { needed: OPENID };
            return Err(Refusal::new(kind, "The access token lacks the scope openid.").into());
        }
        let id = UserId::from(claims.subject.as_str());
        let user = self.user(ctx, &provider.provider.id, &id).await?.ok_or_else(|| invalid("no such account"))?;
        let client = ClientId::from(claims.client_id.as_str());
        let client = self.client(ctx, &provider.provider.id, &client).await?;
        let of_client = client.map(|client| client.scope.clone()).unwrap_or_default();
        let wanted = self.claims_by_name(ctx, &claims, &of_client, person.grant).await?;
        let asked = Asked { granted: &claims.scope, of_client: &of_client, claims: &wanted };
        Ok(UserInfo { subject: claims.subject.clone(), profile: profile(&user.user, &user.roles_by_groups, &asked) })
    }

    /// The claims that the grant asked for by name. Only a token that lacks a scope its client has
    /// can gain by them: nothing is read for the others.
    async fn claims_by_name(
        &self,
        ctx: &Context,
        claims: &AccessClaims,
        of_client: &ScopeSet,
        grant: GrantId,
    ) -> Result<Vec<String>, Fault> {
        let can_gain = |scope: &str| of_client.contains(scope) && !claims.scope.contains(scope);
        if !PROFILE_SCOPES.iter().any(|scope| can_gain(scope)) {
            return Ok(Vec::new());
        }
        let read = move |conn: &mut _| match refresh_families::claims_of(conn, &grant)? {
            Some(text) => Ok(Some(text)),
            None => codes::claims_of(conn, &grant),
        };
        let text = self.0.db.read(ctx.deadline, read).await?.unwrap_or_default();
        Ok(ClaimsRequest::parse(&text).unwrap_or_default().userinfo)
    }
}

fn invalid(why: &'static str) -> Refusal {
    Refusal::new(RefusalKind::InvalidToken, "The access token is not valid.").about(why)
}
