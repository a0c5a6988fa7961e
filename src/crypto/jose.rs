//! What reading any compact JWS has in common (RFC 7515 §7.1, RFC 8725): cut it in three, read the
//! header strictly, check the signature, and only then look at the claims. jsonwebtoken does the
//! signature; which algorithm and key it uses is decided here, never by the token.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde::de::{IgnoredAny, SeqAccess, Visitor};

/// Longest token that is looked at, bytes.
pub const MAX_TOKEN: usize = 16 * 1024;

/// A compact JWS, cut at its two dots.
pub struct Compact<'a> {
    /// `header.payload`
    pub message: &'a str,
    pub header: &'a str,
    pub payload: &'a str,
    pub signature: &'a str,
}

impl<'a> Compact<'a> {
    /// `None` unless there are exactly two dots, a signature, and no more than [`MAX_TOKEN`] bytes.
    pub fn cut(jwt: &'a str) -> Option<Self> {
        if jwt.len() > MAX_TOKEN {
            return None;
        }
        let (message, signature) = jwt.rsplit_once('.')?;
        let (header, payload) = message.split_once('.')?;
        let fits = !payload.contains('.') && !signature.is_empty();
        fits.then_some(Self { message, header, payload, signature })
    }

    /// Whether `key` made the signature with `alg`. A key of another family is just a no.
    pub fn is_signed_by(&self, key: &DecodingKey, alg: Algorithm) -> bool {
        jsonwebtoken::crypto::verify(self.signature, self.message.as_bytes(), key, alg).unwrap_or(false)
    }
}

/// Strict: no padding, no stray trailing bits, so that one value has one spelling.
pub fn decode(segment: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(segment).ok()
}

/// The header members that decide anything. `jwk`, `jku`, `x5u` and `x5c` are not among them: a key
/// that comes with the token proves nothing (RFC 8725 §3.10). A member named twice is refused by
/// the derive (RFC 7515 §4).
#[derive(Deserialize)]
pub struct Header<'a> {
    #[serde(borrow)]
    pub alg: Cow<'a, str>,
    #[serde(borrow, default)]
    pub typ: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub kid: Option<Cow<'a, str>>,
    /// We understand no extension, so its mere presence is a refusal (RFC 7515 §4.1.11).
    #[serde(default)]
    crit: Present,
}

impl<'a> Header<'a> {
    pub fn read(json: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }

    pub fn has_critical(&self) -> bool {
        self.crit.0
    }
}

/// Whether a member is there at all, whatever its value (`null` counts).
#[derive(Default)]
pub struct Present(pub bool);

impl<'de> Deserialize<'de> for Present {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self(true))
    }
}

/// `aud`: one string or an array of strings (RFC 7519 §4.1.3).
pub struct OneOrMany<'a> {
    pub values: Vec<Cow<'a, str>>,
    pub is_array: bool,
}

impl<'de: 'a, 'a> Deserialize<'de> for OneOrMany<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Values<'a>(PhantomData<&'a ()>);

        impl<'de: 'a, 'a> Visitor<'de> for Values<'a> {
            type Value = OneOrMany<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an array of strings")
            }

            fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
                Ok(OneOrMany { values: vec![Cow::Borrowed(value)], is_array: false })
            }

            fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
                Ok(OneOrMany { values: vec![Cow::Owned(value.to_owned())], is_array: false })
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = items.next_element::<Cow<'de, str>>()? {
                    values.push(value);
                }
                Ok(OneOrMany { values, is_array: true })
            }
        }

        deserializer.deserialize_any(Values(PhantomData))
    }
}
