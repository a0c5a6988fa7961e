//! What every call of `/admin/v1` has in common: it can be tried, it is made once, lists are narrowed and
//! ordered, and of two changes to one thing one is told that it came second.

mod bound;
pub mod cases;
mod contents;
mod held;
mod list_bounds;
mod lists;
mod named;
mod once;
mod principals;
mod races;
mod tried;
mod versions;
