//! One integration binary; its folders mirror the rooms and surfaces.

#![allow(clippy::unwrap_used, clippy::expect_used)] // helpers too: in a test a panic is the answer

mod laws;
mod process;
mod store;
mod support;
