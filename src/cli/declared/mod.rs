//! Configuration as a file: `export` writes what a server has, `apply` brings a server to what a file
//! wants, so that it can live in git. What a field is when the file does not name it stands in
//! [`kinds`]; everything else is calls of the admin API.

mod apply;
mod check;
mod current;
mod document;
mod export;
pub mod kinds;
mod plan;
mod yaml;

pub use apply::Apply;
pub use export::Export;
