//! Management: one file a resource. Each call goes the same way: may this actor do it, is the input
//! acceptable, then one job with the guarded change, the audit event and the change-log row; after
//! the commit this node forgets what it held.

use std::sync::Arc;

use secrecy::SecretString;

use crate::domain::clock::monotonic;
use crate::domain::event::Event;
use crate::domain::explanation::{Fact, facts};
use crate::domain::grant::ProviderRef;
use crate::domain::id::{is_slug, is_uuid_shaped};
use crate::domain::{
    ApiKey, Context, Decision, Failed, Fault, Owner, Provider, ProviderId, Refusal, RefusalKind, Role, ScopeSet, UserId,
};
use crate::engine::Engine;
use crate::engine::authenticate::{Caller, ENV};
use crate::engine::cache::api_keys::ApiKeyEntry;
use crate::engine::introspect::key_reaches;
use crate::store::{Tx, events, providers};

pub mod api_key_fields;
pub mod api_key_secrets;
pub mod api_keys;
pub mod audit;
pub mod client_draft;
pub mod client_fields;
pub mod client_policy_fields;
pub mod client_secrets;
pub mod clients;
pub mod common_passwords;
pub mod data_keys;
pub mod domains;
pub mod effect;
pub mod fields;
pub mod held;
pub mod named;
pub mod policies;
pub mod provider_fields;
pub mod providers_resource;
pub mod secret_report;
pub mod signing_keys;
pub mod surfaces;
pub mod tenant_providers;
pub mod tenants;
pub mod trusted_issuer_fields;
pub mod trusted_issuers;
pub mod user_fields;
pub mod user_sessions;
pub mod users;
pub mod webhooks;

/// Who manages.
#[derive(Clone)]
pub enum Actor {
    Key(Arc<ApiKeyEntry>),
    /// `GRANTD_ADMIN_KEY`.
    Env,
    /// The command line on the database: whoever may read the database and the master key.
    LocalOperator,
    /// Somebody changes their own account; there is no other thing they manage.
    Person(UserId),
}

/// What a change may expect: `If-Match`, the versions that the caller has seen, any of which will do.
pub type Expected = Option<Vec<i64>>;

impl Actor {
    pub fn role(&self) -> Role {
        match self {
            Self::Key(entry) => entry.key.role,
            Self::Env | Self::LocalOperator => Role::Owner,
            Self::Person(_) => Role::Default,
        }
    }

    /// The key itself, if the actor is one: what it makes may not be stronger.
    pub fn key(&self) -> Option<&ApiKey> {
        match self {
            Self::Key(entry) => Some(&entry.key),
            Self::Env | Self::LocalOperator | Self::Person(_) => None,
        }
    }

    /// The only provider it sees; `None`: all.
    pub fn bound_to(&self) -> Option<&ProviderId> {
        self.key().and_then(|key| key.provider.as_ref())
    }

    /// Whose share of a common pool its calls use.
    pub fn owner(&self) -> Owner {
        match (self.bound_to(), self) {
            (Some(provider), _) => Owner::from(provider),
            (None, Self::Key(entry)) => Owner::Key(entry.key.id.to_string()),
            (None, Self::Person(user)) => Owner::Key(user.to_string()),
            (None, Self::Env | Self::LocalOperator) => Owner::Installation,
        }
    }

    /// As it stands in events.
    pub fn name(&self) -> String {
        match self {
            Self::Key(entry) => entry.key.id.to_string(),
            Self::Env => ENV.to_owned(),
            Self::LocalOperator => "cli".to_owned(),
            Self::Person(user) => user.to_string(),
        }
    }

    /// All that decides what it may do, as text to compare. What a key is called or when it was used is
    /// none of it.
    pub fn reach(&self) -> String {
        let Self::Key(entry) = self else { return self.role().name().to_owned() };
        let ApiKey {
            id: _,
            name: _,
            role,
            provider,
            scope,
            audience,
            max_ttl,
            may_set_subject,
            hint: _,
            expires_at,
            last_used_at: _,
            created_at: _,
            updated_at: _,
            deleted_at: _,
            epoch: _,
            version: _,
        } = &entry.key;
        let provider = provider.as_ref().map(ProviderId::as_str);
        let (scope, audience) = (scope.as_ref().map(ScopeSet::as_str), audience.as_str());
        let role = role.name();
        format!("{role} {provider:?} {scope:?} {audience:?} {max_ttl:?} {may_set_subject} {expires_at:?}")
    }

    /// Refuses below `role`.
    pub fn require(&self, role: Role) -> Result<(), Refusal> {
        if self.role() >= role {
            return Ok(());
        }
        let values = facts![role: Fact::word(self.role().name()), needed: Fact::word(role.name())];
        let hint = format!("This needs an API key of role {}.", role.name());
        Err(Refusal::with_hint(RefusalKind::Forbidden, hint).because("role.reaches", values))
    }

    /// Refuses a key that is bound to a provider: what it asks for concerns all of them.
    pub(in crate::engine) fn require_unbound(&self) -> Result<(), Refusal> {
        if self.bound_to().is_none() {
            return Ok(());
        }
        Err(Refusal::forbidden("This needs an API key that is bound to no provider.").because("role.unbound", facts![]))
    }

    /// What lies at another provider does not exist for a bound key.
    pub(in crate::engine) fn sees(&self, provider: &ProviderId) -> bool {
        self.bound_to().is_none_or(|bound| bound == provider)
    }
}

impl Engine {
    /// The actor behind a bearer credential. Access tokens, ours above all, manage nothing.
    pub async fn actor(&self, ctx: &Context, bearer: Option<&SecretString>) -> Result<Actor, Failed> {
        let Some(bearer) = bearer else {
            return Err(Refusal::new(RefusalKind::MissingCredentials, "An API key is needed.").into());
        };
        let refused = "Access tokens do not work here: management needs an API key.";
        match self.key_and_no_token(ctx, bearer, refused).await? {
            Caller::ApiKey(entry) => Ok(Actor::Key(entry)),
            Caller::Env => Ok(Actor::Env),
            Caller::Client(_) => Err(Caller::not_a_client().into()),
        }
    }

    /// The provider that a management call of a surface is for: that of the path, which must have turned
    /// the surface on, or at the root the key's own, else the surface's.
    pub async fn surface_provider(
        &self,
        ctx: &Context,
        actor: &Actor,
        named: &ProviderRef,
    ) -> Result<Provider, Failed> {
        let own = match actor {
            Actor::Key(entry) if named.key_decides => entry.provider_slug.clone(),
            _ => None,
        };
        let entry = match own {
            Some(slug) => self.provider(ctx, &ProviderRef { slug, must_serve: None, key_decides: true }).await?,
            None => self.provider(ctx, named).await?,
        };
        key_reaches(actor.bound_to(), &entry)?;
        Ok(entry.provider.clone())
    }

    /// The provider with this id or slug, if the actor may see it.
    pub(in crate::engine) async fn managed_provider(
        &self,
        ctx: &Context,
        actor: &Actor,
        id_or_slug: &str,
    ) -> Result<Provider, Failed> {
        // To a bound key the rule is the same whether there is another or none.
        let unknown = || match actor.bound_to() {
            Some(_) => unknown_provider().because("provider.visible", facts![]),
            None => unknown_provider(),
        };
        if !is_uuid_shaped(id_or_slug) && !is_slug(id_or_slug) {
            return Err(unknown().into());
        }
        let wanted = id_or_slug.to_owned();
        let read = move |conn: &mut _| match providers::by_id(conn, &wanted.as_str().into())? {
            Some(provider) => Ok(Some(provider)),
            None => providers::by_slug(conn, &wanted),
        };
        let found = self.0.db.read(ctx.deadline, read).await?;
        let there = found.filter(|provider| provider.deleted_at.is_none()).ok_or_else(unknown)?;
        if !actor.sees(&there.id) {
            return Err(unknown().into());
        }
        ctx.trail.provider(&there.id);
        Ok(there)
    }

    /// The audit event of a change, to be written with it.
    pub(in crate::engine) fn event(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: Option<&ProviderId>,
        action: &'static str,
        target: &str,
        fields: &[&'static str],
    ) -> Event {
        let named: Vec<String> = fields.iter().map(|field| format!("\"{field}\"")).collect();
        Event {
            id: self.0.random.uuid_v7(ctx.now),
            at: ctx.now.millis(),
            provider: provider.cloned(),
            actor: actor.name(),
            action,
            target: target.to_owned(),
            request_id: ctx.request_id.clone(),
            details: format!("{{\"fields\":[{}]}}", named.join(",")),
        }
    }

    /// Runs a management job: change, event and change-log row in one transaction.
    pub(in crate::engine) async fn commit<T, F>(&self, ctx: &Context, event: Event, mut job: F) -> Result<T, Failed>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<Decision<T>, Fault> + Send + 'static,
    {
        self.carry_out(ctx, move |tx| {
            let decided = job(tx)?;
            if matches!(decided, Decision::Allow(_)) {
                events::insert(tx, &event)?;
            }
            Ok(decided)
        })
        .await
    }
}

pub(in crate::engine) fn unknown_provider() -> Refusal {
    Refusal::unknown("There is no such provider.")
}

pub(in crate::engine) fn stale() -> Refusal {
    Refusal::new(RefusalKind::Stale, "It was changed meanwhile; read it again.")
}

/// Refuses a version that the caller did not expect.
fn require_version(expected: &Expected, current: i64) -> Result<(), Refusal> {
    if expected.as_ref().is_none_or(|versions| versions.contains(&current)) { Ok(()) } else { Err(stale()) }
}

/// The one version of those expected that is the current one: what a guarded statement holds on to.
/// `None`: nothing is expected.
fn expected_now(expected: &Expected, current: i64) -> Result<Option<i64>, Refusal> {
    require_version(expected, current).map(|()| expected.as_ref().map(|_| current))
}

/// What a guarded write came to; `None`: the row is not of the version any more that was read.
fn if_current<T>(written: Result<T, Failed>) -> Result<Option<T>, Failed> {
    match written {
        Ok(value) => Ok(Some(value)),
        Err(Failed::Refused(refusal)) if refusal == stale() => Ok(None),
        Err(failed) => Err(failed),
    }
}

/// Reads, judges and writes until no other change came in between. Of those who try at once one gets
/// through, so it ends; the deadline is for a row that is changed without a pause. An attempt judges
/// what the caller expects, on what it reads: who expects a version learns that it is gone.
async fn until_written<T>(
    ctx: &Context,
    mut attempt: impl AsyncFnMut() -> Result<Option<T>, Failed>,
) -> Result<T, Failed> {
    loop {
        if let Some(written) = attempt().await? {
            return Ok(written);
        }
        if monotonic() >= ctx.deadline {
            return Err(Fault::busy("the row was changed without a pause").into());
        }
    }
}

pub(in crate::engine) fn conflict(hint: &'static str) -> Refusal {
    Refusal::new(RefusalKind::Conflict, hint)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use super::*;
    use crate::domain::clock::deadline_in;
    use crate::domain::{Effect, UnixTime};

    fn context(wait: Duration) -> Context {
        Context {
            request_id: "test".to_owned(),
            client_address: Ipv4Addr::LOCALHOST.into(),
            now: UnixTime::from_seconds(0),
            deadline: deadline_in(wait),
            surface: "admin",
            domain: None,
            effect: Effect::Commit,
            trail: crate::domain::Trail::default(),
        }
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    #[test]
    fn a_change_is_tried_until_it_is_written_or_refused() {
        let (ctx, mut tries) = (context(Duration::from_secs(60)), 0);
        let written = until_written(&ctx, async || {
            tries += 1;
            Ok((tries == 100).then_some(tries))
        });
        assert_eq!(block_on(written).unwrap(), 100);
        let refused = block_on(until_written::<()>(&ctx, async || Err(stale().into())));
        assert!(matches!(refused, Err(Failed::Refused(refusal)) if refusal == stale()));
    }

    #[test]
    fn after_the_deadline_it_is_a_busy_server_and_no_stale_version() {
        let (ctx, mut tries) = (context(Duration::ZERO), 0);
        let given_up = block_on(until_written::<()>(&ctx, async || {
            tries += 1;
            Ok(None)
        }));
        assert!(matches!(given_up, Err(Failed::Fault(Fault::Busy { retry_after: 1, .. }))));
        assert_eq!(tries, 1);
    }
}
