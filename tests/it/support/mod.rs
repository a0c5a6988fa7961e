//! What every test stands on.

pub mod at_end;
pub mod databases;
pub mod http;
mod postgres;
pub mod process;
