//! What the engine knows of a request besides what was asked: who sent it from where, and when.
//! There is no header in it.

use std::net::IpAddr;
use std::time::Instant;

use crate::domain::{ServedDomain, Trail, UnixTime};

#[derive(Clone, Debug)]
pub struct Context {
    /// Ours, made at the edge; goes out as `x-request-id`.
    pub request_id: String,
    /// The address the request came from, after trusted proxies were looked through.
    pub client_address: IpAddr,
    /// The wall clock, read once for this request: every lifetime is judged by it.
    pub now: UnixTime,
    /// No waiting beyond this.
    pub deadline: Instant,
    /// The surface that took the call, for logs and events.
    pub surface: &'static str,
    /// The verified domain that the request was sent to; `None`: the public URL.
    pub domain: Option<ServedDomain>,
    pub effect: Effect,
    /// What is gathered for `explain`.
    pub trail: Trail,
}

/// What becomes of the change that a management call makes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Effect {
    #[default]
    Commit,
    /// It is tried and taken back: nothing is left of it.
    DryRun,
    /// It is tried, and waits until the answer is known: both are committed at once.
    WithAnswer,
}
