//! Known devices: a browser in which somebody has logged in before keeps a sealed note of it, so
//! that strangers who try that account from everywhere do not lock its owner out. It proves nothing
//! else and replaces no password.
//!
//! ```text
//! base64url(seal("<provider id> <user id> <issued at, epoch seconds>"))
//! ```

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};

use crate::domain::{Fault, ProviderId, UnixTime, User, UserId};
use crate::engine::Engine;
use crate::engine::cache::providers::ProviderEntry;

/// Seconds a device stays known: 180 days.
pub const DEVICE_TTL: i64 = 180 * 86_400;
/// What is longer is none of ours.
const MOST_BYTES: usize = 512;
const AAD: &[u8] = b"device";

impl Engine {
    /// What a browser keeps after this person has logged in. A fault if the primitive fails.
    pub fn device_secret(&self, provider: &ProviderEntry, user: &UserId, now: UnixTime) -> Result<SecretString, Fault> {
        let plain = format!("{} {user} {}", provider.provider.id, now.seconds());
        let sealed = self.secrets().browser.seal(AAD, plain.as_bytes(), &self.0.random)?;
        Ok(URL_SAFE_NO_PAD.encode(sealed).into())
    }

    /// Whether this browser has logged in as `user` within 180 days and since the password was last
    /// changed.
    pub(in crate::engine) fn is_known_device(
        &self,
        provider: &ProviderId,
        user: &User,
        device: &SecretString,
        now: UnixTime,
    ) -> bool {
        let issued = self.device_issued_at(provider, &user.id, device.expose_secret());
        // A change within the same second counts as later: better one login more than a device
        // that outlives the password it was earned with.
        let outlived = |at: i64| user.password_changed_at.is_some_and(|changed| changed >= at);
        issued.is_some_and(|at| now.seconds_since(at).is_some_and(|age| age < DEVICE_TTL) && !outlived(at))
    }

    fn device_issued_at(&self, provider: &ProviderId, user: &UserId, device: &str) -> Option<i64> {
        let sealed = URL_SAFE_NO_PAD.decode(device).ok().filter(|_| device.len() <= MOST_BYTES)?;
        let plain = String::from_utf8(self.secrets().browser.open(AAD, &sealed)?).ok()?;
        let [own_provider, own_user, issued_at] = plain.split(' ').collect::<Vec<_>>()[..] else { return None };
        let fits = own_provider == provider.as_str() && own_user == user.as_str();
        issued_at.parse().ok().filter(|_| fits)
    }
}
