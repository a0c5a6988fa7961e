//! What every page of a provider needs: how it looks, and tokens that prove that a form came from
//! our own page in this very browser (OWASP: signed double submit).

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::domain::authorize::Brand;
use crate::domain::grant::ProviderRef;
use crate::domain::secret::StoredSecret;
use crate::domain::{Context, Failed, ProviderId};
use crate::engine::Engine;

impl Engine {
    pub async fn brand(&self, ctx: &Context, provider: &ProviderRef) -> Result<Brand, Failed> {
        let entry = self.provider(ctx, provider).await?;
        let (provider, place) = (&entry.provider, entry.place_of(ctx)?);
        let issuer = Url::parse(&place.issuer).ok();
        let path = issuer.as_ref().map_or("", |url| url.path().trim_end_matches('/'));
        Ok(Brand {
            provider: provider.id.clone(),
            name: provider.name.clone(),
            logo_uri: provider.branding.logo_uri.clone(),
            color: provider.branding.color.clone(),
            is_https: issuer.as_ref().is_some_and(|url| url.scheme() == "https"),
            base_path: path.to_owned(),
        })
    }

    /// The token of a form, bound to the form's name, the cookie's secret and the flow it goes on
    /// with (empty: none). 64 hexadecimal digits behind the id of the key.
    pub fn form_token(&self, provider: &ProviderId, form: &str, cookie: &SecretString, flow: &str) -> String {
        let StoredSecret::Digest { pepper_id, digest } = self.form_digest(provider, form, cookie, flow) else {
            return String::new();
        };
        let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{pepper_id}.{digits}")
    }

    /// Whether the token is that of this form; in constant time.
    pub fn form_token_fits(
        &self,
        provider: &ProviderId,
        form: &str,
        cookie: &SecretString,
        flow: &str,
        token: &str,
    ) -> bool {
        let Some(stored) = read_token(token) else { return false };
        self.secrets().peppers.matches(&stored, &form_text(provider, form, cookie, flow))
    }

    fn form_digest(&self, provider: &ProviderId, form: &str, cookie: &SecretString, flow: &str) -> StoredSecret {
        self.secrets().peppers.digest(&form_text(provider, form, cookie, flow))
    }

    /// A fresh secret for a cookie: 256 random bits.
    pub fn cookie_secret(&self) -> SecretString {
        self.0.random.base62(43).into()
    }
}

fn form_text(provider: &ProviderId, form: &str, cookie: &SecretString, flow: &str) -> String {
    format!("form\n{provider}\n{form}\n{}\n{flow}", cookie.expose_secret())
}

fn read_token(token: &str) -> Option<StoredSecret> {
    let (pepper_id, digits) = token.split_once('.')?;
    if digits.len() != 64 || !digits.is_ascii() {
        return None;
    }
    let mut digest = [0_u8; 32];
    for (index, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digits.get(index * 2..index * 2 + 2)?, 16).ok()?;
    }
    Some(StoredSecret::Digest { pepper_id: pepper_id.to_owned(), digest })
}
