//! What is said of credentials, for `explain`: their ids, hints and ends, never themselves.

use crate::domain::Context;
use crate::domain::explanation::{Fact, Facts, UsedKey, facts};
use crate::engine::cache::api_keys::ApiKeyEntry;
use crate::engine::cache::clients::{ClientEntry, SecretEntry};

/// An API key that exists, for `explain`.
pub fn note_key(ctx: &Context, entry: &ApiKeyEntry) {
    ctx.trail.key(UsedKey { id: entry.key.id.clone(), provider: entry.key.provider.clone() });
}

pub fn ended_key(entry: &ApiKeyEntry) -> Facts {
    let key = &entry.key;
    let ended_at = [key.expires_at, key.deleted_at].into_iter().flatten().min().unwrap_or_default();
    facts![api_key: Fact::text(key.id.as_str()), hint: Fact::text(&key.hint), ended_at: Fact::Time(ended_at)]
}

/// How many secrets the client has.
pub fn live_secrets(ctx: &Context, client: &ClientEntry) -> Facts {
    let live = client.secrets.iter().filter(|entry| ctx.now.seconds() < entry.expires_at).count();
    facts![live: Fact::Number(i64::try_from(live).unwrap_or(i64::MAX))]
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

/// What a presented client secret came to.
#[derive(PartialEq)]
pub(in crate::engine) enum Fit {
    Proven,
    /// It was the client's.
    Ended(Facts),
    /// None of the client's.
    Unknown(Facts),
    /// Nothing is to be said of it.
    No,
}

impl Fit {
    /// For `explain`.
    pub fn note(&self, ctx: &Context) {
        match self {
            Self::Ended(facts) => ctx.trail.failed("client.secret_live", facts.clone()),
            Self::Unknown(facts) => ctx.trail.failed("client.secret_known", facts.clone()),
            Self::Proven | Self::No => {}
        }
    }
}
