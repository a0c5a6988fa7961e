//! The tokens of machines: counted by grant always, and where it is switched on told by audit events, one
//! for each client or API key, grant and minute. No request waits for it; an event is written once its
//! minute is over.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::domain::event::Event;
use crate::domain::{Context, ProviderId, UnixTime};
use crate::engine::Engine;
use crate::engine::counters::IssuedBy;

const MINUTE: i64 = 60;

/// What is counted together.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Tally {
    /// Epoch minutes.
    minute: i64,
    provider: ProviderId,
    /// A client or an API key.
    owner: String,
    grant: IssuedBy,
}

/// Tokens that no event has told of yet.
pub struct Issued {
    tallies: Mutex<HashMap<Tally, u64>>,
    capacity: usize,
}

impl Issued {
    /// `capacity`: tallies that may wait.
    pub fn new(capacity: usize) -> Self {
        Self { tallies: Mutex::default(), capacity }
    }

    /// `false`: there was no room.
    fn add(&self, tally: Tally) -> bool {
        let mut tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        let room = tallies.len() < self.capacity;
        match tallies.get_mut(&tally) {
            Some(count) => *count += 1,
            None if room => drop(tallies.insert(tally, 1)),
            None => return false,
        }
        true
    }

    /// Takes those of minutes before this one.
    fn take_before(&self, minute: i64) -> Vec<(Tally, u64)> {
        let mut tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        tallies.extract_if(|tally, _| tally.minute < minute).collect()
    }
}

impl Engine {
    /// A machine's token was made.
    pub(in crate::engine) fn note_issued(&self, ctx: &Context, provider: &ProviderId, owner: &str, grant: IssuedBy) {
        self.counters().issued_by(grant).add_one();
        if !self.0.options.machine_events {
            return;
        }
        let minute = ctx.now.seconds().div_euclid(MINUTE);
        let tally = Tally { minute, provider: provider.clone(), owner: owner.to_owned(), grant };
        if !self.0.issued.add(tally) {
            self.0.behind.note_dropped();
        }
    }

    /// Hands the tallies of past minutes on to be written; at the end of the process all of them.
    pub(in crate::engine) fn tell_of_issued(&self, now: UnixTime, all: bool) {
        let before = if all { i64::MAX } else { now.seconds().div_euclid(MINUTE) };
        for (tally, count) in self.0.issued.take_before(before) {
            let Tally { minute, provider, owner, grant } = tally;
            self.0.behind.note_event(Event {
                id: self.0.random.uuid_v7(now),
                at: now.millis(),
                provider: Some(provider),
                actor: owner.clone(),
                action: "token.issued",
                target: owner,
                request_id: "background".to_owned(),
                details: format!(
                    "{{\"grant\":\"{}\",\"count\":{count},\"from\":{},\"seconds\":{MINUTE}}}",
                    grant.name(),
                    minute * MINUTE
                ),
            });
        }
    }
}
