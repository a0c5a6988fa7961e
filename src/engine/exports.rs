//! Exports of the audit trail that are under way on this node: few at once, since each goes through very
//! many rows. One API key has half of them at the most; all keys that are bound to one provider count together.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::domain::clock::{deadline_in, monotonic};
use crate::domain::{FairLanes, Lane, Refusal, RefusalKind};
use crate::engine::Engine;
use crate::engine::manage::Actor;

/// Exports of a node at once.
const AT_ONCE: usize = 4;
/// An export ends after this long.
pub const LONGEST: Duration = Duration::from_secs(600);
/// Seconds after which one that was refused may try again.
const RETRY_AFTER: u32 = 10;

/// The lane of an export, as long as it counts.
type Counted = Mutex<Option<Lane>>;

pub(in crate::engine) struct Exports {
    lanes: FairLanes,
    under_way: Mutex<Vec<(Instant, Weak<Counted>)>>,
}

impl Default for Exports {
    fn default() -> Self {
        // An export is refused at once, it does not wait.
        Self { lanes: FairLanes::new(AT_ONCE, 0), under_way: Mutex::default() }
    }
}

impl Exports {
    /// No one notices when a client stops reading its answer: an export counts until its time is over.
    fn end_overdue(&self, now: Instant) {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        under_way.retain(|(ends, counted)| {
            let Some(counted) = counted.upgrade() else { return false };
            if now >= *ends {
                drop(counted.lock().unwrap_or_else(PoisonError::into_inner).take());
            }
            now < *ends
        });
    }
}

/// The right to one export, for as long as it is held and until it ends.
pub struct ExportTurn {
    _counted: Arc<Counted>,
    pub ends: Instant,
}

impl Engine {
    /// A turn for an export of this actor.
    pub fn begin_export(&self, actor: &Actor) -> Result<ExportTurn, Refusal> {
        let exports = &self.0.exports;
        exports.end_overdue(monotonic());
        let Some(lane) = exports.lanes.try_lane(&actor.owner()) else {
            let kind = RefusalKind::RateLimited { retry_after: RETRY_AFTER };
            return Err(Refusal::new(kind, "Too many exports are under way: wait until one of them has ended."));
        };
        let (ends, counted) = (deadline_in(LONGEST), Arc::new(Mutex::new(Some(lane))));
        let mut under_way = exports.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        under_way.push((ends, Arc::downgrade(&counted)));
        Ok(ExportTurn { _counted: counted, ends })
    }
}
