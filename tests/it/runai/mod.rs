//! NVIDIA Run:ai on its own wire.

mod app_token;
mod v1;
mod v2;
