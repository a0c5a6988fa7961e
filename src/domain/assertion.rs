//! What a client assertion (RFC 7523 §3) claims once its signature has been verified.

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssertionClaims {
    pub issuer: String,
    pub subject: String,
    pub audience: Vec<String>,
    /// `None` when absent: the rules refuse that.
    pub jti: Option<String>,
    /// Epoch seconds, fractions rounded down. `exp` is present and a number, or verification failed.
    pub expires_at: i64,
    pub issued_at: Option<i64>,
    pub not_before: Option<i64>,
}
