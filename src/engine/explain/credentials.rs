//! What is said of credentials, for `explain`: their ids, hints and ends, never themselves.

use crate::domain::Context;
use crate::domain::explanation::{Fact, Facts, facts};
use crate::engine::cache::api_keys::ApiKeyEntry;
use crate::engine::cache::clients::{ClientEntry, SecretEntry};

/// What a presented client secret came to.
#[derive(PartialEq)]
pub enum Fit {
    Proven,
    /// It was the client's.
    Ended(Facts),
    /// None of the client's, with the number of those that live.
    Unknown(usize),
    /// Nothing is to be said of it.
    No,
}

impl Fit {
    /// For `explain`.
    pub fn note(&self, ctx: &Context) {
        match self {
            Self::Ended(facts) => ctx.trail.failed("client.secret_live", facts.clone()),
            Self::Unknown(live) => {
                let live = i64::try_from(*live).unwrap_or(i64::MAX);
                ctx.trail.failed("client.secret_known", facts![live: Fact::Number(live)]);
            }
            Self::Proven | Self::No => {}
        }
    }
}

/// An API key that exists: who asks, and at which provider, for `explain`.
pub fn note_key(ctx: &Context, entry: &ApiKeyEntry) {
    ctx.trail.client(&entry.key.id.as_str().into());
    if let Some(provider) = &entry.key.provider {
        ctx.trail.provider(provider);
    }
}

pub fn ended_key(entry: &ApiKeyEntry) -> Facts {
    let key = &entry.key;
    let ended_at = [key.expires_at, key.deleted_at].into_iter().flatten().min().unwrap_or_default();
    facts![api_key: Fact::text(key.id.as_str()), hint: Fact::text(&key.hint), ended_at: Fact::Time(ended_at)]
}

pub fn ended_secret(secret: &SecretEntry) -> Facts {
    facts![
        secret: Fact::text(&secret.id_text()),
        hint: Fact::text(secret.hint()),
        ended_at: Fact::Time(secret.expires_at),
        because: Fact::word(if secret.is_revoked { "it was revoked" } else { "it expired" }),
    ]
}

pub fn note_auth_method(ctx: &Context, client: &ClientEntry, used: &'static str) {
    let registered = Fact::word(client.auth_method.name());
    ctx.trail.failed("client.auth_method", facts![registered: registered, used: Fact::word(used)]);
}

/// How many secrets the client has.
pub fn live_secrets(client: &ClientEntry, ctx: &Context) -> usize {
    client.secrets.iter().filter(|entry| ctx.now.seconds() < entry.expires_at).count()
}
