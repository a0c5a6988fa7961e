//! Exports of the audit trail that are under way on this node: few at once, since each goes through very
//! many rows.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::domain::clock::{deadline_in, monotonic};
use crate::domain::{Refusal, RefusalKind};
use crate::engine::Engine;
use crate::engine::manage::Actor;

/// Exports of one API key at once; those of all keys that are bound to one provider count together.
pub const OF_ONE: usize = 2;
/// Exports of a node at once.
pub const AT_ONCE: usize = 4;
/// An export ends after this long.
pub const LONGEST: Duration = Duration::from_secs(600);
/// Seconds after which one that was refused may try again.
const RETRY_AFTER: u32 = 10;

/// One that is under way.
struct UnderWay {
    caller: String,
    ends: Instant,
}

#[derive(Default)]
pub(in crate::engine) struct Exports(Mutex<(u64, HashMap<u64, UnderWay>)>);

/// The right to one export, for as long as it is held and until it ends.
pub struct ExportTurn {
    exports: Arc<Exports>,
    number: u64,
    pub ends: Instant,
}

impl Drop for ExportTurn {
    fn drop(&mut self) {
        self.exports.0.lock().unwrap_or_else(PoisonError::into_inner).1.remove(&self.number);
    }
}

impl Engine {
    /// A turn for an export of this actor.
    pub fn begin_export(&self, actor: &Actor) -> Result<ExportTurn, Refusal> {
        let caller = actor.bound_to().map_or_else(|| actor.name(), ToString::to_string);
        let (now, ends) = (monotonic(), deadline_in(LONGEST));
        let mut exports = self.0.exports.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (number, under_way) = &mut *exports;
        // Nobody asks for the end of an answer that is not read: it counts until its time is over.
        under_way.retain(|_, export| now < export.ends);
        let of_caller = under_way.values().filter(|export| export.caller == caller).count();
        if of_caller >= OF_ONE || under_way.len() >= AT_ONCE {
            let kind = RefusalKind::RateLimited { retry_after: RETRY_AFTER };
            return Err(Refusal::new(kind, "Too many exports are under way: wait until one of them has ended."));
        }
        *number += 1;
        under_way.insert(*number, UnderWay { caller, ends });
        Ok(ExportTurn { exports: Arc::clone(&self.0.exports), number: *number, ends })
    }
}
