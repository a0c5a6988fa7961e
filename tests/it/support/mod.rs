//! What every test stands on.

pub mod app;
pub mod at_end;
pub mod browser;
pub mod client;
pub mod copies;
pub mod databases;
pub mod dns;
pub mod documented;
pub mod http;
pub mod jose;
pub mod muted_postgres;
pub mod nginx;
pub mod origin;
pub mod people;
pub mod plans;
pub mod postgres;
pub mod process;
pub mod proxy;
pub mod tls;
pub mod wire;
