//! One integration binary; its folders mirror the rooms and surfaces.

// The lint's own exception covers `#[test]` functions only, not what they call.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod laws;
