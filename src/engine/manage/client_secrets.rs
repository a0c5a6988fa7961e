//! The secrets of a client, several side by side, each shown once.

use secrecy::{ExposeSecret, SecretString};

use crate::crypto::credential;
use crate::domain::client::{ClientSecret, MAX_LIVE_SECRETS};
use crate::domain::id::is_uuid_shaped;
use crate::domain::secret::{MAX_SECRET, MIN_CHOSEN_SECRET, SecretKind, StoredSecret, hint_of};
use crate::domain::{ClientId, Context, Decision, Failed, Fault, Owner, ProviderId, Refusal, Role, SecretId, UnixTime};
use crate::engine::Engine;
use crate::engine::changes::client_change_id;
use crate::engine::manage::Actor;
use crate::store::{ChangedTable, Tx, client_secrets};

/// A secret to be stored, with its text for the one time it is shown.
#[derive(Clone)]
pub struct NewSecret {
    pub row: ClientSecret,
    pub text: SecretString,
}

/// What a new secret is asked to be.
#[derive(Default)]
pub struct SecretDraft {
    /// `None`: one is generated.
    pub chosen: Option<SecretString>,
    /// Epoch seconds.
    pub expires_at: Option<i64>,
}

/// How long the other secrets live on beside a new one, seconds.
pub const DEFAULT_OVERLAP: i64 = 86_400;
/// The longest that anybody may ask for.
pub const MAX_OVERLAP: i64 = 365 * 86_400;

/// A rotation of secrets.
#[derive(Clone, Copy, Debug)]
pub struct SecretRotation {
    /// Seconds for which the others live on; 0: they end at once.
    pub overlap: i64,
    /// When the new one ends, epoch seconds.
    pub expires_at: Option<i64>,
}

impl SecretRotation {
    /// Refuses what cannot be. `now` in epoch seconds.
    pub(in crate::engine) fn check(&self, now: i64) -> Result<(), Refusal> {
        if !(0..=MAX_OVERLAP).contains(&self.overlap) {
            let detail = format!("must be 0 to {MAX_OVERLAP} seconds");
            return Err(Refusal::invalid_field("/overlap_seconds", detail));
        }
        if self.expires_at.is_some_and(|end| end <= now) {
            return Err(Refusal::invalid_field("/expires_at", "must lie in the future"));
        }
        Ok(())
    }
}

impl Engine {
    /// Makes a new secret and gives all others an end: after the overlap, or at once if that is 0.
    pub async fn rotate_client_secrets(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        client_id: &str,
        rotation: SecretRotation,
    ) -> Result<NewSecret, Failed> {
        actor.require(Role::Admin)?;
        let provider = self.managed_provider(ctx, actor, provider).await?;
        let client = self.stored_client(ctx, &provider, client_id).await?;
        if !client.auth_method.uses_secret() {
            let detail = "the client's token_endpoint_auth_method uses no secret";
            return Err(Refusal::invalid_field("/client_secret", detail).into());
        }
        rotation.check(ctx.now.seconds())?;
        let secret = self.generated_secret(ctx, rotation.expires_at);
        let (new, now) = (secret.clone(), ctx.now.seconds());
        let owner = (provider.id.clone(), client.client_id.clone());
        self.change_secrets(ctx, actor, owner, "client_secret.rotated", secret.row.id.clone(), move |tx, owner| {
            let (provider, client) = (&owner.0, &owner.1);
            // Where the others end at once there is room, however many they are.
            let most = if rotation.overlap == 0 { usize::MAX } else { MAX_LIVE_SECRETS };
            if !client_secrets::insert_below(tx, provider, client, &new.row, most, now)? {
                return Ok(Decision::Refuse(too_many()));
            }
            if rotation.overlap == 0 {
                client_secrets::revoke_others(tx, provider, client, &new.row.id, now)?;
            } else {
                client_secrets::end_others_by(tx, provider, client, &new.row.id, now + rotation.overlap)?;
            }
            Ok(Decision::Allow(()))
        })
        .await?;
        Ok(secret)
    }

    /// Adds a secret beside the others.
    pub async fn create_client_secret(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        client_id: &str,
        draft: SecretDraft,
    ) -> Result<NewSecret, Failed> {
        actor.require(Role::Admin)?;
        let provider = self.managed_provider(ctx, actor, provider).await?;
        let client = self.stored_client(ctx, &provider, client_id).await?;
        if !client.auth_method.uses_secret() {
            let detail = "the client's token_endpoint_auth_method uses no secret";
            return Err(Refusal::invalid_field("/client_secret", detail).into());
        }
        let SecretDraft { chosen, expires_at } = draft;
        if expires_at.is_some_and(|end| end <= ctx.now.seconds()) {
            return Err(Refusal::invalid_field("/expires_at", "must lie in the future").into());
        }
        let secret = match chosen {
            Some(text) => self.chosen_secret(ctx, &provider.id, text, expires_at).await?,
            None => self.generated_secret(ctx, expires_at),
        };
        let (row, now) = (secret.clone(), ctx.now);
        let owner = (provider.id.clone(), client.client_id.clone());
        self.change_secrets(ctx, actor, owner, "client_secret.created", secret.row.id.clone(), move |tx, owner| {
            add_secret(tx, &owner.0, &owner.1, &row, now)
        })
        .await?;
        Ok(secret)
    }

    pub async fn list_client_secrets(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        client_id: &str,
    ) -> Result<Vec<ClientSecret>, Failed> {
        actor.require(Role::Member)?;
        let provider = self.managed_provider(ctx, actor, provider).await?;
        let client = self.stored_client(ctx, &provider, client_id).await?;
        let read = move |conn: &mut _| client_secrets::list(conn, &provider.id, &client.client_id);
        Ok(self.0.db.read(ctx.deadline, read).await?)
    }

    /// Ends one secret; the client's tokens live on.
    pub async fn revoke_client_secret(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        client_id: &str,
        secret: &SecretId,
    ) -> Result<(), Failed> {
        actor.require(Role::Admin)?;
        let provider = self.managed_provider(ctx, actor, provider).await?;
        let client = self.stored_client(ctx, &provider, client_id).await?;
        if !is_uuid_shaped(secret.as_str()) {
            return Err(unknown_secret().into());
        }
        let (id, now) = (secret.clone(), ctx.now);
        let owner = (provider.id.clone(), client.client_id.clone());
        self.change_secrets(ctx, actor, owner, "client_secret.revoked", secret.clone(), move |tx, owner| {
            let revoked = client_secrets::revoke(tx, &owner.0, &owner.1, &id, now.seconds())?;
            Ok(if revoked { Decision::Allow(()) } else { Decision::Refuse(unknown_secret()) })
        })
        .await
    }

    async fn change_secrets(
        &self,
        ctx: &Context,
        actor: &Actor,
        owner: (ProviderId, ClientId),
        action: &'static str,
        secret: SecretId,
        mut change: impl FnMut(&mut Tx<'_>, &(ProviderId, ClientId)) -> Result<Decision<()>, Fault> + Send + 'static,
    ) -> Result<(), Failed> {
        let target = format!("{}/{secret}", owner.1);
        let event = self.event(ctx, actor, Some(&owner.0), action, &target, &[]);
        let (row, now) = (owner.clone(), ctx.now);
        self.commit(ctx, event, move |tx| {
            let decided = change(tx, &row)?;
            if decided == Decision::Allow(()) {
                tx.changed(ChangedTable::Clients, &client_change_id(&row.0, &row.1), now)?;
            }
            Ok(decided)
        })
        .await?;
        self.0.caches.clients.invalidate(&owner);
        Ok(())
    }

    pub(in crate::engine) fn generated_secret(&self, ctx: &Context, expires_at: Option<i64>) -> NewSecret {
        let text = credential::generate(SecretKind::ClientSecret, &self.0.random);
        let stored = self.secrets().peppers.digest(text.expose_secret());
        NewSecret::of(self.0.random.uuid_v7(ctx.now).into(), text, stored, expires_at, ctx.now)
    }

    /// A secret that a person or an import chose costs an Argon2 hash from now on.
    pub(in crate::engine) async fn chosen_secret(
        &self,
        ctx: &Context,
        provider: &ProviderId,
        text: SecretString,
        expires_at: Option<i64>,
    ) -> Result<NewSecret, Failed> {
        if let Some(detail) = flaw_of_chosen(text.expose_secret()) {
            return Err(Refusal::invalid_field("/client_secret", detail).into());
        }
        let phc = self.0.passwords.hash(&Owner::from(provider), text.clone(), &self.0.random, ctx.deadline).await?;
        let id = self.0.random.uuid_v7(ctx.now).into();
        Ok(NewSecret::of(id, text, StoredSecret::Argon2(phc), expires_at, ctx.now))
    }
}

impl NewSecret {
    pub(in crate::engine) fn of(
        id: SecretId,
        text: SecretString,
        stored: StoredSecret,
        expires_at: Option<i64>,
        now: UnixTime,
    ) -> Self {
        let row = ClientSecret {
            id,
            stored,
            hint: hint_of(text.expose_secret()),
            created_at: now.seconds(),
            expires_at,
            last_used_at: None,
            revoked_at: None,
        };
        Self { row, text }
    }
}

/// Stores a secret if there is room: eight live ones, of them one chosen. One, because each costs a
/// hash at every wrong try, and then an unknown client would answer sooner than a known one.
pub(in crate::engine) fn add_secret(
    tx: &mut Tx<'_>,
    provider: &ProviderId,
    client: &ClientId,
    secret: &NewSecret,
    now: UnixTime,
) -> Result<Decision<()>, Fault> {
    if client_secrets::insert_below(tx, provider, client, &secret.row, MAX_LIVE_SECRETS, now.seconds())? {
        return Ok(Decision::Allow(()));
    }
    let is_chosen = |secret: &ClientSecret| matches!(secret.stored, StoredSecret::Argon2(_));
    let has_chosen = client_secrets::live(tx, provider, client, now.seconds())?.iter().any(is_chosen);
    if !is_chosen(&secret.row) || !has_chosen {
        return Ok(Decision::Refuse(too_many()));
    }
    let detail = "the client has a chosen secret already: revoke it first, or let one be generated";
    Ok(Decision::Refuse(Refusal::invalid_field("/client_secret", detail)))
}

fn too_many() -> Refusal {
    let detail = format!("the client has {MAX_LIVE_SECRETS} live secrets already: revoke one first");
    Refusal::invalid_field("/client_secret", detail)
}

fn flaw_of_chosen(text: &str) -> Option<String> {
    let length = text.len();
    if !(MIN_CHOSEN_SECRET..=MAX_SECRET).contains(&length) {
        return Some(format!("a chosen secret has {MIN_CHOSEN_SECRET} to {MAX_SECRET} characters"));
    }
    if text.starts_with(SecretKind::ClientSecret.prefix()) {
        return Some(format!("a chosen secret may not begin with {}", SecretKind::ClientSecret.prefix()));
    }
    let printable = text.bytes().all(|byte| matches!(byte, 0x20..=0x7E));
    (!printable).then(|| "a chosen secret is printable ASCII (RFC 6749 appendix A.2)".to_owned())
}

fn unknown_secret() -> Refusal {
    Refusal::unknown("There is no such live secret.")
}
