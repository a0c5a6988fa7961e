//! grantd from the outside: the real binary, real sockets, clients that others wrote.

pub mod admin;
mod durability;
mod first_run;
mod neighbours;
mod public_url;
