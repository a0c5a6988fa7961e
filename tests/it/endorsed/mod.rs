//! Endorsed on its own wire.

mod tokens;
