//! What every test stands on.

pub mod app;
mod at_end;
pub mod databases;
pub mod http;
pub mod jose;
mod postgres;
pub mod wire;
