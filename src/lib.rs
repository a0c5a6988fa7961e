//! grantd: one grant engine, many wire dialects.
//!
//! A request enters by a dialect, becomes a `GrantRequest`, passes the engine and leaves in the
//! dialect's own form. `docs/ARCHITECTURE.md` walks through one request; the layer test holds the
//! rooms apart.

pub mod domain;
pub mod store;
