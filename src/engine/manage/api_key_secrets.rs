//! The secrets of an API key: several side by side, each shown once. The key itself, its id and so the
//! subject of its tokens, stays. Who may change a key may change its secrets.

use secrecy::{ExposeSecret, SecretString};

use crate::crypto::credential;
use crate::domain::api_key::ApiKeySecret;
use crate::domain::client::MAX_LIVE_SECRETS;
use crate::domain::id::is_uuid_shaped;
use crate::domain::secret::{SecretKind, hint_of};
use crate::domain::{ApiKey, Context, Decision, Failed, Fault, Refusal, Role, SecretId};
use crate::engine::Engine;
use crate::engine::manage::api_keys::{digest_of, last_owner, unknown_key};
use crate::engine::manage::client_secrets::SecretRotation;
use crate::engine::manage::{Actor, conflict};
use crate::store::api_keys::KeyDigest;
use crate::store::{ChangedTable, Tx, api_key_secrets, api_keys};

/// A secret to be stored, with its text for the one time it is shown.
pub struct NewKeySecret {
    pub row: ApiKeySecret,
    pub text: SecretString,
}

/// What becomes of the others when a secret is added.
#[derive(Clone, Copy)]
enum Others {
    Stay,
    EndBy(i64),
    EndNow,
}

impl Engine {
    pub async fn list_api_key_secrets(
        &self,
        ctx: &Context,
        actor: &Actor,
        key: &str,
    ) -> Result<Vec<ApiKeySecret>, Failed> {
        actor.require(Role::Admin)?;
        let key = self.visible_api_key(ctx, actor, key).await?;
        Ok(self.0.db.read(ctx.deadline, move |conn| api_key_secrets::list(conn, &key.id)).await?)
    }

    /// Adds a secret beside the others. `expires_at`: epoch seconds.
    pub async fn create_api_key_secret(
        &self,
        ctx: &Context,
        actor: &Actor,
        key: &str,
        expires_at: Option<i64>,
    ) -> Result<NewKeySecret, Failed> {
        let key = self.reachable_api_key(ctx, actor, key).await?;
        SecretRotation { overlap: 0, expires_at }.check(ctx.now.seconds())?;
        self.add_key_secret(ctx, actor, key, ("api_key_secret.created", expires_at, Others::Stay)).await
    }

    /// Makes a new secret and gives all others an end: after the overlap, or at once if that is 0.
    pub async fn rotate_api_key_secrets(
        &self,
        ctx: &Context,
        actor: &Actor,
        key: &str,
        rotation: SecretRotation,
    ) -> Result<NewKeySecret, Failed> {
        let key = self.reachable_api_key(ctx, actor, key).await?;
        rotation.check(ctx.now.seconds())?;
        let SecretRotation { overlap, expires_at } = rotation;
        let others = if overlap == 0 { Others::EndNow } else { Others::EndBy(ctx.now.seconds() + overlap) };
        self.add_key_secret(ctx, actor, key, ("api_key_secret.rotated", expires_at, others)).await
    }

    async fn add_key_secret(
        &self,
        ctx: &Context,
        actor: &Actor,
        key: ApiKey,
        (action, expires_at, others): (&'static str, Option<i64>, Others),
    ) -> Result<NewKeySecret, Failed> {
        let text = credential::generate(SecretKind::ApiKey, &self.0.random);
        let digest = digest_of(self.secrets().peppers.digest(text.expose_secret()))?;
        let row = ApiKeySecret {
            id: self.0.random.uuid_v7(ctx.now).into(),
            hint: hint_of(text.expose_secret()),
            created_at: ctx.now.seconds(),
            expires_at,
            last_used_at: None,
            revoked_at: None,
        };
        let (secret, now, cached) = (row.clone(), ctx.now.seconds(), digest.digest);
        self.change_key_secrets(ctx, actor, key, (action, row.id.clone()), move |tx, key| {
            let ends_others = !matches!(others, Others::Stay);
            if ends_others && expires_at.is_some() && is_last_lasting(tx, key, None, now)? {
                return Ok(Decision::Refuse(last_owner()));
            }
            insert_and_end(tx, key, &secret, &digest, others, now)
        })
        .await?;
        self.0.caches.digests.invalidate(&cached);
        Ok(NewKeySecret { row, text })
    }

    /// Ends one secret; the tokens that the key minted live on. The last one goes with the key only.
    pub async fn revoke_api_key_secret(
        &self,
        ctx: &Context,
        actor: &Actor,
        key: &str,
        secret: &SecretId,
    ) -> Result<(), Failed> {
        let key = self.reachable_api_key(ctx, actor, key).await?;
        if !is_uuid_shaped(secret.as_str()) {
            return Err(unknown_secret().into());
        }
        let (id, now) = (secret.clone(), ctx.now.seconds());
        self.change_key_secrets(ctx, actor, key, ("api_key_secret.revoked", secret.clone()), move |tx, key| {
            if is_last_lasting(tx, key, Some(&id), now)? {
                return Ok(Decision::Refuse(last_owner()));
            }
            if !api_keys::lock(tx, &key.id)? {
                return Ok(Decision::Refuse(unknown_key()));
            }
            let live = api_key_secrets::live(tx, &key.id, now)?;
            if live.len() == 1 && live.iter().all(|secret| secret.id == id) {
                return Ok(Decision::Refuse(last_secret()));
            }
            let revoked = api_key_secrets::revoke(tx, &key.id, &id, now)?;
            Ok(if revoked { Decision::Allow(()) } else { Decision::Refuse(unknown_secret()) })
        })
        .await
    }

    async fn change_key_secrets(
        &self,
        ctx: &Context,
        actor: &Actor,
        key: ApiKey,
        (action, secret): (&'static str, SecretId),
        mut change: impl FnMut(&mut Tx<'_>, &ApiKey) -> Result<Decision<()>, Fault> + Send + 'static,
    ) -> Result<(), Failed> {
        let target = format!("{}/{secret}", key.id);
        let event = self.event(ctx, actor, key.provider.as_ref(), action, &target, &[]);
        let (row, now) = (key.clone(), ctx.now);
        self.commit(ctx, event, move |tx| {
            let decided = change(tx, &row)?;
            if decided == Decision::Allow(()) {
                tx.changed(ChangedTable::ApiKeys, row.id.as_str(), now)?;
            }
            Ok(decided)
        })
        .await?;
        self.0.caches.api_keys.invalidate(&key.id);
        Ok(())
    }
}

fn insert_and_end(
    tx: &mut Tx<'_>,
    key: &ApiKey,
    secret: &ApiKeySecret,
    digest: &KeyDigest,
    others: Others,
    now: i64,
) -> Result<Decision<()>, Fault> {
    if !api_keys::lock(tx, &key.id)? {
        return Ok(Decision::Refuse(unknown_key()));
    }
    // Where the others end at once there is room, however many they are.
    let most = if matches!(others, Others::EndNow) { usize::MAX } else { MAX_LIVE_SECRETS };
    if !api_key_secrets::insert_below(tx, &key.id, secret, digest, most, now)? {
        let detail = format!("The API key has {MAX_LIVE_SECRETS} live secrets already: revoke one first.");
        return Ok(Decision::Refuse(Refusal::invalid_field("", detail)));
    }
    match others {
        Others::Stay => {}
        Others::EndBy(end) => {
            api_key_secrets::end_others_by(tx, &key.id, &secret.id, end)?;
        }
        Others::EndNow => {
            api_key_secrets::revoke_others(tx, &key.id, &secret.id, now)?;
        }
    }
    api_keys::show_hint(tx, &key.id, &secret.hint, now)?;
    Ok(Decision::Allow(()))
}

/// Whether the key would be the last owner to have had a secret that never expires, once that has an end:
/// `ended`, or all it has. Holds the owner keys until the transaction ends.
fn is_last_lasting(tx: &mut Tx<'_>, key: &ApiKey, ended: Option<&SecretId>, now: i64) -> Result<bool, Fault> {
    if key.role < Role::Owner || key.expires_at.is_some() || !api_keys::is_last_lasting_owner(tx, &key.id, now)? {
        return Ok(false);
    }
    let live = api_key_secrets::live(tx, &key.id, now)?;
    let mut lasting = live.iter().filter(|secret| secret.expires_at.is_none());
    Ok(lasting.clone().next().is_some() && lasting.all(|secret| ended.is_none_or(|ended| *ended == secret.id)))
}

fn unknown_secret() -> Refusal {
    Refusal::unknown("There is no such live secret.")
}

fn last_secret() -> Refusal {
    conflict("It is the last live secret of the API key: make another one first, or delete the key.")
}
