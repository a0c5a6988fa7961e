//! `surfaces`: which wire dialects answer, for which provider, on which host.

use crate::config::section::{Rules, Slips, section};
use crate::domain::id::is_slug;
use crate::domain::provider_domain::without_port;

section! {
    /// One section for each wire dialect.
    Surfaces {}
    sections {
        /// Run:ai.
        runai: Surface,
        /// Deepgram.
        deepgram: Surface,
        /// UseGrant.
        usegrant: Surface,
        /// VocalStack.
        vocalstack: Surface,
        /// Endorsed.
        endorsed: Surface,
    }
}

section! {
    /// One wire dialect.
    Surface {
        /// Whether it answers.
        enabled: bool = true,
        /// The provider it serves at the root, by slug.
        provider: String = "default".to_owned(),
        /// The one host name it answers on, whatever the port; with a port only there. Not given: any.
        host: Option<String> = None,
    }
}

impl Rules for Surfaces {}

impl Surfaces {
    /// The host names that surfaces are bound to, without a port.
    pub fn hosts(&self) -> Vec<String> {
        let Self { runai, deepgram, usegrant, vocalstack, endorsed } = self;
        let bound =
            [runai, deepgram, usegrant, vocalstack, endorsed].into_iter().filter_map(|surface| surface.host.as_deref());
        bound.map(|host| without_port(host).to_owned()).collect()
    }
}

impl Rules for Surface {
    fn validate(&self, slips: &mut Slips<'_>) {
        slips.unless(
            is_slug(&self.provider),
            "provider",
            "must be the slug of a provider: lower-case letters, digits and hyphens",
        );
        let is_host = |host: &str| {
            let allowed = |byte: u8| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b':' | b'[' | b']')
            };
            host.bytes().all(allowed)
        };
        slips.unless(
            self.host.as_deref().is_none_or(is_host),
            "host",
            "must be a host name in lower case, with a port if need be, such as runai.example.com",
        );
    }
}
