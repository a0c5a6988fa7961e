//! The standard endpoints in process, by the numbered lines of what an authorization server must
//! do. Each test names the lines it holds.

mod assertion;
mod client_authentication;
mod introspection;
mod metadata;
mod revocation;
mod token;
