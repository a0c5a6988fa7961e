//! One owner's share of what all owners wait for: for each shared thing one owner does its worst, and
//! another owner is served nearly as fast as in quiet times.

mod limits;
mod pools;
