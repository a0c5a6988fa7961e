//! The top-level keys, and the rules between sections.

use std::net::SocketAddr;
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};

use crate::config::section::{Rules, Slips, section};
use crate::config::{
    Cache, Database, Dns, Events, ForwardAuth, Http, LogFormat, Passwords, PublicUrl, Surfaces, Upstream,
};
use crate::domain::Network;
use crate::domain::secret::{MAX_SECRET, MIN_CHOSEN_SECRET};

section! {
    /// Everything that is decided before the start.
    Settings {
        /// Address and port to listen on. Port 0 picks a free one and logs it.
        listen: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 8080)),
        /// The issuer of provider `default`, byte for byte, without a slash at the end; it may have a path.
        /// Not given: `http://localhost:<listen port>`. http on other hosts than loopback needs `allow_http`.
        public_url: Option<PublicUrl> = None,
        /// Where the embedded database and the master key live; made at the first start.
        data_dir: PathBuf = PathBuf::from("./data"),
        /// `sqlite://<path>` or `postgres://…`. Not given: `sqlite://<data_dir>/grantd.db`.
        database_url: Option<SecretString> = None,
        /// 32 bytes in base64; seals the data keys in the database. Not given: the file `master.key` in `data_dir`,
        /// made at the first start. With PostgreSQL it must be given.
        master_key: Option<SecretString> = None,
        /// An owner API key with this value, 32 to 500 characters, while the process runs with it. It is never
        /// stored, and with it the first start makes no other key.
        admin_key: Option<SecretString> = None,
        /// Addresses and ranges whose `X-Forwarded-For`, `-Proto` and `-Method` are believed. In the environment
        /// separated by commas.
        trusted_proxies: Vec<Network> = Network::LOOPBACK.to_vec(),
        /// What is logged to stderr: a level, or `target=level` pairs separated by commas.
        log: String = "info".to_owned(),
        /// `text` for people, `json` for one JSON object a line.
        log_format: LogFormat = LogFormat::Text,
        /// Address and port of their own for Prometheus metrics. Not given: `/metrics` on the main address, with an
        /// API key.
        metrics_listen: Option<SocketAddr> = None,
        /// Allows http as the scheme of `public_url` on other hosts than loopback.
        allow_http: bool = false,
        /// Seconds for which a node that has lost its database goes on answering what it can. Only 0, refuse at
        /// once, is built.
        degraded_max: u32 = 0,
        /// Revocations that one node holds in memory.
        revocation_max: u32 = 1_000_000,
        /// Milliseconds: a failed login of a person answers no earlier than this after it began, so that its time
        /// tells nothing about the account. 0: at once, which is for tests.
        login_floor: u32 = 400,
        /// Explanations of requests that one node writes to the database in a second, refusals first; all others are
        /// only in its memory. 0: none.
        explain_rate: u32 = 200,
        /// Seconds for which a written explanation is kept.
        explain_keep: u32 = 86_400,
        /// Written explanations that are kept at the most; the oldest go first.
        explain_keep_rows: u32 = 100_000,
        /// KiB of memory for the newest explanations of this node.
        explain_memory_kib: u32 = 8_192,
    }
    sections {
        /// The wire dialects.
        surfaces: Surfaces,
        /// What gateways ask.
        forward_auth: ForwardAuth,
        /// How the database is used.
        database: Database,
        /// The cost of password hashes.
        passwords: Passwords,
        /// The HTTP server.
        http: Http,
        /// Clients, keys and providers in memory.
        cache: Cache,
        /// Calls to other servers.
        upstream: Upstream,
        /// Proof of domains.
        dns: Dns,
        /// The audit events.
        events: Events,
    }
}

impl Settings {
    /// The database's URL: given, or the embedded one in the data directory.
    pub fn database_url(&self) -> SecretString {
        let embedded = || format!("sqlite://{}/grantd.db", self.data_dir.display()).into();
        self.database_url.clone().unwrap_or_else(embedded)
    }

    pub fn uses_postgres(&self) -> bool {
        self.database_url.as_ref().is_some_and(|url| is_postgres(url.expose_secret()))
    }

    /// Where the master key is kept when none is given.
    pub fn master_key_file(&self) -> PathBuf {
        self.data_dir.join("master.key")
    }

    /// The public URL: given, or localhost at the port that is really listened on.
    pub fn public_url(&self, port: u16) -> PublicUrl {
        self.public_url.clone().unwrap_or_else(|| PublicUrl::localhost(port))
    }
}

impl Rules for Settings {
    fn validate(&self, slips: &mut Slips<'_>) {
        if let Some(url) = &self.public_url {
            slips.unless(
                !url.is_http() || url.is_loopback() || self.allow_http,
                "public_url",
                "must be https, except on loopback; http elsewhere needs `allow_http = true`",
            );
        }
        if let Some(url) = &self.database_url {
            slips.unless(
                is_database_url(url.expose_secret()),
                "database_url",
                "must begin with sqlite:// and go on with a path, or begin with postgres:// or postgresql://",
            );
        }
        slips.unless(
            !self.uses_postgres() || self.master_key.is_some(),
            "master_key",
            "must be given with PostgreSQL (32 bytes in base64), so that every node opens the same data keys",
        );
        if let Some(key) = &self.master_key {
            let key = key.expose_secret();
            slips.unless(is_master_key(key), "master_key", "must be 32 bytes in base64: 44 characters");
            slips.unless(
                !is_placeholder(key),
                "master_key",
                "is a placeholder, the same over and over: `openssl rand -base64 32` makes a key",
            );
        }
        if let Some(key) = &self.admin_key {
            slips.unless(
                is_admin_key(key.expose_secret()),
                "admin_key",
                "must be 32 to 500 printable ASCII characters without a space",
            );
        }
        slips.unless(is_log_filter(&self.log), "log", LOG_RULE);
        slips.unless(
            self.metrics_listen.is_none_or(|metrics| metrics != self.listen || metrics.port() == 0),
            "metrics_listen",
            "must be another address than `listen`",
        );
        slips.unless(self.degraded_max == 0, "degraded_max", "must be 0: degraded mode is not built yet");
        slips.unless(self.login_floor <= 5_000, "login_floor", "must be 0 to 5000 milliseconds");
        slips.unless(self.explain_rate <= 10_000, "explain_rate", "must be at most 10000");
        slips.unless((60..=31_536_000).contains(&self.explain_keep), "explain_keep", "must be 60 to 31536000 seconds");
        slips.unless((1..=10_000_000).contains(&self.explain_keep_rows), "explain_keep_rows", "must be 1 to 10000000");
        slips.unless(
            (64..=1_048_576).contains(&self.explain_memory_kib),
            "explain_memory_kib",
            "must be 64 to 1048576",
        );
        slips.unless(self.revocation_max >= 1, "revocation_max", "must be at least 1");
    }
}

fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}

fn is_database_url(url: &str) -> bool {
    is_postgres(url) || url.strip_prefix("sqlite://").is_some_and(|path| !path.is_empty())
}

/// 32 bytes are 43 digits of base64 and one `=`; the last digit carries four bits, so its two low
/// bits are zero and it is one of sixteen.
fn is_master_key(text: &str) -> bool {
    let digit = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    match text.as_bytes() {
        [digits @ .., last, b'='] => {
            digits.len() == 42 && digits.iter().copied().all(digit) && b"AEIMQUYcgkosw048".contains(last)
        }
        _ => false,
    }
}

/// Whether the first thirty of the bytes are ten times the same three: nobody's random key, somebody's forgotten
/// line of an example.
fn is_placeholder(master_key: &str) -> bool {
    let mut threes = master_key.as_bytes().chunks_exact(4).take(10);
    let first = threes.next();
    is_master_key(master_key) && threes.all(|three| Some(three) == first)
}

/// It travels in an Authorization header, so it holds neither spaces nor control characters.
fn is_admin_key(text: &str) -> bool {
    (MIN_CHOSEN_SECRET..=MAX_SECRET).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

const LOG_RULE: &str = "must be a level (off, error, warn, info, debug, trace) or pairs of target=level, separated by \
                        commas";

/// The logger itself only warns of a slip, and then logs too little.
fn is_log_filter(text: &str) -> bool {
    let level = |word: &str| ["off", "error", "warn", "info", "debug", "trace"].contains(&word.to_lowercase().as_str());
    let target = |word: &str| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':' | b'-'))
    };
    text.split(',').map(str::trim).all(|part| match part.split_once('=') {
        Some((name, word)) => target(name) && level(word),
        None => level(part),
    })
}
