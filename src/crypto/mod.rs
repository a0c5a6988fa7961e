//! Secrets, digests, signatures and seals. This room makes credentials and tokens and says whether
//! a presented one is genuine; it knows no database, no request and no clock of its own.
//!
//! What lies at rest is protected in two steps: the master key seals the *data keys*
//! ([`data_keys`]), and the data keys seal private signing keys and opaque tokens ([`seal`],
//! [`opaque`]) and key the digests of random secrets ([`digests`]). Nothing is derived from the
//! master key, so changing it rewrites a few rows and invalidates no token.
//!
//! A token is written by [`jwt`] (the claims) and [`signer`] (the signature) and read back by
//! [`verify`]; a client's own signature is judged by [`assertion`] with the keys it registered
//! ([`client_keys`]), a token of another issuer by [`foreign`]. Expected failures (junk, a wrong
//! signature) are values; a
//! [`crate::domain::Fault`] means that a key or a primitive failed.

mod access_claims;
pub mod assertion;
pub mod claims_request;
pub mod client_keys;
pub mod credential;
pub mod data_keys;
pub mod digests;
pub mod foreign;
pub mod hashes;
pub mod id_hint;
mod jose;
pub mod jwk;
pub mod jwt;
pub mod kept_answer;
pub mod opaque;
pub mod passwords;
pub mod random;
pub mod refresh;
pub mod seal;
pub mod signer;
pub mod verify;
pub mod webhook;

pub use assertion::{AssertionFlaw, assertion_client_id, assertion_key, verify_assertion};
pub use client_keys::ClientKeys;
pub use data_keys::{DataKeys, MasterKey};
pub use digests::Peppers;
pub use foreign::{ForeignFlaw, read_foreign, verify_foreign};
pub use id_hint::{IdHint, read_id_hint};
pub use jwk::JwksFlaw;
pub use passwords::Passwords;
pub use random::Random;
pub use refresh::RefreshKeys;
pub use seal::Sealer;
pub use signer::SigningKey;
pub use verify::{VerifyingKey, verify_access};
