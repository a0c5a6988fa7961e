//! One after the other for the same thing, so that what the first has learnt is not computed again by all
//! who came at the same moment.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};
use tokio::time::timeout_at;

use crate::domain::Fault;

/// What a turn leaves to those that wait for theirs.
type Learnt = Option<String>;
type Cell = AsyncMutex<Learnt>;

/// By a digest of what it is about; there is nothing of what nobody waits for.
#[derive(Default)]
pub struct Turns(Mutex<HashMap<[u8; 32], Weak<Cell>>>);

/// The turn of one; ends when it is dropped.
pub struct Turn<'a> {
    turns: &'a Turns,
    about: [u8; 32],
    cell: Arc<Cell>,
    learnt: Option<OwnedMutexGuard<Learnt>>,
}

impl Turns {
    /// Waits until the deadline at most, [`Fault::Busy`] after that.
    pub async fn take(&self, about: [u8; 32], deadline: Instant) -> Result<Turn<'_>, Fault> {
        let cell = self.cell(about);
        // From here on a caller that goes away leaves nothing behind.
        let mut turn = Turn { turns: self, about, cell: Arc::clone(&cell), learnt: None };
        let learnt = timeout_at(deadline.into(), cell.lock_owned()).await;
        turn.learnt = Some(learnt.map_err(|_| Fault::busy("too many check the same secret"))?);
        Ok(turn)
    }

    fn cell(&self, about: [u8; 32]) -> Arc<Cell> {
        let mut cells = self.lock();
        let known = cells.get(&about).and_then(Weak::upgrade);
        known.unwrap_or_else(|| {
            let cell = Arc::new(Cell::default());
            cells.insert(about, Arc::downgrade(&cell));
            cell
        })
    }

    /// Every change is complete before anything can panic.
    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], Weak<Cell>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn<'_> {
    /// What the one before has left.
    pub fn learnt(&self) -> Option<&str> {
        self.learnt.as_ref()?.as_deref()
    }

    pub fn leave(&mut self, learnt: String) {
        if let Some(cell) = &mut self.learnt {
            **cell = Some(learnt);
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.learnt = None;
        let mut cells = self.turns.lock();
        // Ours is the only one left: nobody can get another while the map is locked.
        if let Entry::Occupied(entry) = cells.entry(self.about)
            && Arc::strong_count(&self.cell) == 1
            && entry.get().as_ptr() == Arc::as_ptr(&self.cell)
        {
            entry.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::clock::deadline_in;

    #[test]
    fn who_waits_finds_what_was_learnt_and_nothing_is_left_at_the_end() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(one_learns_for_the_next());
    }

    async fn one_learns_for_the_next() {
        let turns = Turns::default();
        let soon = || deadline_in(Duration::from_secs(20));
        let mut first = turns.take([1; 32], soon()).await.unwrap();
        let second = turns.take([1; 32], soon());
        let third = turns.take([1; 32], deadline_in(Duration::ZERO)).await;
        assert!(matches!(third.err(), Some(Fault::Busy { .. })));
        assert!(turns.take([2; 32], soon()).await.unwrap().learnt().is_none());
        let learns = async {
            tokio::task::yield_now().await;
            first.leave("it fits".to_owned());
            drop(first);
        };
        let (second, ()) = futures_util::future::join(second, learns).await;
        assert_eq!(second.unwrap().learnt(), Some("it fits"));
        assert!(turns.lock().is_empty());
        assert!(turns.take([1; 32], soon()).await.unwrap().learnt().is_none());
    }
}
