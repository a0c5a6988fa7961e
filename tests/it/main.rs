//! One integration binary; its folders mirror the rooms and surfaces.

#![allow(clippy::unwrap_used, clippy::expect_used)] // helpers too: in a test a panic is the answer

mod at_once;
mod authorize;
mod clocks;
mod deepgram;
mod domains;
mod endorsed;
mod events;
mod forward_auth;
mod keys;
mod laws;
mod management;
mod mint;
mod oauth2;
mod openapi;
mod people;
mod process;
mod roles;
mod routing;
mod runai;
mod shares;
mod store;
mod support;
mod surfaces;
mod trust;
mod upstream;
mod usegrant;
mod vocalstack;
mod web;
