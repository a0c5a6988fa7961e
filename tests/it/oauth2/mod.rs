//! The standard endpoints in process, by the numbered lines of what an authorization server must
//! do. Each test names the lines it holds.

mod abuse;
mod assertion;
mod client_authentication;
mod codes;
mod input;
mod introspection;
mod metadata;
mod panics;
mod refresh;
mod revocation;
mod token;
mod transport;
mod userinfo;
mod wire;
mod wrong_secrets;
