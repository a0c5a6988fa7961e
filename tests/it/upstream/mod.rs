//! Calls to other servers: which addresses are called at all, and how keys are fetched and kept.

mod certificates;
mod fetch;
mod keys;
