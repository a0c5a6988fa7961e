//! One integration binary; its folders mirror the rooms and surfaces.

mod store;
mod support;
