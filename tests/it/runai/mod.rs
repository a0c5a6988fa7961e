//! NVIDIA Run:ai on its own wire.

mod app_token;
mod people;
mod v1;
mod v2;
