//! Ephemeral tokens: an API key, or a client that may, turns its credential into an access token that
//! is worth less than itself. Every bound is here, whatever the wire; no row is written.
//!
//! Nothing minted may pass for a login. So `aud` is never a `client_id`, the scope never speaks of a
//! login, `sub` is never another principal's, and no claim that a relying party knows can be set.

use std::sync::Arc;

use secrecy::SecretString;

use crate::domain::api_key::Role;
use crate::domain::explanation::{Fact, facts};
use crate::domain::grant::{Ask, Granted, PresentedClient, ProviderRef};
use crate::domain::id::{is_client_id, is_slug, is_uuid_shaped};
use crate::domain::scope::is_of_login;
use crate::domain::token::{AccessTokenFormat, AccessTyp};
use crate::domain::{
    Actor as ActorClaim, AudienceSet, ClientId, Context, Effect, ExtraClaims, Failed, Fault, MintAsk, Provider,
    Refusal, RefusalKind, ScopeSet,
};
use crate::engine::authenticate::{Caller, ENV};
use crate::engine::cache::clients::ClientEntry;
use crate::engine::cache::providers::ProviderEntry;
use crate::engine::counters::IssuedBy;
use crate::engine::grants::free_claims;
use crate::engine::grants::{Owner, Terms};
use crate::engine::introspect::key_reaches;
use crate::engine::manage::{Actor, unknown_provider};
use crate::engine::{Engine, policy};
use crate::store::principal_names;

/// OIDC Core §2: at most 255 ASCII characters.
const MAX_SUBJECT: usize = 255;

/// What the one who mints may give away. `None` and an empty list: as the provider has it.
struct Minter<'a> {
    owner: Owner,
    subject: &'a str,
    scope: Option<&'a ScopeSet>,
    audience: &'a AudienceSet,
    max_ttl: Option<i64>,
    /// When its own credential ends, epoch seconds.
    ends_at: Option<i64>,
    may_set_subject: bool,
    format: AccessTokenFormat,
    /// Seconds of its usual tokens.
    usual_ttl: Option<i64>,
}

impl Engine {
    /// Mints for whoever was presented.
    ///
    /// Refusals: no such provider or credential; a role or client that may not mint; and whatever
    /// [`MintAsk`] and [`Ask`] want beyond the bounds of the caller, the client it is for, and the
    /// provider.
    pub(in crate::engine) async fn mint_grant(
        &self,
        ctx: &Context,
        named: &ProviderRef,
        presented: PresentedClient,
        mint: MintAsk,
        ask: &Ask,
    ) -> Result<Granted, Failed> {
        let (provider, caller) = self.minting_caller(ctx, named, presented).await?;
        self.mint(ctx, &provider, &caller, mint, ask).await
    }

    /// As [`Engine::grant`], for an actor of the management API.
    pub async fn mint_as(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        mint: MintAsk,
        ask: &Ask,
    ) -> Result<Granted, Failed> {
        let outcome = self.mint_as_actor(ctx, actor, provider, mint, ask).await;
        if ctx.effect == Effect::Commit {
            self.count(&outcome);
        }
        outcome
    }

    async fn mint_as_actor(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        mint: MintAsk,
        ask: &Ask,
    ) -> Result<Granted, Failed> {
        actor.require(Role::Member)?;
        let caller = match actor {
            Actor::Key(entry) => Caller::ApiKey(Arc::clone(entry)),
            Actor::Env => Caller::Env,
            Actor::LocalOperator | Actor::Person(_) => {
                return Err(Refusal::forbidden("Only an API key mints here.").into());
            }
        };
        let provider = self.visible_provider(ctx, actor, provider).await?;
        self.mint(ctx, &provider, &caller, mint, ask).await
    }

    /// As [`Engine::mint_as`], for a client that the calling surface has made; another does not exist there.
    pub async fn mint_for_own_client(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        mint: MintAsk,
        ask: &Ask,
    ) -> Result<Granted, Failed> {
        actor.require(Role::Member)?;
        let entry = self.visible_provider(ctx, actor, provider).await?;
        let client = match &mint.for_client {
            Some(id) if is_client_id(id.as_str()) => self.client(ctx, &entry.provider.id, id).await?,
            _ => None,
        };
        if client.is_none_or(|client| client.only_surface() != Some(ctx.surface)) {
            return Err(Refusal::unknown("There is no such client.").into());
        }
        self.mint_as(ctx, actor, provider, mint, ask).await
    }

    /// The live provider with this id or slug, if the actor may see it.
    async fn visible_provider(
        &self,
        ctx: &Context,
        actor: &Actor,
        id_or_slug: &str,
    ) -> Result<Arc<ProviderEntry>, Failed> {
        let slug = match is_uuid_shaped(id_or_slug) {
            true => self.slug_of_id(ctx, &id_or_slug.into()).await?,
            false => is_slug(id_or_slug).then(|| id_or_slug.into()),
        };
        let slug = slug.ok_or_else(unknown_provider)?;
        let named = ProviderRef { slug, must_serve: None, key_decides: false };
        let entry = self.provider(ctx, &named).await?;
        if actor.sees(&entry.provider.id) { Ok(entry) } else { Err(unknown_provider().into()) }
    }

    /// Who mints, and at which provider.
    async fn minting_caller(
        &self,
        ctx: &Context,
        named: &ProviderRef,
        presented: PresentedClient,
    ) -> Result<(Arc<ProviderEntry>, Caller), Failed> {
        let PresentedClient::ApiKey { key } = presented else {
            let provider = self.provider(ctx, named).await?;
            let caller = self.authenticate(ctx, &provider, presented).await?;
            return Ok((provider, caller));
        };
        let refused = "An access token cannot mint: this needs an API key.";
        let caller = self.key_and_no_token(ctx, &key, refused).await?;
        let Caller::ApiKey(entry) = &caller else { return Ok((self.provider(ctx, named).await?, caller)) };
        let own = entry.provider_slug.as_ref().filter(|_| named.key_decides);
        let provider = match own {
            Some(slug) => {
                let own = ProviderRef { slug: slug.clone(), must_serve: None, key_decides: true };
                self.provider(ctx, &own).await?
            }
            None => self.provider(ctx, named).await?,
        };
        key_reaches(entry.key.provider.as_ref(), &provider)?;
        Ok((provider, caller))
    }

    async fn mint(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        caller: &Caller,
        mint: MintAsk,
        ask: &Ask,
    ) -> Result<Granted, Failed> {
        let none = AudienceSet::default();
        let minter = minter(caller, &none)?;
        let holder = match &mint.for_client {
            Some(client_id) => Some(self.live_client(ctx, provider, client_id).await?),
            None => None,
        };
        let holder = holder.as_deref();
        let scope = scope(&minter, holder, ask)?;
        let audience = audience(&minter, holder, &provider.provider, &ask.resources)?;
        self.refuse_clients_as_audience(ctx, provider, &audience).await?;
        let lifetime = lifetime(ctx, &minter, holder, &provider.provider, (mint.ttl, ask.usual_lifetime))?;
        let (subject, actor) = self.subject(ctx, provider, &minter, holder, mint.subject).await?;
        free_claims::check(&mint.claims)?;
        let MintAsk { for_client: _, ttl: _, subject: _, one_time, access, typ, claims } = mint;
        if ctx.effect == Effect::DryRun {
            // Also the first key of an algorithm would be made for a token.
            return Ok(untold(scope, lifetime, one_time));
        }
        let terms = Terms {
            owner: holder.map_or(minter.owner, Owner::of),
            subject,
            scope,
            audience,
            lifetime,
            format: if ask.force_jwt { AccessTokenFormat::Jwt } else { minter.format },
            typ: typ.unwrap_or(AccessTyp::AtJwt),
            extra: ExtraClaims { one_time, access, actor, free: claims },
            own_id_token: false,
            by: IssuedBy::Mint,
        };
        self.issue(ctx, provider, terms, ask).await
    }

    async fn live_client(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        client_id: &ClientId,
    ) -> Result<Arc<ClientEntry>, Failed> {
        let plausible = is_client_id(client_id.as_str());
        let found = if plausible { self.client(ctx, &provider.provider.id, client_id).await? } else { None };
        let live = found.filter(|client| client.live);
        let client = live.ok_or_else(|| Refusal::unknown("There is no such client."))?;
        if !client.serves(ctx.surface) {
            return Err(Refusal::forbidden("The client works on a surface of its own only.").into());
        }
        // One without any grant type is there to be minted for.
        if client.is_public() && client.uses_grants() {
            return Err(Refusal::forbidden("A public client has no tokens of its own (RFC 6749 §4.4).").into());
        }
        Ok(client)
    }

    /// A relying party takes a token with its `client_id` as audience for a login (OIDC Core §2).
    async fn refuse_clients_as_audience(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        audience: &AudienceSet,
    ) -> Result<(), Failed> {
        for value in audience.iter().filter(|value| is_client_id(value)) {
            let lower = value.to_ascii_lowercase();
            let also = (is_uuid_shaped(value) && lower != value).then_some(lower.as_str());
            for spelling in [Some(value), also].into_iter().flatten() {
                if self.client(ctx, &provider.provider.id, &spelling.into()).await?.is_some() {
                    return Err(Refusal::new(RefusalKind::InvalidTarget, "A client_id cannot be the audience here.")
                        .about("audience is a client_id")
                        .into());
                }
            }
        }
        Ok(())
    }

    /// `sub`, and `act` where it is not the caller's own.
    async fn subject(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        minter: &Minter<'_>,
        holder: Option<&ClientEntry>,
        wanted: Option<String>,
    ) -> Result<(String, Option<ActorClaim>), Failed> {
        let actor = ActorClaim { subject: minter.subject.to_owned(), epoch: holder.map(|_| minter.owner.epoch) };
        let own = holder.map_or(minter.subject, ClientEntry::subject);
        let Some(wanted) = wanted.filter(|wanted| wanted != own) else {
            return Ok((own.to_owned(), holder.map(|_| actor)));
        };
        if !minter.may_set_subject {
            return Err(Refusal::forbidden("The subject can be set with may_set_subject only.").into());
        }
        let fits = (1..=MAX_SUBJECT).contains(&wanted.len()) && wanted.bytes().all(|byte| byte.is_ascii_graphic());
        if !fits {
            let detail = "must be 1 to 255 printable ASCII characters without space";
            return Err(Refusal::field_called("/subject", "subject", detail).into());
        }
        if self.is_principal(ctx, provider, &wanted).await? {
            return Err(Refusal::forbidden("This subject belongs to a user, a client or an API key.").into());
        }
        Ok((wanted, Some(actor)))
    }

    /// Whether the name belongs or belonged to somebody here. Letter case counts for nothing, because some readers
    /// compare without it.
    async fn is_principal(&self, ctx: &Context, provider: &ProviderEntry, subject: &str) -> Result<bool, Fault> {
        let (provider, exact, lower) = (provider.provider.id.clone(), subject.to_owned(), subject.to_ascii_lowercase());
        let read = move |conn: &mut _| principal_names::any_taken(conn, &provider, &[&exact, &lower]);
        self.0.db.read(ctx.deadline, read).await
    }
}

/// What the caller may give away; refused if it may not mint at all.
fn minter<'a>(caller: &'a Caller, none: &'a AudienceSet) -> Result<Minter<'a>, Refusal> {
    match caller {
        Caller::ApiKey(entry) if entry.key.role >= Role::Member => Ok(Minter {
            owner: Owner { id: entry.key.id.to_string(), epoch: entry.key.epoch },
            subject: entry.key.id.as_str(),
            scope: entry.key.scope.as_ref(),
            audience: &entry.key.audience,
            max_ttl: entry.key.max_ttl,
            ends_at: entry.key.expires_at,
            may_set_subject: entry.key.may_set_subject,
            format: AccessTokenFormat::Jwt,
            usual_ttl: None,
        }),
        Caller::ApiKey(_) => Err(Refusal::forbidden("Minting needs an API key of role member or higher.")),
        Caller::Env => Ok(Minter {
            owner: Owner { id: ENV.to_owned(), epoch: 0 },
            subject: ENV,
            scope: None,
            audience: none,
            max_ttl: None,
            ends_at: None,
            may_set_subject: true,
            format: AccessTokenFormat::Jwt,
            usual_ttl: None,
        }),
        Caller::Client(client) if client.may_mint && !client.is_public() => Ok(Minter {
            owner: Owner::of(client),
            subject: client.subject(),
            scope: Some(&client.scope),
            audience: &client.audience,
            max_ttl: client.max_ttl(),
            ends_at: None,
            may_set_subject: client.may_set_subject,
            format: client.format,
            usual_ttl: client.access_token_ttl(),
        }),
        Caller::Client(client) => Err(Refusal::new(RefusalKind::UnauthorizedClient, "The client may not mint tokens.")
            .about(format!("client {} does not have may_mint", client.client_id))),
    }
}

/// What a token would be, without one.
fn untold(scope: ScopeSet, expires_in: i64, one_time: bool) -> Granted {
    let (access_token, id_token, refresh_token, issued_token_type) = (SecretString::default(), None, None, None);
    Granted { access_token, expires_in, scope, one_time, id_token, refresh_token, issued_token_type }
}

/// What was asked, if all of it may be given away; else the wire's usual scope, as far as it may.
fn scope(minter: &Minter<'_>, holder: Option<&ClientEntry>, ask: &Ask) -> Result<ScopeSet, Refusal> {
    let of_holder = holder.map(|client| &client.scope);
    let may_have = |token: &str| {
        !is_of_login(token) && [minter.scope, of_holder].into_iter().flatten().all(|bound| bound.contains(token))
    };
    if let Some(asked) = &ask.scope {
        return if asked.iter().all(may_have) {
            Ok(asked.clone())
        } else {
            let outside = asked.iter().find(|token| !may_have(token)).unwrap_or_default();
            let allowed = match (minter.scope, of_holder) {
                (Some(scope), None) | (None, Some(scope)) => scope.clone(),
                (Some(scope), Some(of_holder)) => scope.within(of_holder),
                (None, None) => ScopeSet::default(),
            };
            Err(Refusal::new(RefusalKind::InvalidScope, "This scope cannot be minted with this credential.")
                .because("scope.allowed", policy::scope_facts(asked, outside, &allowed)))
        };
    }
    let usual = ask.usual_scope.as_ref().or_else(|| of_holder.or(minter.scope).filter(|_| ask.scope_of_client));
    Ok(usual.map(|usual| usual.only(may_have)).unwrap_or_default())
}

/// What was asked, if it stands in the list; else the first of the list, or the provider's default. A
/// token for a client is for that client's list, and for the caller's too if it has one.
fn audience(
    minter: &Minter<'_>,
    holder: Option<&ClientEntry>,
    provider: &Provider,
    asked: &[String],
) -> Result<AudienceSet, Refusal> {
    let list = holder.map_or(minter.audience, |client| &client.audience);
    let usual = list.first().unwrap_or(provider.audience());
    let refused = || {
        let allowed = if list.is_empty() { vec![usual] } else { list.iter().collect() };
        Refusal::new(RefusalKind::InvalidTarget, "This audience cannot be minted with this credential.")
            .because("audience.allowed", policy::audience_facts(asked, allowed))
    };
    let stands = |value: &str| {
        let listed = if list.is_empty() { value == usual } else { list.contains(value) };
        let reached = holder.is_none() || minter.audience.is_empty() || minter.audience.contains(value);
        listed && reached
    };
    let wanted =
        if asked.is_empty() { AudienceSet::of([usual]) } else { AudienceSet::of(asked.iter().map(String::as_str)) };
    let wanted = wanted.map_err(|_| refused())?;
    if !wanted.is_empty() && wanted.iter().all(stands) { Ok(wanted) } else { Err(refused()) }
}

/// Seconds: what the caller named, refused beyond any bound; else what is usual, within all bounds.
fn lifetime(
    ctx: &Context,
    minter: &Minter<'_>,
    holder: Option<&ClientEntry>,
    provider: &Provider,
    (named, usual): (Option<i64>, Option<i64>),
) -> Result<i64, Refusal> {
    let now = ctx.now.seconds();
    let bounds = [
        ("provider", Some(provider.ttls.max)),
        ("credential", minter.max_ttl),
        ("client", holder.and_then(ClientEntry::max_ttl)),
        ("end of the credential", minter.ends_at.map(|end| end - now)),
    ];
    let of_each = bounds.into_iter().filter_map(|(whose, bound)| bound.map(|bound| (bound, whose)));
    let (least, bound_by) = of_each.min_by_key(|(bound, _)| *bound).unwrap_or((provider.ttls.max, "provider"));
    let longest = least.max(1);
    match named {
        Some(named) if (1..=longest).contains(&named) => Ok(named),
        Some(asked) => {
            let detail = format!("must be from 1 to {longest} seconds here");
            let values = facts![
                asked: Fact::Number(asked),
                longest: Fact::Number(longest),
                bound_by: Fact::word(bound_by),
            ];
            Err(Refusal::field_called("/ttl_seconds", "The lifetime", detail).because("lifetime.bounded", values))
        }
        None => {
            let own = holder.map_or(minter.usual_ttl, ClientEntry::access_token_ttl);
            let usual = usual.or(own).unwrap_or(provider.ttls.access_token);
            Ok(usual.min(longest).max(1))
        }
    }
}
