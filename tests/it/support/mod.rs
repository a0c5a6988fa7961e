//! What every test stands on.

mod at_end;
pub mod databases;
mod postgres;
