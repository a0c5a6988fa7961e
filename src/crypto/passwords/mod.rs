//! Argon2id for secrets that a person or an import chose (RFC 9106, PHC strings), in lanes: each
//! lane is one hash at a time on a blocking thread, with one block of memory that is used again.
//! One owner holds at most half of the lanes and of the queue ([`FairLanes`]). Callers beyond the
//! lanes wait until their deadline; beyond the queue the answer is `Busy`. So logins cost at most `lanes` cores and `lanes × memory`. Hashes of other
//! kinds, which an import brought, are checked in the same lanes ([`stored`]).

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Version};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use secrecy::{ExposeSecret, SecretString};

use crate::crypto::random::Random;
use crate::domain::clock::monotonic;
use crate::domain::secret::MAX_SECRET;
use crate::domain::{FairLanes, Fault, Lane, Owner};

mod stored;

use stored::{MOST_ARGON2_WORK, MOST_MEMORY_KIB, Stored};

/// RFC 9106 §3.1 recommends 16 bytes of salt.
const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;
/// An import may cost so many times the server's own hash.
const IMPORT_FACTOR: u64 = 32;
/// A stored hash is checked up to so many times the bound on imports. Some were stored before there
/// was a bound, or under a higher one.
const STORED_FACTOR: u64 = 4;

/// What a hash costs (RFC 9106 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params {
    /// Memory in KiB, at least 8 for each degree of parallelism.
    pub memory_kib: u32,
    pub iterations: u32,
    /// Part of the hash's definition; our lanes compute it on one thread each.
    pub parallelism: u32,
}

impl Default for Params {
    /// The first choice of OWASP's password storage guide: 19 MiB, 2 passes, about 20 ms.
    fn default() -> Self {
        Self { memory_kib: 19_456, iterations: 2, parallelism: 1 }
    }
}

/// The pool. Cheap to clone; clones share lanes and queue.
#[derive(Clone)]
pub struct Passwords(Arc<Pool>);

struct Pool {
    params: argon2::Params,
    /// What one check of an import may cost, in KiB·passes.
    import_cost_max: u64,
    lanes: FairLanes,
    hashed: AtomicU64,
    /// One block of memory a lane, made when the lane is first used.
    arenas: Mutex<Vec<Vec<Block>>>,
}

impl Passwords {
    /// `lanes` hashes at a time, and up to `queue` callers waiting for one; of one owner half of both. A fault if
    /// Argon2 does not accept the parameters. Imports may cost 32 times the server's own hash.
    pub fn new(params: Params, lanes: usize, queue: usize) -> Result<Self, Fault> {
        Self::bounded(params, lanes, queue, 0)
    }

    /// As [`Passwords::new`], with a bound in KiB·passes on what one check of an import may cost.
    /// 0: 32 times the server's own hash, or the default hash where that is dearer: a server with a
    /// cheap hash of its own still takes the usual imports.
    pub fn bounded(params: Params, lanes: usize, queue: usize, import_cost_max: u64) -> Result<Self, Fault> {
        let Params { memory_kib, iterations, parallelism } = params;
        let work = u64::from(memory_kib) * u64::from(iterations);
        if memory_kib > MOST_MEMORY_KIB || work > MOST_ARGON2_WORK {
            return Err(Fault::crypto("Argon2 may use at most 256 MiB, and 4 GiB over all iterations"));
        }
        let usual = Params::default();
        let usual = u64::from(usual.memory_kib) * u64::from(usual.iterations);
        let import_cost_max = if import_cost_max > 0 { import_cost_max } else { IMPORT_FACTOR * work.max(usual) };
        let params = argon2::Params::new(memory_kib, iterations, parallelism, Some(HASH_BYTES))
            .map_err(|why| Fault::crypto(format!("the Argon2 parameters: {why}")))?;
        Ok(Self(Arc::new(Pool {
            params,
            import_cost_max,
            lanes: FairLanes::new(lanes, queue),
            hashed: AtomicU64::new(0),
            arenas: Mutex::new(Vec::new()),
        })))
    }

    /// The PHC string to store. A fault for a secret of more than 500 bytes (the caller refuses that
    /// first), `Busy` if no lane is free in time.
    pub async fn hash(
        &self,
        owner: &Owner,
        secret: SecretString,
        random: &Random,
        deadline: Instant,
    ) -> Result<String, Fault> {
        if secret.expose_secret().len() > MAX_SECRET {
            return Err(Fault::crypto("a secret of more than 500 bytes is not hashed"));
        }
        let salt = random.bytes::<SALT_BYTES>();
        let params = self.0.params.clone();
        self.in_lane(owner, deadline, move |pool| {
            let digest = pool.digest(&secret, &salt, Algorithm::Argon2id, Version::V0x13, &params, HASH_BYTES)?;
            let odd = |why: &dyn fmt::Display| Fault::crypto(format!("writing a PHC string: {why}"));
            Ok(PasswordHash {
                algorithm: Algorithm::Argon2id.ident(),
                version: Some(Version::V0x13.into()),
                params: ParamsString::try_from(&params).map_err(|why| odd(&why))?,
                salt: Some(Salt::new(&salt).map_err(|why| odd(&why))?),
                hash: Some(Output::new(&digest).map_err(|why| odd(&why))?),
            }
            .to_string())
        })
        .await
    }

    /// Whether `secret` is what `phc` was made of. `None` stands for an unknown user or client: it
    /// costs a hash all the same and is false. A secret of more than 500 bytes is false at once,
    /// whoever it is for. A fault if `phc` cannot be read, `Busy` if no lane is free in time.
    pub async fn verify(
        &self,
        owner: &Owner,
        phc: Option<String>,
        secret: SecretString,
        deadline: Instant,
    ) -> Result<bool, Fault> {
        if secret.expose_secret().len() > MAX_SECRET {
            return Ok(false);
        }
        let unusable = |why| Fault::crypto(format!("a stored password hash cannot be used: {why}"));
        let stored = phc.map(|text| Stored::parse(&text).map_err(unusable)).transpose()?;
        // A hash beyond any bound would hold a lane for seconds: it is treated like an unknown user.
        let own = u64::from(self.0.params.m_cost()) * u64::from(self.0.params.t_cost());
        let most = self.0.import_cost_max.max(own).saturating_mul(STORED_FACTOR);
        let stored = stored.filter(|stored| stored.cost() <= most);
        self.in_lane(owner, deadline, move |pool| match stored {
            None => {
                let params = pool.params.clone();
                pool.digest(&secret, &[0; SALT_BYTES], Algorithm::Argon2id, Version::V0x13, &params, HASH_BYTES)?;
                Ok(false)
            }
            Some(Stored::Argon2 { algorithm, version, params, salt, hash }) => {
                let digest = pool.digest(&secret, &salt, algorithm, version, &params, hash.len())?;
                Ok(verify_slices_are_equal(&digest, &hash).is_ok())
            }
            Some(foreign) => {
                pool.hashed.fetch_add(1, Ordering::Relaxed);
                let compared = foreign.foreign(secret.expose_secret().as_bytes());
                Ok(compared.is_some_and(|(digest, hash)| verify_slices_are_equal(&digest, hash).is_ok()))
            }
        })
        .await
    }

    /// Whether a stored hash was made with other parameters than those set now, and should be made
    /// again at the next login. True for one that cannot be read.
    pub fn is_outdated(&self, phc: &str) -> bool {
        let costs = |params: &argon2::Params| (params.m_cost(), params.t_cost(), params.p_cost());
        match Stored::parse(phc) {
            Ok(Stored::Argon2 { algorithm: Algorithm::Argon2id, params, .. }) => {
                costs(&params) != costs(&self.0.params)
            }
            _ => true,
        }
    }

    /// Why a hash cannot be imported, in a few words: it cannot be read, or a check of it would cost
    /// too much. `None`: it can.
    pub fn flaw_of_import(&self, hash: &str) -> Option<String> {
        let cost = match Stored::parse(hash) {
            Ok(stored) => stored.cost(),
            Err(flaw) => return Some(flaw.to_owned()),
        };
        let most = self.0.import_cost_max;
        (cost > most).then(|| {
            format!(
                "a check of it costs {cost} KiB·passes, and passwords.import_cost_max is {most}; import a cheaper hash, \
                 or raise the setting"
            )
        })
    }

    /// How many hashes were computed since the start.
    pub fn hashed(&self) -> u64 {
        self.0.hashed.load(Ordering::Relaxed)
    }

    /// How many callers wait for a lane.
    pub fn waiting(&self) -> usize {
        self.0.lanes.waiting()
    }

    async fn in_lane<T: Send + 'static>(
        &self,
        owner: &Owner,
        deadline: Instant,
        work: impl FnOnce(&Pool) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let lane = self.0.lane(owner, deadline).await?;
        let pool = Arc::clone(&self.0);
        // The lane goes along: a caller that goes away does not free a lane that still computes.
        let task = tokio::task::spawn_blocking(move || {
            let result = work(&pool);
            drop(lane);
            result
        });
        // A panic in the hash ends here; its arena is dropped and made anew.
        task.await.map_err(|why| Fault::crypto(format!("a password hash did not finish: {why}")))?
    }
}

impl Pool {
    async fn lane(&self, owner: &Owner, deadline: Instant) -> Result<Lane, Fault> {
        if monotonic() >= deadline {
            return Err(Fault::busy("the deadline passed before a password could be hashed"));
        }
        match tokio::time::timeout_at(deadline.into(), self.lanes.lane(owner)).await {
            Ok(Ok(lane)) => Ok(lane),
            Ok(Err(_)) => Err(Fault::busy("the queue for password hashes is full")),
            Err(_) => Err(Fault::busy("no lane for password hashes was free in time")),
        }
    }

    fn digest(
        &self,
        secret: &SecretString,
        salt: &[u8],
        algorithm: Algorithm,
        version: Version,
        params: &argon2::Params,
        length: usize,
    ) -> Result<Vec<u8>, Fault> {
        self.hashed.fetch_add(1, Ordering::Relaxed);
        let own = self.params.block_count();
        let mut arena = self.arenas.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        arena.resize(own.max(params.block_count()), Block::new());
        let mut digest = vec![0; length];
        let argon2 = Argon2::new(algorithm, version, params.clone());
        let done = argon2.hash_password_into_with_memory(
            secret.expose_secret().as_bytes(),
            salt,
            &mut digest,
            arena.as_mut_slice(),
        );
        // An import may have been more expensive; what it took is given back.
        arena.truncate(own);
        arena.shrink_to(own);
        self.arenas.lock().unwrap_or_else(PoisonError::into_inner).push(arena);
        done.map_err(|why| Fault::crypto(format!("Argon2: {why}")))?;
        Ok(digest)
    }
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passwords").field("hashed", &self.hashed()).field("waiting", &self.waiting()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::time::Duration;

    use super::*;
    use crate::domain::clock::deadline_in;

    const OWNER: Owner = Owner::Installation;
    const TINY: Params = Params { memory_kib: 8, iterations: 1, parallelism: 1 };

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    fn soon() -> Instant {
        deadline_in(Duration::from_secs(60))
    }

    fn secret(text: &str) -> SecretString {
        SecretString::from(text)
    }

    #[test]
    fn a_hash_verifies_its_own_secret_only_and_says_what_it_costs() {
        let pool = Passwords::new(Params::default(), 1, 1).unwrap();
        run(async {
            let phc = pool.hash(&OWNER, secret("correct horse"), &Random::seeded(1), soon()).await.unwrap();
            assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
            assert!(pool.verify(&OWNER, Some(phc.clone()), secret("correct horse"), soon()).await.unwrap());
            assert!(!pool.verify(&OWNER, Some(phc.clone()), secret("Correct horse"), soon()).await.unwrap());
            assert!(!pool.is_outdated(&phc));
            assert!(Passwords::new(TINY, 1, 1).unwrap().is_outdated(&phc));
        });
        assert_eq!(pool.0.arenas.lock().unwrap().len(), 1, "one lane has one block of memory");
    }

    #[test]
    fn hashes_of_other_software_and_other_costs_verify_and_give_their_memory_back() {
        // The reference program: `echo -n password | argon2 somesalt -t 2 -m 16 -p 4 -l 24` (phc-winner-argon2 README)
        // gives an Argon2i hash of 64 MiB.
        let printed = "$argon2i$v=19$m=65536,t=2,p=4$c29tZXNhbHQ$RdescudvJCsgt3ub+b+dWRWJTmaaJObG";
        let pool = Passwords::new(TINY, 1, 1).unwrap();
        assert!(run(pool.verify(&OWNER, Some(printed.into()), secret("password"), soon())).unwrap());
        assert!(!run(pool.verify(&OWNER, Some(printed.into()), secret("Password"), soon())).unwrap());
        let arenas = pool.0.arenas.lock().unwrap();
        assert_eq!(arenas.iter().map(Vec::capacity).collect::<Vec<_>>(), [8]);
    }

    #[test]
    fn imported_hashes_are_checked_in_the_lanes_and_are_all_outdated() {
        use stored::tests::{ARGON2, FOREIGN, PASSWORD};
        let pool = Passwords::new(TINY, 1, 1).unwrap();
        for (count, phc) in (1_u64..).zip(FOREIGN.into_iter().chain(ARGON2)) {
            assert_eq!(pool.flaw_of_import(phc), None);
            assert!(run(pool.verify(&OWNER, Some(phc.into()), secret(PASSWORD), soon())).unwrap(), "{phc}");
            assert_eq!(pool.hashed(), count);
            assert_eq!(pool.is_outdated(phc), !phc.starts_with("$argon2id"), "{phc}");
        }
        assert!(pool.flaw_of_import(PASSWORD).is_some());
    }

    #[test]
    fn an_import_is_bounded_by_what_a_check_costs_and_the_usual_ones_pass() {
        use stored::tests::FOREIGN;
        let pool = Passwords::new(Params::default(), 1, 1).unwrap();
        let body = "MDEyMzQ1Njc4OWFiY2RlZg$/UME2lNoSLCbq1rY9M6jCiFREZFuqeV6zm/nihiNuz0";
        let (bcrypt, sha512) = (&FOREIGN[0][7..], FOREIGN[3].rsplit_once("$1000$").unwrap().1);
        let argon2 = |costs: &str| format!("$argon2id$v=19${costs}$c29tZXNhbHQ$RdescudvJCsgt3ub+b+dWRWJTmaaJObG");
        let usual = [
            format!("$2b$10${bcrypt}"),
            format!("$2y$12${bcrypt}"),
            format!("$pbkdf2-sha256$i=600000,l=32${body}"),
            format!("$pbkdf2-sha256$i=1200000,l=32${body}"),
            format!("$pbkdf2-sha512$210000${sha512}"),
            argon2("m=65536,t=3,p=4"),
            argon2("m=7168,t=5,p=1"),
            argon2("m=102400,t=8,p=8"),
            argon2("m=8,t=65,p=1"),
            format!("$scrypt$ln=17,r=8,p=1${body}"),
        ];
        for hash in usual {
            assert_eq!(pool.flaw_of_import(&hash), None, "{hash}");
        }
        let dear = [
            (format!("$scrypt$ln=18,r=8,p=16${body}"), "20971520"),
            (format!("$2b$14${bcrypt}"), "1638400"),
            (format!("$pbkdf2-sha256$i=10000000,l=32${body}"), "5000000"),
            (argon2("m=262144,t=5,p=1"), "1310720"),
        ];
        for (hash, figure) in dear {
            let flaw = pool.flaw_of_import(&hash).unwrap();
            assert!(flaw.contains(figure) && flaw.contains("1245184"), "{flaw}");
        }
        let wide = Passwords::bounded(Params::default(), 1, 1, 2_000_000).unwrap();
        assert_eq!(wide.flaw_of_import(&format!("$2b$14${bcrypt}")), None);
    }

    /// The constants in `stored.rs` are measured by this: seconds that a check takes, for each unit of its cost,
    /// against Argon2.
    #[test]
    fn a_unit_of_cost_takes_about_as_long_whatever_the_kind() {
        use stored::tests::FOREIGN;
        let pool = Passwords::new(Params::default(), 1, 1).unwrap();
        let body = "MDEyMzQ1Njc4OWFiY2RlZg$/UME2lNoSLCbq1rY9M6jCiFREZFuqeV6zm/nihiNuz0";
        let (bcrypt, sha512) = (&FOREIGN[0][7..], FOREIGN[3].rsplit_once("$1000$").unwrap().1);
        let kinds = [
            "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$RdescudvJCsgt3ub+b+dWRWJTmaaJObG".to_owned(),
            format!("$2b$08${bcrypt}"),
            format!("$scrypt$ln=13,r=8,p=1${body}"),
            format!("$pbkdf2-sha256$i=80000,l=32${body}"),
            format!("$pbkdf2-sha512$40000${sha512}"),
        ];
        let mut least = [Duration::MAX; 5];
        for _ in 0..7 {
            for (hash, least) in kinds.iter().zip(&mut least) {
                let began = crate::domain::clock::monotonic();
                run(pool.verify(&OWNER, Some(hash.clone()), secret("wrong"), soon())).unwrap();
                *least = (*least).min(began.elapsed());
            }
        }
        let unit =
            |(hash, took): (&String, Duration)| took.as_secs_f64() / Stored::parse(hash).ok().unwrap().cost() as f64;
        let units: Vec<f64> = kinds.iter().zip(least).map(unit).collect();
        for (hash, unit) in kinds.iter().zip(&units) {
            let ratio = unit / units[0];
            assert!((0.4..2.5).contains(&ratio), "{hash}: {ratio:.2} of Argon2's, {units:?}");
        }
    }

    #[test]
    fn a_low_bound_on_imports_refuses_no_hash_of_ours() {
        run(async {
            let pool = Passwords::bounded(Params { memory_kib: 64, ..TINY }, 1, 1, 1).unwrap();
            let phc = pool.hash(&OWNER, secret("known"), &Random::seeded(1), soon()).await.unwrap();
            assert!(pool.verify(&OWNER, Some(phc), secret("known"), soon()).await.unwrap());
        });
    }

    #[test]
    fn a_stored_hash_beyond_the_bound_is_wrong_at_the_cost_of_an_unknown_user() {
        use stored::tests::{FOREIGN, PASSWORD};
        // FOREIGN[0] is bcrypt of cost 5: 3200 KiB·passes.
        for (most, fits) in [(800, true), (799, false)] {
            let pool = Passwords::bounded(TINY, 1, 1, most).unwrap();
            let right = run(pool.verify(&OWNER, Some(FOREIGN[0].into()), secret(PASSWORD), soon())).unwrap();
            assert_eq!((right, pool.hashed()), (fits, 1), "{most}");
        }
    }

    #[test]
    fn an_unknown_user_costs_a_hash_like_a_known_one() {
        let pool = Passwords::new(TINY, 1, 1).unwrap();
        run(async {
            let phc = pool.hash(&OWNER, secret("known"), &Random::seeded(1), soon()).await.unwrap();
            let before = pool.hashed();
            assert!(!pool.verify(&OWNER, Some(phc), secret("wrong"), soon()).await.unwrap());
            assert_eq!(pool.hashed(), before + 1);
            assert!(!pool.verify(&OWNER, None, secret("wrong"), soon()).await.unwrap());
            assert_eq!(pool.hashed(), before + 2);
        });
    }

    #[test]
    fn an_overlong_secret_is_refused_before_any_hashing() {
        let pool = Passwords::new(TINY, 1, 1).unwrap();
        let long = "x".repeat(MAX_SECRET + 1);
        assert!(!run(pool.verify(&OWNER, None, secret(&long), soon())).unwrap());
        assert!(matches!(run(pool.hash(&OWNER, secret(&long), &Random::seeded(1), soon())), Err(Fault::Crypto(_))));
        assert_eq!(pool.hashed(), 0);
        assert!(run(pool.hash(&OWNER, secret(&long[1..]), &Random::seeded(1), soon())).is_ok());
    }

    #[test]
    fn a_full_queue_and_a_passed_deadline_are_busy() {
        let pool = Passwords::new(TINY, 1, 1).unwrap();
        run(async {
            let lane = pool.0.lanes.try_lane(&OWNER).unwrap();
            let first = tokio::spawn({
                let pool = pool.clone();
                async move { pool.verify(&OWNER, None, SecretString::from("x"), soon()).await }
            });
            while pool.waiting() == 0 {
                tokio::task::yield_now().await;
            }
            let second = pool.verify(&OWNER, None, secret("x"), soon()).await;
            assert!(matches!(second, Err(Fault::Busy { .. })), "the queue holds one");
            assert_eq!(pool.hashed(), 0);
            drop(lane);
            assert!(!first.await.unwrap().unwrap());
            assert_eq!(pool.waiting(), 0);

            let lane = pool.0.lanes.try_lane(&OWNER).unwrap();
            let in_time = deadline_in(Duration::from_millis(5));
            assert!(matches!(pool.verify(&OWNER, None, secret("x"), in_time).await, Err(Fault::Busy { .. })));
            assert_eq!(pool.waiting(), 0, "a place in the queue is given back");
            drop(lane);
            assert!(matches!(pool.verify(&OWNER, None, secret("x"), monotonic()).await, Err(Fault::Busy { .. })));
        });
        assert_eq!(pool.hashed(), 1);
    }

    #[test]
    fn a_panic_is_a_fault_and_the_lane_works_on() {
        let pool = Passwords::new(TINY, 1, 0).unwrap();
        run(async {
            let panicked: Result<(), Fault> = pool.in_lane(&OWNER, soon(), |_| panic!("on purpose")).await;
            assert!(matches!(panicked, Err(Fault::Crypto(_))));
            assert!(!pool.verify(&OWNER, None, secret("x"), soon()).await.unwrap());
        });
    }

    #[test]
    fn junk_in_place_of_a_hash_is_a_fault() {
        let pool = Passwords::new(TINY, 1, 1).unwrap();
        for junk in [
            "",
            "x",
            "$argon2id$",
            "$bcrypt$v=1$m=8$c29tZXNhbHQ$AAAA",
            "$argon2id$v=19$m=4194304,t=1,p=1$c29tZXNhbHQ$RdescudvJCsgt3ub+b+dWRWJTmaaJObG",
        ] {
            assert!(
                matches!(run(pool.verify(&OWNER, Some(junk.into()), secret("x"), soon())), Err(Fault::Crypto(_))),
                "{junk}"
            );
        }
        assert!(Passwords::new(Params { memory_kib: 1, ..TINY }, 1, 1).is_err());
    }
}
