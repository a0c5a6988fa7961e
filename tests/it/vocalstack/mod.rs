//! VocalStack on its own wire.

mod generate_token;
