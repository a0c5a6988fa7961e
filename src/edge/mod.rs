//! The edge: where HTTP ends. It gives every request a context, reads its body within limits, finds
//! the credentials, guards against panics, and writes one access line. It knows no rule, no grant
//! and no dialect; those are handed to [`exchange`] as a [`Surface`] and a function.

pub mod access_line;
pub mod body;
pub mod call;
pub mod context;
pub mod credentials;
pub mod describe;
pub mod exchange;
pub mod form;
pub mod json;
pub mod list;
pub mod mint_request;
pub mod mount;
pub mod route_tree;
pub mod security_headers;
pub mod surface;

pub use call::{Call, Received};
pub use context::{Edge, JudgedMethod};
pub use describe::OperationDoc;
pub use exchange::exchange;
pub use surface::{Failure, Operation, RouteSpec, Surface};
