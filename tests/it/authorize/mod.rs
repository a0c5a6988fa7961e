//! The authorization endpoint, sessions, consent and logout, through the pages, as a browser without
//! script meets them.

mod consent;
mod isolation;
mod logout;
mod prompts;
mod requests;
mod sessions;
