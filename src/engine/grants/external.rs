//! A token of a trusted issuer is handed in for one of ours (RFC 8693, RFC 7523 §2.1, and the wires
//! that say no more than the token). What comes of it is a person's token or a client's own, never
//! more than the row, the client and the external token's end allow. Whatever is wrong with the
//! token, the answer is the same; which check failed stands in the log and in a dry run.

use std::sync::Arc;

use secrecy::SecretString;

use crate::domain::client::GrantType;
use crate::domain::external::ClaimValue;
use crate::domain::grant::{Ask, ExternalForm, Granted};
use crate::domain::session::Amr;
use crate::domain::token::{AccessTokenFormat, AccessTyp};
use crate::domain::trust::{MapTo, TrustPurpose, TrustRules};
use crate::domain::{
    AudienceSet, ClientId, Context, ExtraClaims, Failed, PersonGrant, Provider, Refusal, RefusalKind, ScopeSet,
};
use crate::engine::cache::clients::ClientEntry;
use crate::engine::cache::providers::ProviderEntry;
use crate::engine::cache::users::UserEntry;
use crate::engine::counters::IssuedBy;
use crate::engine::grants::person::{NewGrant, Parties, Prepared};
use crate::engine::grants::{Owner, Terms};
use crate::engine::trust::Accepted;
use crate::engine::trust::people::Standing;
use crate::engine::trust::rules::{HandedIn, TOKEN_TYPES};
use crate::engine::{Engine, policy};
use crate::store::clients;

const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const OFFLINE: &str = "offline_access";

/// Who hands the token in, and how.
struct Call<'a> {
    provider: &'a ProviderEntry,
    client: &'a ClientEntry,
    form: &'a ExternalForm,
    ask: &'a Ask,
    /// The answer must be a JWT, whatever the client's format is.
    force_jwt: bool,
}

impl Engine {
    /// Exchanges an external token. The client must have proven itself and have the grant type.
    pub(in crate::engine) async fn external_grant(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        client: &ClientEntry,
        token: &SecretString,
        form: &ExternalForm,
        ask: &Ask,
    ) -> Result<Granted, Failed> {
        let issued = requested(form)?;
        let call = Call { provider, client, form, ask, force_jwt: ask.force_jwt || issued == Some(JWT) };
        let handed = HandedIn {
            provider: Some(provider),
            client: Some(&client.client_id),
            client_subject: Some(client.subject()),
            token_type: token_type(form)?,
            purpose: TrustPurpose::Exchange,
        };
        // Asked for failures only: a signature is checked in microseconds, and a right token is never
        // refused for what others behind the same address have tried.
        let claimed = format!("{}/{}/external", provider.provider.id, client.client_id);
        let accepted = match self.accept_external(ctx, &provider.provider.id, token, handed).await? {
            Ok(accepted) => accepted,
            Err(objection) => {
                // An old token is an everyday slip; a forged one is not.
                if objection.is_forged {
                    self.0.throttle.failed(&claimed, ctx.client_address, ctx.now)?;
                }
                return Err(call.refused(&objection.why));
            }
        };
        let mut granted = match accepted.row.rules.map_to {
            MapTo::User => self.external_person(ctx, &call, &accepted).await?,
            MapTo::Client => self.external_client(ctx, &call, &accepted).await?,
        };
        granted.issued_token_type = issued;
        Ok(granted)
    }

    async fn external_person(&self, ctx: &Context, call: &Call<'_>, accepted: &Accepted) -> Result<Granted, Failed> {
        let rules = &accepted.row.rules;
        let scope = person_scope(call.ask, call.client, rules)?;
        let audience = audience(&call.ask.resources, call.client, &call.provider.provider, rules)?;
        let user = self.external_user(ctx, call, accepted).await?;
        let now = ctx.now.seconds();
        let grant = PersonGrant {
            id: self.0.random.jti(ctx.now),
            provider: call.provider.provider.id.clone(),
            client: call.client.client_id.clone(),
            user: user.user.id.clone(),
            session: None,
            scope: scope.clone(),
            audience: audience.clone(),
            claims: String::new(),
            auth_time: auth_time(accepted, now),
            amr: Amr::default(),
        };
        let new = NewGrant {
            grant,
            nonce: None,
            may_refresh: rules.allow_refresh,
            ends_at: Some(accepted.expires_at),
            max_ttl: rules.max_ttl,
            issued_token_type: None,
            force_jwt: call.force_jwt,
        };
        let parties = Parties { provider: call.provider, client: call.client, user: &user };
        let by = match call.form {
            ExternalForm::JwtBearer => GrantType::JwtBearer,
            ExternalForm::TokenExchange { .. } | ExternalForm::Surface => GrantType::TokenExchange,
        };
        let event = self.event_of_new_grant(ctx, &new.grant, by);
        let Prepared { granted, family } = self.prepare(ctx, parties, new, (scope, audience)).await?;
        self.write_new_grant(ctx, family, event).await?;
        Ok(granted)
    }

    /// Everything that can refuse is asked before the token is spent, and whatever is written for it
    /// comes after.
    async fn external_user(
        &self,
        ctx: &Context,
        call: &Call<'_>,
        accepted: &Accepted,
    ) -> Result<Arc<UserEntry>, Failed> {
        let provider = &call.provider.provider;
        let standing = self.standing(ctx, &provider.id, accepted).await?;
        if let Standing::Nobody(why) = standing {
            return Err(call.refused(why));
        }
        self.use_up(ctx, call, accepted).await?;
        match standing {
            Standing::Linked(user) => Ok(user),
            Standing::SameEmail(user) => match self.link(ctx, accepted, &user).await? {
                true => Ok(user),
                false => Err(call.refused("the subject or the email became another account's meanwhile")),
            },
            Standing::New => {
                let made = self.provision(ctx, provider, accepted).await?;
                let entry = match made {
                    Some(id) => self.user(ctx, &provider.id, &id).await?,
                    None => None,
                };
                let live = entry.filter(|entry| entry.user.is_live());
                live.ok_or_else(|| call.refused("no account could be made for this subject"))
            }
            Standing::Nobody(why) => Err(call.refused(why)),
        }
    }

    /// The token of the client that the subject names: as if that client had asked with its own
    /// credential, within the row.
    async fn external_client(&self, ctx: &Context, call: &Call<'_>, accepted: &Accepted) -> Result<Granted, Failed> {
        let (provider, rules) = (call.provider, &accepted.row.rules);
        let named = self.client_of_subject(ctx, provider, &accepted.subject).await?;
        let usable = named.filter(|client| {
            client.live
                && client.serves(ctx.surface)
                && policy::may_use_grant(client, GrantType::ClientCredentials).is_ok()
        });
        let client = usable.ok_or_else(|| call.refused("the subject names no live client with client_credentials"))?;
        let lifetime = lifetime(accepted, policy::access_token_lifetime(&client, &provider.provider, call.ask), ctx);
        let terms = Terms {
            owner: Owner::of(&client),
            subject: client.subject().to_owned(),
            scope: client_scope(call.ask, &client, rules)?,
            audience: audience(&call.ask.resources, &client, &provider.provider, rules)?,
            lifetime,
            format: if call.force_jwt { AccessTokenFormat::Jwt } else { client.format },
            typ: AccessTyp::AtJwt,
            extra: ExtraClaims::default(),
            own_id_token: false,
            by: IssuedBy::Exchange,
        };
        self.use_up(ctx, call, accepted).await?;
        self.issue(ctx, provider, terms, call.ask).await
    }

    /// By its subject or its id; no name stands for two of them.
    async fn client_of_subject(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        subject: &str,
    ) -> Result<Option<Arc<ClientEntry>>, Failed> {
        let (owner, wanted) = (provider.provider.id.clone(), subject.to_owned());
        let found = self.0.db.read(ctx.deadline, move |conn| clients::id_named(conn, &owner, &wanted)).await?;
        match found {
            Some(id) => Ok(self.client(ctx, &provider.provider.id, &id).await?),
            None => Ok(None),
        }
    }

    async fn use_up(&self, ctx: &Context, call: &Call<'_>, accepted: &Accepted) -> Result<(), Failed> {
        if self.spend_external(ctx, accepted).await? {
            Ok(())
        } else {
            Err(call.refused("replay: the token was used before"))
        }
    }
}

impl Call<'_> {
    /// One answer for every token that is not good enough: RFC 8693 §2.2.2 calls it `invalid_request`,
    /// RFC 7521 §4.1.1 `invalid_grant`.
    fn refused(&self, why: &str) -> Failed {
        let kind = match self.form {
            ExternalForm::TokenExchange { .. } => RefusalKind::MalformedRequest,
            ExternalForm::JwtBearer | ExternalForm::Surface => RefusalKind::InvalidGrant,
        };
        let client: &ClientId = &self.client.client_id;
        Refusal::new(kind, "The external token was not accepted.")
            .about(format!("client {client}: external token: {why}"))
            .into()
    }
}

/// The token types of RFC 8693 that are served.
fn token_type(form: &ExternalForm) -> Result<Option<&str>, Refusal> {
    let ExternalForm::TokenExchange { subject_token_type, requested_token_type: _ } = form else { return Ok(None) };
    if !TOKEN_TYPES.contains(&subject_token_type.as_str()) {
        return Err(Refusal::malformed("subject_token_type must be jwt, access_token or id_token."));
    }
    Ok(Some(subject_token_type))
}

/// What RFC 8693 calls the token that is issued: an access token, or one that must be a JWT.
fn requested(form: &ExternalForm) -> Result<Option<&'static str>, Refusal> {
    let ExternalForm::TokenExchange { subject_token_type: _, requested_token_type } = form else { return Ok(None) };
    match requested_token_type.as_deref() {
        None | Some(ACCESS_TOKEN) => Ok(Some(ACCESS_TOKEN)),
        Some(JWT) => Ok(Some(JWT)),
        Some(_) => Err(Refusal::malformed("requested_token_type can only be access_token or jwt.")),
    }
}

/// What both the row and the client allow.
fn allowed(client: &ClientEntry, rules: &TrustRules, keep: impl Fn(&str) -> bool) -> Result<ScopeSet, Refusal> {
    let row = |name: &str| rules.scope.as_ref().is_none_or(|scope| scope.contains(name));
    let both = client.scope.iter().filter(|name| row(name) && keep(name));
    ScopeSet::of(both).map_err(|_| Refusal::malformed("scope"))
}

fn within(asked: &ScopeSet, allowed: &ScopeSet, client: &ClientEntry) -> Result<ScopeSet, Refusal> {
    match asked.first_outside(allowed) {
        None => Ok(asked.clone()),
        Some(outside) => {
            Err(Refusal::new(RefusalKind::InvalidScope, "This scope cannot be had for the external token.")
                .about(format!("client {}: the row or the client does not have scope {outside:?}", client.client_id))
                .because("scope.allowed", policy::scope_facts(asked, outside, allowed)))
        }
    }
}

/// Nothing asked: nothing, or all that is allowed on a wire without scope. Without refresh tokens
/// `offline_access` means nothing and is left out.
fn person_scope(ask: &Ask, client: &ClientEntry, rules: &TrustRules) -> Result<ScopeSet, Refusal> {
    let keep = |name: &str| rules.allow_refresh || name != OFFLINE;
    let allowed = allowed(client, rules, keep)?;
    match &ask.scope {
        None if ask.scope_of_client => Ok(allowed),
        None => Ok(ScopeSet::default()),
        Some(asked) => {
            let kept = ScopeSet::of(asked.iter().filter(|name| keep(name)));
            within(&kept.map_err(|_| Refusal::malformed("scope"))?, &allowed, client)
        }
    }
}

/// As client_credentials: nothing asked is all that is allowed.
fn client_scope(ask: &Ask, client: &ClientEntry, rules: &TrustRules) -> Result<ScopeSet, Refusal> {
    let allowed = allowed(client, rules, |_| true)?;
    match &ask.scope {
        None => Ok(allowed),
        Some(asked) => within(asked, &allowed, client),
    }
}

/// As the client's own, but within the row's list if it has one: nothing asked is the first of both.
fn audience(
    asked: &[String],
    client: &ClientEntry,
    provider: &Provider,
    rules: &TrustRules,
) -> Result<AudienceSet, Refusal> {
    if rules.audience.is_empty() {
        return policy::audience(asked, client, provider);
    }
    let of_client = |value: &str| client.audience.is_empty() || client.audience.contains(value);
    let invalid = || {
        Refusal::new(RefusalKind::InvalidTarget, "This resource cannot be had for the external token.")
            .about(format!("client {}: resource outside the audience of the row and the client", client.client_id))
            .because("audience.allowed", policy::audience_facts(asked, rules.audience.iter()))
    };
    let allowed = AudienceSet::of(rules.audience.iter().filter(|value| of_client(value))).map_err(|_| invalid())?;
    let wanted = if asked.is_empty() {
        AudienceSet::of(allowed.first())
    } else {
        AudienceSet::of(asked.iter().map(String::as_str))
    };
    let wanted = wanted.map_err(|_| invalid())?;
    let fits = !wanted.is_empty() && wanted.iter().all(|value| allowed.contains(value));
    if fits { Ok(wanted) } else { Err(invalid()) }
}

/// Never beyond the external token's end, which lies ahead.
fn lifetime(accepted: &Accepted, own: i64, ctx: &Context) -> i64 {
    let left = accepted.expires_at.saturating_sub(ctx.now.seconds());
    own.min(left).min(accepted.row.rules.max_ttl.unwrap_or(own)).max(1)
}

/// When the person proved who they are, as the issuer says; else when it made the token.
fn auth_time(accepted: &Accepted, now: i64) -> i64 {
    let said = match accepted.token.claims.get("auth_time") {
        Some(ClaimValue::Plain(number)) => number.parse::<i64>().ok(),
        _ => None,
    };
    said.or(accepted.token.issued_at).unwrap_or(now).clamp(0, now)
}
