//! The store on both databases: laws, races and bad days.

mod abandoned;
mod accounts;
mod connections;
mod durable;
mod grants;
mod index_keys;
mod issuers;
mod lanes;
mod migrations;
mod principal_names;
mod races;
mod rows;
pub mod samples;
mod writer;
