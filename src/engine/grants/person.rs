//! What a grant of a person is turned into: an access token that names its grant, an ID token, and
//! the family that its refresh tokens descend from. Every grant by a person ends here.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};

use crate::crypto::claims_request::ClaimsRequest;
use crate::crypto::hashes::at_hash;
use crate::crypto::refresh::Derivation;
use crate::domain::client::GrantType;
use crate::domain::event::Event;
use crate::domain::grant::{Ask, Granted};
use crate::domain::token::{AccessTokenFormat, AccessTyp, Epochs, IdClaims, PersonClaims, PersonIdClaims};
use crate::domain::{
    AccessClaims, AudienceSet, Context, Decision, Failed, Fault, PersonGrant, RefreshFamily, Refusal, RefusalKind,
    ScopeSet, SessionId, SigningAlg, UserId,
};
use crate::engine::cache::clients::ClientEntry;
use crate::engine::cache::providers::ProviderEntry;
use crate::engine::cache::sessions::SessionEntry;
use crate::engine::cache::users::UserEntry;
use crate::engine::profile::{Asked, profile};
use crate::engine::{Engine, policy};
use crate::store::{events, refresh_families};

/// A person's ID token is signed with this unless the client says otherwise.
const ID_TOKEN_ALG: SigningAlg = SigningAlg::Rs256;

/// A grant that a person has just given.
pub struct NewGrant {
    pub grant: PersonGrant,
    pub nonce: Option<String>,
    /// A refresh token goes with it if the client has that grant type.
    pub may_refresh: bool,
    /// Neither an access token nor the family lives longer, epoch seconds.
    pub ends_at: Option<i64>,
    /// Seconds that no access token of it outlives, those by refresh too.
    pub max_ttl: Option<i64>,
    pub issued_token_type: Option<&'static str>,
    /// The wire answers JWTs whatever the client's format is.
    pub force_jwt: bool,
}

/// Who is concerned, as looked up for this request.
#[derive(Clone, Copy)]
pub(in crate::engine) struct Parties<'a> {
    pub provider: &'a ProviderEntry,
    pub client: &'a ClientEntry,
    pub user: &'a UserEntry,
}

/// The terms of one answer for a person's grant.
pub(in crate::engine) struct PersonTerms<'a> {
    pub grant: &'a PersonGrant,
    pub epochs: Epochs,
    /// At most the grant's.
    pub scope: ScopeSet,
    /// At most the grant's.
    pub audience: AudienceSet,
    pub nonce: Option<String>,
    /// Epoch seconds.
    pub ends_at: Option<i64>,
    pub max_ttl: Option<i64>,
    pub force_jwt: bool,
}

/// An answer that is ready, and the row that has to be written before it leaves.
pub(in crate::engine) struct Prepared {
    pub granted: Granted,
    pub family: Option<RefreshFamily>,
}

impl Engine {
    /// Makes the tokens of a grant that was just given, and its family.
    ///
    /// Refused (`invalid_grant`) if the person is not live or the session has ended. The scope and
    /// audience of the grant must have been judged.
    pub(in crate::engine) async fn grant_to_person(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        client: &ClientEntry,
        user: &UserEntry,
        new: NewGrant,
        by: GrantType,
    ) -> Result<Granted, Failed> {
        let whole = (new.grant.scope.clone(), policy::first_audience(&new.grant)?);
        let event = self.event_of_new_grant(ctx, &new.grant, by);
        let Prepared { granted, family } = self.prepare(ctx, Parties { provider, client, user }, new, whole).await?;
        self.write_new_grant(ctx, family, event).await?;
        Ok(granted)
    }

    /// The family and the event in one transaction; where there is no family nothing waits for the event.
    pub(in crate::engine) async fn write_new_grant(
        &self,
        ctx: &Context,
        family: Option<RefreshFamily>,
        event: Event,
    ) -> Result<(), Fault> {
        let Some(family) = family else {
            self.0.behind.note_event(event);
            return Ok(());
        };
        let write = self.0.db.write(ctx.deadline, move |tx| {
            refresh_families::insert(tx, &family)?;
            events::insert(tx, &event)?;
            Ok(Decision::Allow(()))
        });
        write.await.map(drop)
    }

    /// Everything of [`Engine::grant_to_person`] but the writing, for the scope and audience at hand.
    pub(in crate::engine) async fn prepare(
        &self,
        ctx: &Context,
        parties: Parties<'_>,
        new: NewGrant,
        (scope, audience): (ScopeSet, AudienceSet),
    ) -> Result<Prepared, Failed> {
        let NewGrant { grant, nonce, may_refresh, ends_at, max_ttl, issued_token_type, force_jwt } = new;
        let (epochs, session_end) = self.epochs_of(ctx, parties, &grant).await?;
        let ends_at = [ends_at, session_end].into_iter().flatten().min();
        let terms = PersonTerms { grant: &grant, epochs, scope, audience, nonce, ends_at, max_ttl, force_jwt };
        let mut granted = self.person_tokens(ctx, parties, terms).await?;
        granted.issued_token_type = issued_token_type;
        let family = (may_refresh && parties.client.may_use(GrantType::RefreshToken))
            .then(|| self.new_family(ctx, parties, (grant, epochs), ends_at, max_ttl));
        if let Some(family) = &family {
            granted.refresh_token = Some(self.secrets().refresh.token(derivation(family), family.generation)?);
        }
        Ok(Prepared { granted, family })
    }

    /// The epochs that tokens of the grant are made in now, and the end of the session they are tied
    /// to. Refused where the person or the session is over.
    pub(in crate::engine) async fn epochs_of(
        &self,
        ctx: &Context,
        parties: Parties<'_>,
        grant: &PersonGrant,
    ) -> Result<(Epochs, Option<i64>), Failed> {
        let Parties { provider, client, user } = parties;
        if user.user.id != grant.user || !user.user.is_live() {
            return Err(over("the account is not live"));
        }
        let mut epochs =
            Epochs { provider: provider.provider.epoch, client: client.epoch, user: user.user.epoch, session: 0 };
        let Some(tied) = grant.tied_session() else { return Ok((epochs, None)) };
        let session = self.live_session(ctx, provider, tied, &grant.user).await?;
        epochs.session = session.epoch;
        Ok((epochs, Some(session.ends_at)))
    }

    /// The person's session, refused when it is over.
    pub(in crate::engine) async fn live_session(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        id: &SessionId,
        user: &UserId,
    ) -> Result<Arc<SessionEntry>, Failed> {
        let session = self.session(ctx, &provider.provider.id, id).await?;
        let is_live =
            |entry: &Arc<SessionEntry>| !entry.has_ended && entry.user == *user && ctx.now.seconds() < entry.ends_at;
        session.filter(is_live).ok_or_else(|| over("the session has ended"))
    }

    /// An access token, and an ID token while `openid` is in the scope. Nothing is written.
    pub(in crate::engine) async fn person_tokens(
        &self,
        ctx: &Context,
        parties: Parties<'_>,
        terms: PersonTerms<'_>,
    ) -> Result<Granted, Failed> {
        let Parties { provider, client, user } = parties;
        let PersonTerms { grant, epochs, scope, audience, nonce, ends_at, max_ttl, force_jwt } = terms;
        let now = ctx.now.seconds();
        let own = policy::access_token_lifetime(client, &provider.provider, &Ask::default());
        let bounds = [max_ttl, ends_at.map(|end| end - now)];
        let lifetime = bounds.into_iter().flatten().fold(own, i64::min);
        if lifetime < 1 {
            return Err(over("no second of its life is left"));
        }
        let tied = grant.tied_session().cloned();
        let claims = AccessClaims {
            issuer: provider.provider.issuer.clone(),
            subject: user.user.id.as_str().to_owned(),
            audience,
            client_id: client.client_id.as_str().to_owned(),
            scope,
            jti: self.0.random.jti(ctx.now),
            issued_at: now,
            expires_at: now + lifetime,
            epochs,
            typ: AccessTyp::AtJwt,
            person: Some(PersonClaims { grant: grant.id, session: tied }),
            audience_as_list: false,
            extra: None,
        };
        let format = if force_jwt { AccessTokenFormat::Jwt } else { client.format };
        let alg = provider.provider.access_token_signing_alg;
        let access_token = self.access_token(ctx, provider, &claims, (format, alg)).await?;
        let id_token = if claims.scope.contains("openid") {
            Some(self.person_id_token(ctx, parties, grant, (&claims, &access_token), nonce, &bounds).await?)
        } else {
            None
        };
        let (expires_in, scope) = (lifetime, claims.scope);
        Ok(Granted {
            access_token,
            expires_in,
            scope,
            one_time: false,
            id_token,
            refresh_token: None,
            issued_token_type: None,
        })
    }

    async fn person_id_token(
        &self,
        ctx: &Context,
        parties: Parties<'_>,
        grant: &PersonGrant,
        (access, access_token): (&AccessClaims, &SecretString),
        nonce: Option<String>,
        bounds: &[Option<i64>],
    ) -> Result<SecretString, Fault> {
        let Parties { provider, client, user } = parties;
        let alg = client.policy().and_then(|policy| policy.id_token_signed_response_alg).unwrap_or(ID_TOKEN_ALG);
        let key = self.signing_key(ctx, provider, alg).await?;
        let wanted = ClaimsRequest::parse(&grant.claims).unwrap_or_default();
        let asked = Asked { granted: &access.scope, of_client: &client.scope, claims: &wanted.id_token };
        // What bounds the access token bounds what goes with it.
        let lifetime = bounds.iter().copied().flatten().fold(provider.provider.ttls.id_token, i64::min);
        let claims = IdClaims {
            issuer: access.issuer.clone(),
            subject: access.subject.clone(),
            audience: access.client_id.clone(),
            jti: self.0.random.jti(ctx.now),
            issued_at: access.issued_at,
            expires_at: access.issued_at + lifetime,
            person: Some(PersonIdClaims {
                auth_time: grant.auth_time,
                amr: grant.amr.clone(),
                nonce,
                at_hash: Some(at_hash(alg, access_token.expose_secret())),
                sid: grant.session.clone(),
                profile: profile(&user.user, &user.roles_by_groups, &asked),
            }),
        };
        key.sign_id(&claims).map(SecretString::from)
    }

    /// Its row: only where it ends with the session does it name one.
    fn new_family(
        &self,
        ctx: &Context,
        parties: Parties<'_>,
        (grant, epochs): (PersonGrant, Epochs),
        ends_at: Option<i64>,
        max_ttl: Option<i64>,
    ) -> RefreshFamily {
        let now = ctx.now.seconds();
        let session = grant.tied_session().cloned();
        let lives = policy::refresh_lifetimes(parties.client, &parties.provider.provider, session.is_some());
        let ends_at = ends_at.unwrap_or(i64::MAX).min(now + lives.max);
        RefreshFamily {
            grant: PersonGrant { session, ..grant },
            key_id: self.secrets().refresh.current_key_id().to_owned(),
            salt: self.0.random.bytes(),
            generation: 1,
            newest_presented: false,
            rotated_at: Vec::new(),
            created_at: now,
            used_at: now,
            idle_ends_at: ends_at.min(now + lives.idle),
            ends_at,
            revoked_at: None,
            epochs,
            max_ttl,
        }
    }
}

/// What the family's tokens are derived from.
pub(in crate::engine) fn derivation(family: &RefreshFamily) -> Derivation<'_> {
    Derivation { key_id: &family.key_id, family: family.grant.id, salt: &family.salt }
}

/// The grant is no longer worth anything; which of the reasons is for the log.
pub(in crate::engine) fn over(why: &'static str) -> Failed {
    Refusal::new(RefusalKind::InvalidGrant, "The grant is no longer valid.").about(why).into()
}
