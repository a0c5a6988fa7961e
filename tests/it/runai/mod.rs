//! NVIDIA Run:ai on its own wire.
