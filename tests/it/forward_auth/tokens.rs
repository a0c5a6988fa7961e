//! Minted and one-time tokens.
