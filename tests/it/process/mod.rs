//! grantd from the outside: the real binary, real sockets, clients that others wrote.

pub mod admin;
mod browser;
mod browser_token;
mod clients;
mod command_line;
mod declared;
mod domains;
mod durability;
mod first_run;
mod foreign_issuer;
mod gateway;
mod gateway_examples;
mod key_drills;
mod limits;
mod lost_answer;
mod neighbours;
mod one_time;
mod public_url;
mod rekey;
mod remote_command;
mod resource_commands;
mod shell;
mod strict_clients;
mod token_surfaces;
mod trust_command;
mod usegrant;
mod users;
