//! grantd: one grant engine, many wire dialects.
//!
//! A request enters by a dialect, becomes a `GrantRequest`, passes the engine and leaves in the
//! dialect's own form. `docs/ARCHITECTURE.md` walks through one request; the layer test holds the
//! rooms apart.

pub mod admin;
pub mod app;
pub mod cli;
pub mod config;
pub mod crypto;
pub mod dialects;
pub mod domain;
pub mod edge;
pub mod engine;
pub mod first_run;
pub mod ops;
pub mod store;
pub mod telemetry;
pub mod upstream;
pub mod web;
