//! A client proves itself by a secret. What it costs may tell a stranger nothing: a secret that we have made
//! is compared with what is in memory, and read once more where it is wrong, whether there is such a client
//! or not; one that a person chose costs an Argon2 hash.

use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use crate::crypto::credential;
use crate::domain::clock::monotonic;
use crate::domain::explanation::facts;
use crate::domain::grant::SecretVia;
use crate::domain::id::is_client_id;
use crate::domain::secret::{SecretKind, StoredSecret};
use crate::domain::{ClientId, Context, Failed, Owner, ProviderId};
use crate::engine::Engine;
use crate::engine::authenticate::{Caller, is_usable};
use crate::engine::cache::clients::{ClientEntry, SecretEntry, VerifiedSecret};
use crate::engine::cache::providers::ProviderEntry;
use crate::engine::explain::credentials::{Fit, ended_secret, live_secrets, note_auth_method};

/// A verified chosen secret is remembered this long.
const REMEMBER: Duration = Duration::from_secs(300);

/// What a secret came to, and whose it is if there is a client that may be used.
type Judged = (Option<Arc<ClientEntry>>, Fit);

impl Engine {
    pub(in crate::engine) async fn client_by_secret(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        client_id: ClientId,
        secret: &SecretString,
        via: SecretVia,
    ) -> Result<Caller, Failed> {
        // Which check runs depends on what is presented only, so that its time tells nothing.
        let generated = credential::kind_of(secret.expose_secret()) == Some(SecretKind::ClientSecret);
        let (client, fit) = if generated {
            self.by_generated_secret(ctx, provider, &client_id, secret.expose_secret(), via).await?
        } else {
            let client = self.usable_client(ctx, provider, &client_id).await?;
            let usable = client.as_deref().filter(|client| via.fits(client.auth_method));
            let proven = self.chosen_secret_fits(ctx, (&provider.provider.id, &client_id), usable, secret).await?;
            (client, if proven { Fit::Proven } else { Fit::No })
        };
        fit.note(ctx);
        match client {
            Some(client) if fit == Fit::Proven => Ok(Caller::Client(client)),
            Some(client) if !via.fits(client.auth_method) => {
                note_auth_method(ctx, &client, via.name());
                Err(self.failed_client(ctx, provider, &client_id, "misplaced client secret"))
            }
            Some(client) => {
                if !generated {
                    ctx.trail.failed("client.secret_known", live_secrets(ctx, &client));
                }
                Err(self.failed_client(ctx, provider, &client_id, "wrong, expired or misplaced client secret"))
            }
            None => Err(self.failed_unknown(ctx, &client_id)),
        }
    }

    /// Another node may have made the secret a moment ago, so before one is called wrong its client is read
    /// beside the cache. What is held stays unless the secret proves right, else a stranger could make this
    /// node forget it.
    async fn by_generated_secret(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        client_id: &ClientId,
        secret: &str,
        via: SecretVia,
    ) -> Result<Judged, Failed> {
        let key = (provider.provider.id.clone(), client_id.clone());
        let held = self.0.caches.clients.get(&key);
        if !credential::is_well_formed(SecretKind::ClientSecret, secret) {
            // Mistyped or cut: nobody is asked, whoever it is for.
            ctx.trail.failed("client.secret_formed", facts![]);
            return Ok((held.filter(|client| is_usable(ctx, client)), Fit::No));
        }
        let is_read_now = held.is_none() && !self.0.caches.clients.is_known_absent(&key, monotonic());
        let client = match held {
            Some(held) => Some(held).filter(|client| is_usable(ctx, client)),
            None => self.usable_client(ctx, provider, client_id).await?,
        };
        let judged = self.generated_secret_fits(ctx, client, secret, via);
        if judged.1 == Fit::Proven || !is_client_id(client_id.as_str()) {
            return Ok(judged);
        }
        let about = |secret| self.0.process_pepper.digest_bytes(&format!("{} {client_id} {secret}", key.0));
        let in_vain = [about(""), about(secret)];
        if !is_read_now && self.looks_again(ctx, client_id, &in_vain) {
            let fresh = self.client_beside_cache(ctx, &key).await?.map(Arc::new);
            let fresh = fresh.filter(|client| is_usable(ctx, client));
            let (fresh, fit) = self.generated_secret_fits(ctx, fresh, secret, via);
            if fit == Fit::Proven {
                self.0.caches.clients.invalidate(&key);
                return Ok((fresh, fit));
            }
        }
        // Only now: of two that bring a new secret at once none may be told that the other has looked.
        in_vain.into_iter().for_each(|digest| self.0.caches.wrong_secrets.note(digest, monotonic()));
        Ok(judged)
    }

    /// Whether the database is asked for a secret that is wrong by what this node knows: once a second for
    /// each secret; of those who fail too often once a second for each client. That is as often as an id is
    /// looked for that nobody has, so that the time of a refusal does not tell which ones there are.
    fn looks_again(&self, ctx: &Context, client_id: &ClientId, [client, secret]: &[[u8; 32]; 2]) -> bool {
        let (in_vain, now) = (&self.0.caches.wrong_secrets, monotonic());
        let may_fail = self.0.throttle.check(client_id.as_str(), ctx.client_address, ctx.now).is_ok();
        !in_vain.holds(client, now) || (may_fail && !in_vain.holds(secret, now))
    }

    fn generated_secret_fits(
        &self,
        ctx: &Context,
        client: Option<Arc<ClientEntry>>,
        secret: &str,
        via: SecretVia,
    ) -> Judged {
        let now = ctx.now.seconds();
        let secrets = self.secrets();
        let peppers = &secrets.peppers;
        let Some(usable) = client.as_deref().filter(|client| via.fits(client.auth_method)) else {
            // The same work for a client that does not exist; what it says is not believed.
            let _unused = peppers.matches(&self.0.decoy_secret, secret);
            return (client, Fit::No);
        };
        let mut used: Option<&SecretEntry> = None;
        for entry in &usable.secrets {
            if peppers.matches(&entry.stored, secret) {
                used = Some(entry);
            }
        }
        let live = used.filter(|entry| now < entry.expires_at);
        let fit = match (live, used) {
            (Some(entry), _) => {
                self.note_secret_used(ctx, entry);
                Fit::Proven
            }
            (None, Some(ended)) => Fit::Ended(ended_secret(ended)),
            (None, None) => Fit::Unknown(live_secrets(ctx, usable)),
        };
        (client, fit)
    }

    /// Argon2: remembered for five minutes when right, throttled before it is computed, and computed
    /// once for all who present the same at the same time.
    async fn chosen_secret_fits(
        &self,
        ctx: &Context,
        (provider, client_id): (&ProviderId, &ClientId),
        client: Option<&ClientEntry>,
        secret: &SecretString,
    ) -> Result<bool, Failed> {
        let now = ctx.now.seconds();
        let chosen = client.and_then(|client| {
            let live = client.secrets.iter().filter(|entry| now < entry.expires_at);
            live.filter_map(|entry| match &entry.stored {
                StoredSecret::Argon2(phc) => Some((client, entry, phc)),
                StoredSecret::Digest { .. } => None,
            })
            .next()
        });
        if let Some((client, entry, _)) = chosen
            && self.is_remembered(client, secret)
        {
            self.note_secret_used(ctx, entry);
            return Ok(true);
        }
        self.throttled(ctx, client_id.as_str())?;
        let mut turn = self.0.secret_turns.take(self.same(client_id, secret), ctx.deadline).await?;
        // What happened while others had their turn counts for this one.
        if let Some((client, entry, phc)) = chosen
            && (turn.learnt() == Some(phc.as_str()) || self.is_remembered(client, secret))
        {
            self.remember(client, secret);
            self.note_secret_used(ctx, entry);
            return Ok(true);
        }
        self.throttled(ctx, client_id.as_str())?;
        let phc = chosen.map(|(_, _, phc)| phc.clone());
        let proven = self.0.passwords.verify(&Owner::from(provider), phc, secret.clone(), ctx.deadline).await?;
        if let Some((client, entry, phc)) = chosen.filter(|_| proven) {
            self.remember(client, secret);
            self.note_secret_used(ctx, entry);
            turn.leave(phc.clone());
        }
        Ok(proven)
    }

    /// What two must have in common to be the same check.
    fn same(&self, client_id: &ClientId, secret: &SecretString) -> [u8; 32] {
        let both = SecretString::from(format!("{client_id} {}", secret.expose_secret()));
        self.0.process_pepper.digest_bytes(both.expose_secret())
    }

    fn is_remembered(&self, client: &ClientEntry, secret: &SecretString) -> bool {
        let Ok(verified) = client.verified.lock() else { return false };
        verified.as_ref().is_some_and(|known| {
            monotonic() < known.until && self.0.process_pepper.matches(&known.digest, secret.expose_secret())
        })
    }

    fn remember(&self, client: &ClientEntry, secret: &SecretString) {
        let digest = self.0.process_pepper.digest(secret.expose_secret());
        if let Ok(mut verified) = client.verified.lock() {
            *verified = Some(Box::new(VerifiedSecret { digest, until: monotonic() + REMEMBER }));
        }
    }
}
