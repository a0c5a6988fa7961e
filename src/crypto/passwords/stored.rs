//! Password hashes as they lie in the database: Argon2 of ours or of others, and what an import
//! brought along (bcrypt, scrypt, PBKDF2), each with what one check costs ([`Stored::cost`]).
//!
//! ```text
//! $argon2id$v=19$m=19456,t=2,p=1$<salt>$<hash>      PHC string; also argon2i, argon2d
//! $2b$12$<salt and hash>                            bcrypt; also 2a, 2y
//! $scrypt$ln=14,r=8,p=1$<salt>$<hash>               PHC string
//! $pbkdf2-sha256$i=600000,l=32$<salt>$<hash>        PHC string; also pbkdf2-sha512
//! $pbkdf2-sha256$29000$<salt>$<hash>                as passlib writes it, `.` for `+`
//! ```

use std::num::NonZeroU32;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Version};
use aws_lc_rs::pbkdf2;
use base64::Engine as _;
use base64::alphabet::BCRYPT;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD, STANDARD_NO_PAD};

/// 256 MiB of one hash, whatever its kind. What asks for more is refused, not fetched.
pub const MOST_MEMORY_KIB: u32 = 256 * 1024;
/// Memory times passes of the server's own hash, KiB: 4 GiB are a few seconds.
pub const MOST_ARGON2_WORK: u64 = 4 << 20;
/// What one KiB of scrypt's `128·N·r·p` bytes costs, in KiB·passes of Argon2. scrypt fills its
/// memory, reads it again at random, and mixes it with Salsa20/8.
const OF_SCRYPT_KIB: u64 = 5;
/// What one of the `2^cost` rounds of bcrypt costs, in KiB·passes of Argon2.
const OF_BCRYPT_ROUND: u64 = 100;
/// What a thousand rounds of PBKDF2 cost for each block of output, in KiB·passes of Argon2.
const OF_PBKDF2_SHA256: u64 = 500;
const OF_PBKDF2_SHA512: u64 = 1200;
/// Each step doubles the time; 14 is about a second.
const BCRYPT_COSTS: std::ops::RangeInclusive<u32> = 4..=14;
/// Of bcrypt's input; what is longer some software cuts off in silence.
const MOST_BCRYPT_BYTES: usize = 72;
const MOST_PBKDF2_ROUNDS: u32 = 10_000_000;
const MOST_PARALLELISM: u32 = 16;
const HASH_BYTES: std::ops::RangeInclusive<usize> = 16..=64;
const MOST_SALT_BYTES: usize = 64;
/// bcrypt's own alphabet; the last character carries bits that mean nothing.
const BCRYPT_64: GeneralPurpose = GeneralPurpose::new(&BCRYPT, NO_PAD.with_decode_allow_trailing_bits(true));

/// A stored hash, read.
pub enum Stored {
    Argon2 { algorithm: Algorithm, version: Version, params: argon2::Params, salt: Vec<u8>, hash: Vec<u8> },
    Bcrypt { cost: u32, salt: [u8; 16], hash: Vec<u8> },
    Scrypt { params: scrypt::Params, salt: Vec<u8>, hash: Vec<u8> },
    Pbkdf2 { algorithm: pbkdf2::Algorithm, rounds: NonZeroU32, salt: Vec<u8>, hash: Vec<u8> },
}

impl Stored {
    /// Says in a few words what is wrong with a text that cannot be read or costs too much.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let scheme = text.strip_prefix('$').and_then(|rest| rest.split('$').next()).unwrap_or_default();
        match scheme {
            "argon2id" | "argon2i" | "argon2d" => argon2(text),
            "2a" | "2b" | "2y" => bcrypt(text),
            "scrypt" => scrypt(text),
            "pbkdf2-sha256" => pbkdf2(text, pbkdf2::PBKDF2_HMAC_SHA256),
            "pbkdf2-sha512" => pbkdf2(text, pbkdf2::PBKDF2_HMAC_SHA512),
            _ => Err("it is no argon2, bcrypt, scrypt or pbkdf2 hash"),
        }
    }

    /// What one check costs, in KiB·passes of Argon2. One unit for all kinds, so that one bound holds
    /// for them.
    pub fn cost(&self) -> u64 {
        match self {
            Self::Argon2 { params, .. } => u64::from(params.m_cost()) * u64::from(params.t_cost()),
            Self::Bcrypt { cost, .. } => OF_BCRYPT_ROUND << cost,
            Self::Scrypt { params, .. } => {
                let kib = (u64::from(params.r()) << params.log_n()) / 8;
                kib * u64::from(params.p()) * OF_SCRYPT_KIB
            }
            Self::Pbkdf2 { algorithm, rounds, hash, .. } => {
                let is_sha512 = *algorithm == pbkdf2::PBKDF2_HMAC_SHA512;
                let (thousand, block) = if is_sha512 { (OF_PBKDF2_SHA512, 64) } else { (OF_PBKDF2_SHA256, 32) };
                u64::from(rounds.get()) * thousand * hash.len().div_ceil(block) as u64 / 1000
            }
        }
    }

    /// The hash of `secret` on this one's terms, for all but Argon2, and what it is compared with.
    /// `None` for Argon2, which needs memory of the pool. What bcrypt cannot hold is worked on all
    /// the same and gives nothing that compares.
    pub fn foreign(&self, secret: &[u8]) -> Option<(Vec<u8>, &[u8])> {
        match self {
            Self::Argon2 { .. } => None,
            Self::Bcrypt { cost, salt, hash } => {
                let fits = secret.len() <= MOST_BCRYPT_BYTES && !secret.contains(&0);
                let mut input: Vec<u8> = secret.iter().copied().chain([0]).collect();
                input.truncate(MOST_BCRYPT_BYTES);
                let mut digest = bcrypt::bcrypt(*cost, *salt, &input).to_vec();
                // The last of the 24 bytes is never written out.
                digest.truncate(if fits { hash.len() } else { 0 });
                Some((digest, hash))
            }
            Self::Scrypt { params, salt, hash } => {
                let mut digest = vec![0; hash.len()];
                let done = scrypt::scrypt(secret, salt, params, &mut digest);
                Some((if done.is_ok() { digest } else { Vec::new() }, hash))
            }
            Self::Pbkdf2 { algorithm, rounds, salt, hash } => {
                let mut digest = vec![0; hash.len()];
                pbkdf2::derive(*algorithm, *rounds, salt, secret, &mut digest);
                Some((digest, hash))
            }
        }
    }
}

fn argon2(text: &str) -> Result<Stored, &'static str> {
    let parsed = PasswordHash::new(text).map_err(|_| "it is no PHC string")?;
    let algorithm = Algorithm::try_from(parsed.algorithm.as_str()).map_err(|_| "it is no Argon2 hash")?;
    // Without a version field a PHC string means version 16 (0x10).
    let version = parsed.version.map_or(Ok(Version::V0x10), Version::try_from).map_err(|_| "its version is unknown")?;
    let params = argon2::Params::try_from(&parsed).map_err(|_| "its parameters cannot be used")?;
    if params.m_cost() > MOST_MEMORY_KIB {
        return Err("it asks for more than 256 MiB");
    }
    let salt = parsed.salt.ok_or("it has no salt")?;
    let hash = parsed.hash.ok_or("it has no hash")?;
    Ok(Stored::Argon2 { algorithm, version, params, salt: salt.as_ref().to_vec(), hash: hash.as_bytes().to_vec() })
}

fn bcrypt(text: &str) -> Result<Stored, &'static str> {
    const ODD: &str = "it is no complete bcrypt hash";
    let ["", _scheme, cost, body] = text.split('$').collect::<Vec<_>>()[..] else { return Err(ODD) };
    let (salt, hash) = body.split_at_checked(22).ok_or(ODD)?;
    let decoded = |text: &str| BCRYPT_64.decode(text).map_err(|_| ODD);
    let (salt, hash) = (decoded(salt)?.try_into().map_err(|_| ODD)?, decoded(hash)?);
    if hash.len() != 23 || cost.len() != 2 {
        return Err(ODD);
    }
    let cost = cost.parse().ok().filter(|cost| BCRYPT_COSTS.contains(cost));
    Ok(Stored::Bcrypt { cost: cost.ok_or("its cost is not 4 to 14")?, salt, hash })
}

fn scrypt(text: &str) -> Result<Stored, &'static str> {
    const BOUND: &str = "it asks for more than 256 MiB, or its parameters cannot be used";
    let (parameters, salt, hash) = parts(text)?;
    let number = |name: &str| parameter(parameters, name).ok_or("it lacks one of ln, r, p");
    let (log_n, block, lanes) = (number("ln")?, number("r")?, number("p")?);
    // 128 · r · N bytes; the logarithm first, so that nothing overflows.
    let kib = if (1..=24).contains(&log_n) { (u64::from(block) << log_n) / 8 } else { u64::MAX };
    if kib > u64::from(MOST_MEMORY_KIB) || !(1..=MOST_PARALLELISM).contains(&lanes) {
        return Err(BOUND);
    }
    let log_n = u8::try_from(log_n).map_err(|_| BOUND)?;
    let params = scrypt::Params::new(log_n, block, lanes).map_err(|_| BOUND)?;
    Ok(Stored::Scrypt { params, salt, hash })
}

fn pbkdf2(text: &str, algorithm: pbkdf2::Algorithm) -> Result<Stored, &'static str> {
    let (parameters, salt, hash) = parts(text)?;
    let rounds = parameter(parameters, "i").or_else(|| parameters.parse().ok());
    let rounds = rounds.filter(|rounds| *rounds <= MOST_PBKDF2_ROUNDS).and_then(NonZeroU32::new);
    let rounds = rounds.ok_or("its rounds are not 1 to 10 million")?;
    if parameter(parameters, "l").is_some_and(|length| length as usize != hash.len()) {
        return Err("its hash has not the length it states");
    }
    Ok(Stored::Pbkdf2 { algorithm, rounds, salt, hash })
}

/// Parameters, salt and hash of `$<scheme>$<parameters>$<salt>$<hash>`.
fn parts(text: &str) -> Result<(&str, Vec<u8>, Vec<u8>), &'static str> {
    let ["", _scheme, parameters, salt, hash] = text.split('$').collect::<Vec<_>>()[..] else {
        return Err("it is not of the form $scheme$parameters$salt$hash");
    };
    let decoded = |text: &str| STANDARD_NO_PAD.decode(text.replace('.', "+")).map_err(|_| "its base64 cannot be read");
    let (salt, hash) = (decoded(salt)?, decoded(hash)?);
    if salt.len() > MOST_SALT_BYTES || !HASH_BYTES.contains(&hash.len()) {
        return Err("its salt or hash is too short or too long");
    }
    Ok((parameters, salt, hash))
}

/// The number behind `name=` in `a=1,b=2`.
fn parameter(parameters: &str, name: &str) -> Option<u32> {
    let mut pairs = parameters.split(',').filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| *key == name).and_then(|(_, value)| value.parse().ok())
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// What the hashes below were made of, by Python's hashlib, bcrypt 5, passlib 1.7 and
    /// argon2-cffi 25.
    pub const PASSWORD: &str = "correct horse bättery";
    pub const FOREIGN: [&str; 7] = [
        "$2b$05$qKkO.B9vLtfH9xHWlpCTcudjTlMQEDIRXceIhww0HK1kqCTmjd4AK",
        "$2a$05$gl3NQw/mftzb2hwd83egcOsFvFrFwGnl04vWBc9K9qaALbOvruGNO",
        "$pbkdf2-sha256$1000$ZExpDQGgVOp9jxEC4LxX6g$f82k3rnZmH7cu4K.i3PCkEIrZmelzYUJySOssAT5HfM",
        "$pbkdf2-sha512$1000$QUhJCWFMifE.5zxnTCnF2A$aIz1n9dUu6C2WVg7eoEpFtNe1hubgyWtG0hadaEkcveLAwBS0WAaSTqxp.bT1ztkJX8m.4nUtLnHX.zvHP2ysA",
        "$pbkdf2-sha256$i=1000,l=32$MDEyMzQ1Njc4OWFiY2RlZg$nw21jjCi0toqxMwZ0OxAy2+mg3YStWTO2vXd4ERGCGI",
        "$scrypt$ln=8,r=8,p=1$pvQewzhn7P2fs/a+955TSg$MZMVlEC/dewr8Y8BYqSB1mYn4F46cSrLRc7/xXxeN/Y",
        "$scrypt$ln=8,r=8,p=2$MDEyMzQ1Njc4OWFiY2RlZg$/UME2lNoSLCbq1rY9M6jCiFREZFuqeV6zm/nihiNuz0",
    ];
    pub const ARGON2: [&str; 3] = [
        "$argon2i$v=19$m=8,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$Ob53qHrV25rDL7Mc5EHKmKbKGBtsa6+d1HE6VHAOlJo",
        "$argon2d$v=19$m=8,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$xp0vmQhzTtBUyf1YqgTdN9JJ3dZqUfXYR13T3cr4LNs",
        "$argon2id$v=19$m=8,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$6Uhi/iTDsEmtr0NxBU+xhBY2XevDCh7/65vVTkXfRHc",
    ];

    fn fits(stored: &str, secret: &[u8]) -> bool {
        let stored = Stored::parse(stored).unwrap_or_else(|why| panic!("{stored}: {why}"));
        let (digest, hash) = stored.foreign(secret).unwrap();
        digest == hash
    }

    #[test]
    fn hashes_of_other_software_fit_their_own_password_only() {
        for stored in FOREIGN {
            assert!(fits(stored, PASSWORD.as_bytes()), "{stored}");
            assert!(!fits(stored, "Correct horse bättery".as_bytes()), "{stored}");
            assert!(!fits(stored, b""), "{stored}");
        }
        // crypt(3) and jBCrypt's printed vector of the empty password.
        assert!(fits("$2y$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2", b"correct horse"));
        assert!(fits("$2a$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s.", b""));
    }

    #[test]
    fn bcrypt_cuts_nothing_off() {
        let stored = "$2b$04$B3ADfMC1VFWD00H7YgkqAeHVHvcu/eDhNzDS2xoyn9OBPcQhGFana";
        assert!(fits(stored, &[b'x'; 72]));
        assert!(!fits(stored, &[b'x'; 73]));
        let stored = "$2y$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2";
        assert!(!fits(stored, b"correct horse\0correct horse"));
    }

    #[test]
    fn what_cannot_be_read_or_asks_for_too_much_memory_is_refused() {
        let body = "MDEyMzQ1Njc4OWFiY2RlZg$/UME2lNoSLCbq1rY9M6jCiFREZFuqeV6zm/nihiNuz0";
        let bcrypt = &FOREIGN[0][7..];
        let bad = [
            "".to_owned(),
            "correct horse".to_owned(),
            "$1$abc$def".to_owned(),
            format!("$2x$05${bcrypt}"),
            format!("$2b$15${bcrypt}"),
            format!("$2b$03${bcrypt}"),
            format!("$2b$5${bcrypt}"),
            format!("$2b$05${}", &bcrypt[1..]),
            format!("$2b$05${bcrypt}x"),
            format!("$scrypt$ln=19,r=8,p=1${body}"),
            format!("$scrypt$ln=64,r=8,p=1${body}"),
            format!("$scrypt$ln=4294967295,r=8,p=1${body}"),
            format!("$scrypt$ln=8,r=4294967295,p=1${body}"),
            format!("$scrypt$ln=8,r=0,p=1${body}"),
            format!("$scrypt$ln=8,r=8,p=17${body}"),
            format!("$scrypt$ln=8,r=8${body}"),
            format!("$pbkdf2-sha256$i=0${body}"),
            format!("$pbkdf2-sha256$10000001${body}"),
            format!("$pbkdf2-sha256$i=1000,l=31${body}"),
            format!("$pbkdf2-sha256$i=1000${body}$x"),
            format!("$pbkdf2-sha1$1000${body}"),
            "$pbkdf2-sha256$1000$MDEy$AAAA".to_owned(),
            "$argon2id$v=19$m=262145,t=1,p=1$c29tZXNhbHQ$RdescudvJCsgt3ub+b+dWRWJTmaaJObG".to_owned(),
            "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ".to_owned(),
        ];
        for text in bad {
            assert!(Stored::parse(&text).is_err(), "{text}");
        }
        assert!(Stored::parse(&format!("$scrypt$ln=18,r=8,p=1${body}")).is_ok());
        assert!(Stored::parse(&format!("$2b$14${bcrypt}")).is_ok());
    }
}
