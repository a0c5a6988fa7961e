//! Other servers: the keys they publish, and what is told to them. Every call goes through one
//! [`Fetcher`], which decides by the address that is really connected to whether it may be made: a
//! URL that somebody typed into a form must not reach what only this machine can reach. The one other
//! thing that is asked for are TXT records, by DNS. This room knows no database and no request; the engine says which URL belongs to a stored row.

pub mod certificates;
pub mod fetch;
pub mod guard;
pub mod keys;
pub mod txt;

pub use fetch::{FetchFlaw, Fetcher, UpstreamOptions};
pub use guard::Guard;
pub use keys::{FetchedKeys, KeySource, KeysFlaw, PublishedKeys};
pub use txt::{TxtFlaw, TxtOptions, TxtRecords};
