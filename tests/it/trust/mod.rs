//! Trusted issuers: whose tokens are exchanged, for what, and why not.
