//! grantd from the outside: the real binary, real sockets, clients that others wrote.

mod admin;
mod first_run;
mod public_url;
