//! What webhooks are sent, and how it is signed: as the Standard Webhooks specification says (HMAC-SHA-256
//! over `id.timestamp.body`, `v1,<base64>`, secrets as `whsec_<base64>`).

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::IgnoredAny;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::crypto::{Random, Sealer};
use crate::domain::event::RecordedEvent;
use crate::domain::{Fault, WebhookId};

const PREFIX: &str = "whsec_";

/// A fresh secret of 32 random bytes.
pub fn new_secret(random: &Random) -> SecretString {
    format!("{PREFIX}{}", STANDARD.encode(random.bytes::<32>())).into()
}

/// Sealed for the row of this webhook and no other.
pub fn seal_secret(
    sealer: &Sealer,
    webhook: &WebhookId,
    secret: &SecretString,
    random: &Random,
) -> Result<Vec<u8>, Fault> {
    sealer.seal(&bound_to(webhook), secret.expose_secret().as_bytes(), random)
}

/// A fault if the row was not sealed for this webhook.
pub fn open_secret(sealer: &Sealer, webhook: &WebhookId, sealed: &[u8]) -> Result<SecretString, Fault> {
    let opened = sealer.open(&bound_to(webhook), sealed).and_then(|bytes| String::from_utf8(bytes).ok());
    opened
        .map(SecretString::from)
        .ok_or_else(|| Fault::crypto(format!("the secret of webhook {webhook} does not open")))
}

fn bound_to(webhook: &WebhookId) -> Vec<u8> {
    format!("grantd webhook\n{webhook}").into_bytes()
}

/// The value of `webhook-signature`: one signature a secret, separated by spaces. `timestamp` in epoch
/// seconds.
pub fn signatures(secrets: &[SecretString], id: &str, timestamp: i64, body: &str) -> Result<String, Fault> {
    let sign = |secret: &SecretString| {
        let digits = secret.expose_secret().strip_prefix(PREFIX).unwrap_or_default();
        let key = STANDARD.decode(digits).map_err(|_| Fault::crypto("a webhook's secret is none"))?;
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &key));
        context.update(format!("{id}.{timestamp}.").as_bytes());
        context.update(body.as_bytes());
        Ok(format!("v1,{}", STANDARD.encode(context.sign())))
    };
    Ok(secrets.iter().map(sign).collect::<Result<Vec<_>, Fault>>()?.join(" "))
}

#[derive(Serialize)]
struct Envelope<'a> {
    r#type: &'a str,
    timestamp: &'a str,
}

/// The event as `GET /admin/v1/events/{id}` shows it, without its last member, `details`.
#[derive(Serialize)]
struct Data<'a> {
    id: &'a str,
    at: &'a str,
    provider: Option<&'a str>,
    actor: &'a str,
    action: &'a str,
    target: &'a str,
    request_id: &'a str,
}

/// The body that tells of an event: `{"type", "timestamp", "data"}`.
pub fn message(event: &RecordedEvent) -> Result<String, Fault> {
    let RecordedEvent { id, at, provider: _, provider_slug, actor, action, target, request_id, details } = event;
    // `details` is JSON text of the row and goes into the message as it is. serde_json's RawValue would do
    // that, but its feature makes every reader of JSON take a magic member of an object for JSON text.
    serde_json::from_str::<IgnoredAny>(details).map_err(Fault::crypto)?;
    let at = rfc3339(*at);
    let provider = provider_slug.as_deref();
    let data = Data { id, at: &at, provider, actor, action, target, request_id };
    let data = with_member(&data, "details", details.trim_ascii())?;
    with_member(&Envelope { r#type: action, timestamp: &at }, "data", &data)
}

/// The JSON of an object that has members, with one more: `name`, whose value is this JSON text.
fn with_member(object: &impl Serialize, name: &'static str, value: &str) -> Result<String, Fault> {
    let text = serde_json::to_string(object).map_err(Fault::crypto)?;
    Ok(format!("{},\"{name}\":{value}}}", text.strip_suffix('}').unwrap_or(&text)))
}

/// Epoch milliseconds as RFC 3339 in UTC, always with three digits of a second.
pub fn rfc3339(millis: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp(millis.div_euclid(1000)).ok();
    let text = time.and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_default();
    format!("{}.{:03}Z", text.trim_end_matches('Z'), millis.rem_euclid(1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_as_the_specification_prints_it() {
        // From the test vectors of the published libraries.
        let secret = SecretString::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let body = r#"{"test": 2432232314}"#;
        let signed =
            signatures(std::slice::from_ref(&secret), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body).unwrap();
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let two = signatures(&[secret.clone(), secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body).unwrap();
        assert_eq!(two, format!("{signed} {signed}"));
    }

    #[test]
    fn a_secret_opens_for_its_own_webhook_only() {
        let random = Random::seeded(1);
        let sealer = crate::crypto::seal::tests::sealer(1, &random);
        let (own, other, secret) = (WebhookId::from("a"), WebhookId::from("b"), new_secret(&random));
        let sealed = seal_secret(&sealer, &own, &secret, &random).unwrap();
        assert_eq!(open_secret(&sealer, &own, &sealed).unwrap().expose_secret(), secret.expose_secret());
        assert!(open_secret(&sealer, &other, &sealed).is_err());
    }

    #[test]
    fn times_carry_milliseconds() {
        assert_eq!(rfc3339(1_800_000_000_007), "2027-01-15T08:00:00.007Z");
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000Z");
    }
}
