//! The keys that others publish: fetched when they are first needed, kept as long as their server
//! says within bounds, and used on for a day when it cannot be reached.
//!
//! For each place there is at most one fetch at a time, and it goes on when its caller stops
//! waiting. A `kid` that is not known asks for the keys anew, at most every ten seconds, and is
//! waited for two seconds; whoever brings a known one waits for nobody.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};
use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::timeout_at;

use crate::crypto::{ClientKeys, JwksFlaw};
use crate::domain::clock::monotonic;
use crate::domain::{FairLanes, Lane, Owner};
use crate::upstream::certificates::Certificates;
use crate::upstream::fetch::{FetchFlaw, Fetched, Fetcher};

const LEAST_AGE: Duration = Duration::from_secs(60);
const LARGEST_AGE: Duration = Duration::from_secs(24 * 3600);
/// Where the server says nothing.
const USUAL_AGE: Duration = Duration::from_secs(3600);
/// Keys of a server that is away are used for so long after they were fetched.
const STALE_FOR: Duration = LARGEST_AGE;
/// Between two fetches from one place that nothing but an unknown key or a failure asks for.
const PAUSE: Duration = Duration::from_secs(10);
/// An unknown key, and keys whose time is over, are waited for so long.
const PATIENCE: Duration = Duration::from_secs(2);
/// Places that are remembered; the one that was not asked for the longest goes first.
const MAX_PLACES: usize = 1000;
/// Fetches that are under way at once, and callers that wait to begin one; half of both may be one owner's.
const FETCHES: usize = 32;
const FETCHES_WAITING: usize = 256;

/// Where keys are published.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum KeySource {
    /// A JWK Set at this URL.
    Url(String),
    /// What the metadata of this issuer names (OIDC Discovery §4).
    Issuer(String),
}

/// Keys, and which servers they were had from.
#[derive(Debug)]
pub struct FetchedKeys {
    pub keys: ClientKeys,
    /// One for each call that was made for them.
    servers: Vec<Certificates>,
}

impl FetchedKeys {
    /// Keys that nobody was asked for.
    pub fn given(keys: ClientKeys) -> Self {
        Self { keys, servers: Vec::new() }
    }

    /// Whether every server that was asked for them proved itself with a certificate that has one of
    /// these fingerprints (lower-case hexadecimal): the one that says where the keys are, too.
    pub fn come_by(&self, fingerprints: &[String]) -> bool {
        !self.servers.is_empty() && self.servers.iter().all(|server| server.have_one_of(fingerprints))
    }
}

/// Why there are no keys. For the log and for administrators.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeysFlaw {
    #[error("the keys could not be fetched: {0}")]
    Fetch(FetchFlaw),
    #[error("the issuer's metadata could not be fetched: {0}")]
    Discovery(FetchFlaw),
    #[error("the issuer's metadata is not a JSON object with issuer and jwks_uri")]
    Metadata,
    #[error("the issuer's metadata names another issuer")]
    OtherIssuer,
    #[error("what was fetched is no usable JWK Set: {0}")]
    Jwks(JwksFlaw),
    #[error("the keys did not come in time")]
    Late,
}

/// The keys of others; cheap to clone.
#[derive(Clone)]
pub struct PublishedKeys(Arc<Inner>);

struct Inner {
    fetcher: Fetcher,
    lanes: FairLanes,
    places: Mutex<HashMap<KeySource, Arc<Place>>>,
}

struct Place {
    source: KeySource,
    state: Mutex<State>,
    /// Counts the fetches that have ended.
    ended: watch::Sender<u64>,
}

struct State {
    known: Option<Known>,
    /// The last fetch that failed, and when.
    failed: Option<(Instant, KeysFlaw)>,
    /// When the last fetch began.
    tried: Option<Instant>,
    under_way: bool,
    used: Instant,
}

struct Known {
    keys: Arc<FetchedKeys>,
    fetched: Instant,
    max_age: Duration,
}

/// What the state says to somebody who needs a key.
#[derive(Debug)]
enum Advice {
    Take(Arc<FetchedKeys>),
    Refuse(KeysFlaw),
    /// Fetch, or wait for the fetch that is under way; after so long make do with what there is.
    Wait {
        begin: bool,
        at_most: Option<Duration>,
    },
}

impl State {
    fn new(now: Instant) -> Self {
        Self { known: None, failed: None, tried: None, under_way: false, used: now }
    }

    fn usable(&self, now: Instant) -> Option<&Known> {
        self.known.as_ref().filter(|known| now < known.fetched + known.max_age.max(STALE_FOR))
    }

    /// `kid` and `alg` of the signature that is to be checked.
    fn advise(&self, kid: Option<&str>, alg: &str, now: Instant) -> Advice {
        let rested = self.tried.is_none_or(|tried| now >= tried + PAUSE);
        match self.usable(now) {
            Some(known) => {
                let fresh = now < known.fetched + known.max_age;
                let has_it = known.keys.keys.knows(kid, alg);
                let wait = Advice::Wait { begin: !self.under_way, at_most: Some(PATIENCE) };
                match (has_it, fresh) {
                    // A known key waits for nobody's fetch; it begins one when its time is over.
                    (true, true) => Advice::Take(Arc::clone(&known.keys)),
                    (true, false) if rested && !self.under_way => wait,
                    (false, _) if rested || self.under_way => wait,
                    _ => Advice::Take(Arc::clone(&known.keys)),
                }
            }
            None => match &self.failed {
                Some((when, flaw)) if now < *when + PAUSE && !self.under_way => Advice::Refuse(flaw.clone()),
                _ => Advice::Wait { begin: !self.under_way, at_most: None },
            },
        }
    }

    fn ended(&mut self, outcome: Result<Known, KeysFlaw>, now: Instant) {
        self.under_way = false;
        match outcome {
            Ok(known) => {
                self.known = Some(known);
                self.failed = None;
            }
            Err(flaw) => self.failed = Some((now, flaw)),
        }
    }
}

impl PublishedKeys {
    pub fn new(fetcher: Fetcher) -> Self {
        Self(Arc::new(Inner {
            fetcher,
            lanes: FairLanes::new(FETCHES, FETCHES_WAITING),
            places: Mutex::new(HashMap::new()),
        }))
    }

    /// Keys that can check a signature with this `kid` and algorithm, or the ones there are: the
    /// check itself says whether a fitting one is among them. A fetch counts against the share of `owner`.
    pub async fn keys(
        &self,
        owner: &Owner,
        source: &KeySource,
        kid: Option<&str>,
        alg: &str,
        deadline: Instant,
    ) -> Result<Arc<FetchedKeys>, KeysFlaw> {
        let place = self.place(source);
        let (advice, mut ended) = {
            let mut state = place.state();
            let now = monotonic();
            state.used = now;
            // Subscribed before the fetch can end.
            (state.advise(kid, alg, now), place.ended.subscribe())
        };
        let (begin, at_most) = match advice {
            Advice::Take(keys) => return Ok(keys),
            Advice::Refuse(flaw) => return Err(flaw),
            Advice::Wait { begin, at_most } => (begin, at_most),
        };
        let until = at_most.map_or(deadline, |patience| deadline.min(monotonic() + patience));
        if begin {
            // Another owner may begin the fetch first: nobody waits for the lanes of others.
            let lane = pin!(self.0.lanes.lane(owner));
            let ended = pin!(ended.changed());
            match timeout_at(until.into(), select(lane, ended)).await {
                Ok(Either::Left((Ok(lane), _))) => self.fetch_aside(&place, lane),
                Ok(Either::Right(_)) => return place.outcome(true),
                Ok(Either::Left((Err(_), _))) | Err(_) => return place.outcome(false),
            }
        }
        let in_time = timeout_at(until.into(), ended.changed()).await.is_ok();
        place.outcome(in_time)
    }

    /// On a task of its own: the fetch ends although its caller may not wait for it. The lane goes along.
    fn fetch_aside(&self, place: &Arc<Place>, lane: Lane) {
        if !place.begins() {
            return;
        }
        let under_way = UnderWay { place: Arc::clone(place), outcome: None };
        let fetcher = self.0.fetcher.of(lane.owner().clone());
        tokio::spawn(async move {
            let (mut under_way, _lane) = (under_way, lane);
            let outcome = fetch(&fetcher, &under_way.place.source).await;
            if let Err(flaw) = &outcome {
                log::warn!("keys of {:?}: {flaw}", under_way.place.source);
            }
            under_way.outcome = Some(outcome);
        });
    }

    fn place(&self, source: &KeySource) -> Arc<Place> {
        let mut places = self.0.places.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = places.get(source) {
            return Arc::clone(place);
        }
        if places.len() >= MAX_PLACES {
            let oldest = places.values().min_by_key(|place| place.state().used).map(|place| place.source.clone());
            if let Some(oldest) = oldest {
                places.remove(&oldest);
            }
        }
        let state = Mutex::new(State::new(monotonic()));
        let place = Arc::new(Place { source: source.clone(), state, ended: watch::Sender::new(0) });
        places.insert(source.clone(), Arc::clone(&place));
        place
    }
}

impl Place {
    /// `false`: a fetch is under way already.
    fn begins(&self) -> bool {
        let mut state = self.state();
        state.tried = Some(monotonic());
        !std::mem::replace(&mut state.under_way, true)
    }

    /// The keys there are; else, if a fetch has ended, why it failed.
    fn outcome(&self, ended: bool) -> Result<Arc<FetchedKeys>, KeysFlaw> {
        let state = self.state();
        match (state.usable(monotonic()), &state.failed) {
            (Some(known), _) => Ok(Arc::clone(&known.keys)),
            (None, Some((_, flaw))) if ended => Err(flaw.clone()),
            (None, _) => Err(KeysFlaw::Late),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A fetch that is under way. Its end is told however it ends, also with the runtime around it.
struct UnderWay {
    place: Arc<Place>,
    outcome: Option<Result<Known, KeysFlaw>>,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let outcome = self.outcome.take().unwrap_or(Err(KeysFlaw::Late));
        self.place.state().ended(outcome, monotonic());
        self.place.ended.send_modify(|count| *count += 1);
    }
}

#[derive(Deserialize)]
struct WireMetadata {
    issuer: String,
    jwks_uri: String,
}

async fn fetch(fetcher: &Fetcher, source: &KeySource) -> Result<Known, KeysFlaw> {
    let mut servers = Vec::with_capacity(2);
    let Fetched { body, max_age, certificates } = match source {
        KeySource::Url(url) => fetcher.get_noting(url).await.map_err(KeysFlaw::Fetch)?,
        KeySource::Issuer(issuer) => {
            let place = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
            let found = fetcher.get_noting(&place).await.map_err(KeysFlaw::Discovery)?;
            let named: WireMetadata = serde_json::from_slice(&found.body).map_err(|_| KeysFlaw::Metadata)?;
            // OIDC Discovery §4.3: or one server could speak for another.
            if named.issuer != *issuer {
                return Err(KeysFlaw::OtherIssuer);
            }
            servers.push(found.certificates);
            fetcher.get_noting(&named.jwks_uri).await.map_err(KeysFlaw::Fetch)?
        }
    };
    servers.push(certificates);
    let keys = ClientKeys::parse_published(&body).map_err(KeysFlaw::Jwks)?;
    let max_age = max_age.unwrap_or(USUAL_AGE).clamp(LEAST_AGE, LARGEST_AGE);
    Ok(Known { keys: Arc::new(FetchedKeys { keys, servers }), fetched: monotonic(), max_age })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KID: Option<&str> = Some("k");

    fn known(fetched: Instant, max_age: u64) -> Known {
        let jwks = br#"{"keys":[{"kty":"EC","crv":"P-256","kid":"k",
            "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;
        let keys = Arc::new(FetchedKeys::given(ClientKeys::parse_published(jwks).unwrap()));
        Known { keys, fetched, max_age: Duration::from_secs(max_age) }
    }

    fn taken(advice: &Advice) -> bool {
        matches!(advice, Advice::Take(_))
    }

    fn begins(advice: &Advice) -> bool {
        matches!(advice, Advice::Wait { begin: true, .. })
    }

    fn waits(advice: &Advice) -> bool {
        matches!(advice, Advice::Wait { begin: false, .. })
    }

    #[test]
    fn a_known_key_waits_for_nobody_and_an_unknown_one_asks_at_most_every_ten_seconds() {
        let start = monotonic();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut state = State { known: Some(known(start, 600)), tried: Some(start), ..State::new(start) };
        assert!(taken(&state.advise(KID, "ES256", at(599))));
        assert!(taken(&state.advise(Some("new"), "ES256", at(9))), "asked for just now");
        assert!(begins(&state.advise(Some("new"), "ES256", at(10))));
        assert!(begins(&state.advise(KID, "RS256", at(10))), "a key of another algorithm is another key");
        (state.under_way, state.tried) = (true, Some(at(10)));
        assert!(waits(&state.advise(Some("new"), "ES256", at(11))), "joins the fetch");
        assert!(taken(&state.advise(KID, "ES256", at(11))));
        // The keys' time is over: one begins, the others go on with what there is.
        assert!(taken(&state.advise(KID, "ES256", at(601))));
        state.under_way = false;
        assert!(begins(&state.advise(KID, "ES256", at(601))));
    }

    #[test]
    fn keys_of_a_server_that_is_away_are_used_for_a_day() {
        let start = monotonic();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut state = State { known: Some(known(start, 600)), tried: Some(start), ..State::new(start) };
        state.tried = Some(at(700));
        state.ended(Err(KeysFlaw::Late), at(701));
        assert!(taken(&state.advise(KID, "ES256", at(702))), "the next try is not yet due");
        assert!(begins(&state.advise(KID, "ES256", at(711))));
        assert!(taken(&state.advise(KID, "ES256", at(702))));
        assert!(state.usable(at(86_399)).is_some());
        assert!(state.usable(at(86_400)).is_none());
    }

    #[test]
    fn a_failure_is_remembered_for_ten_seconds() {
        let start = monotonic();
        let mut state = State::new(start);
        assert!(begins(&state.advise(KID, "ES256", start)));
        state.ended(Err(KeysFlaw::Metadata), start);
        assert!(matches!(state.advise(KID, "ES256", start), Advice::Refuse(KeysFlaw::Metadata)));
        assert!(begins(&state.advise(KID, "ES256", start + PAUSE)));
    }
}
