//! The rules of the room, against handed-in environments and files.

use std::path::PathBuf;

use secrecy::ExposeSecret;

use crate::config::{ConfigError, Inputs, Loaded, Origin, Settings, load};

const MASTER_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

struct Start {
    directory: tempfile::TempDir,
    inputs: Inputs,
}

impl Start {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let inputs = Inputs { directory: directory.path().to_owned(), ..Inputs::default() };
        Self { directory, inputs }
    }

    fn file(mut self, name: &str, content: &str) -> Self {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        if name != "grantd.toml" && name.ends_with(".toml") {
            self.inputs.file = Some(path);
        }
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.inputs.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    fn env_path(self, name: &str, file: &str) -> Self {
        let path = self.path(file).display().to_string();
        self.env(name, &path)
    }

    fn flag(mut self, name: &str, value: &str) -> Self {
        self.inputs.flags.push((name.to_owned(), value.to_owned()));
        self
    }

    fn load(&self) -> Result<Loaded, ConfigError> {
        load(&self.inputs)
    }

    fn settings(&self) -> Settings {
        self.load().unwrap().settings
    }

    fn slips(&self) -> String {
        self.load().unwrap_err().to_string()
    }
}

#[test]
fn with_nothing_given_the_defaults_hold() {
    let settings = Start::new().settings();
    assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.database_url().expose_secret(), "sqlite://./data/grantd.db");
    assert_eq!(settings.master_key_file(), PathBuf::from("./data/master.key"));
    assert_eq!(settings.public_url(4711).as_str(), "http://localhost:4711");
    assert!(settings.surfaces.runai.enabled);
    assert_eq!(settings.surfaces.runai.provider, "default");
    assert_eq!((settings.passwords.memory_kib, settings.passwords.queue), (19_456, 64));
    assert_eq!(settings.cache.bytes, 67_108_864);
}

#[test]
fn each_layer_covers_the_one_before() {
    let all = Start::new()
        .file("grantd.toml", "log = 'warn'\n[passwords]\nqueue = 1\nlanes = 1\niterations = 3\n")
        .env("GRANTD_PASSWORDS__QUEUE", "2")
        .env("GRANTD_PASSWORDS__LANES", "2")
        .flag("passwords.queue", "3")
        .load()
        .unwrap();
    let own = &all.settings.passwords;
    assert_eq!((own.queue, own.lanes, own.iterations, own.memory_kib), (3, 2, 3, 19_456));
    let origin = |key: &str| all.effective().into_iter().find(|line| line.key == key).unwrap().origin;
    assert_eq!(origin("passwords.queue"), Origin::Flag);
    assert_eq!(origin("passwords.lanes"), Origin::Environment("GRANTD_PASSWORDS__LANES".to_owned()));
    assert_eq!(origin("passwords.iterations"), Origin::File("grantd.toml".into()));
    assert_eq!(origin("passwords.memory_kib"), Origin::Default);
}

#[test]
fn a_named_file_is_read_instead_and_must_exist() {
    let start = Start::new().file("grantd.toml", "log = 'warn'").file("other.toml", "allow_http = true");
    assert!(start.settings().allow_http);
    assert_eq!(start.settings().log, "info");
    std::fs::remove_file(start.path("other.toml")).unwrap();
    assert!(start.slips().contains("other.toml cannot be read"), "{}", start.slips());
}

#[test]
fn an_unknown_key_stops_the_start_with_the_known_ones() {
    for start in [
        Start::new().file("grantd.toml", "[passwords]\nqeue = 1"),
        Start::new().file("grantd.toml", "passwords = 1"),
        Start::new().file("grantd.toml", "[surfaces.telegraph]\nenabled = false"),
        Start::new().file("grantd.toml", "[surfaces.telegraph]"),
        Start::new().env("GRANTD_PASSWORDS__QEUE", "1"),
        Start::new().env("GRANTD_PASSWORDS_QUEUE", "1"),
        Start::new().env("GRANTD_listen", "1"),
        Start::new().flag("qeue", "1"),
    ] {
        let slips = start.slips();
        assert!(slips.starts_with("Unknown: "), "{slips}");
        assert!(slips.contains("passwords.queue") && slips.contains("master_key_file"), "{slips}");
    }
    assert!(Start::new().env("GRANTD_QEUE", "1").slips().contains("variable GRANTD_QEUE"));
}

#[test]
fn what_kubernetes_sets_for_a_service_of_our_name_is_no_slip() {
    let start = Start::new()
        .env("GRANTD_PORT", "tcp://10.0.0.1:80")
        .env("GRANTD_PORT_80_TCP_ADDR", "10.0.0.1")
        .env("GRANTD_SERVICE_HOST", "10.0.0.1")
        .env("PATH", "/bin");
    assert!(start.load().is_ok());
    assert!(Start::new().env("GRANTD_PORTS", "1").load().is_err());
}

#[test]
fn what_tells_the_command_line_of_a_server_stops_no_start() {
    let start = Start::new()
        .env("GRANTD_SERVER", "https://id.example.com")
        .env("GRANTD_KEY", "key")
        .env("GRANTD_KEY_FILE", "nowhere");
    assert!(start.load().is_ok());
}

#[test]
fn every_key_can_be_given_as_file_variable_and_flag() {
    for key in Settings::describe() {
        let value = sample(&key.name, &key.default);
        for start in [
            Start::new().env(&key.variable(), &value),
            Start::new().flag(&key.name, &value),
            Start::new().file("grantd.toml", &in_toml(&key.name, &value)),
        ] {
            // Neighbours that a rule between keys asks for.
            let start = if key.name == "database_url" { start.env("GRANTD_MASTER_KEY", MASTER_KEY) } else { start };
            let all = start.load().unwrap_or_else(|error| panic!("{}: {error}", key.name));
            let line = all.effective().into_iter().find(|line| line.key == key.name).unwrap();
            assert_ne!(line.origin, Origin::Default, "{} came from nowhere", key.name);
            let shown = if key.secret { "(set)" } else { &value };
            assert_eq!(line.value, shown, "{}", key.name);
        }
        assert!(key.doc.ends_with('.') && key.doc.len() > 10, "{} has no doc comment", key.name);
    }
}

/// A value that the key takes, other than the default where that is easy.
fn sample(name: &str, default: &str) -> String {
    let value = match name {
        "public_url" => "https://id.example.com/auth",
        "database_url" => "postgres://localhost/x",
        "master_key" => MASTER_KEY,
        "admin_key" => "01234567890123456789012345678901",
        "metrics_listen" => "127.0.0.1:9090",
        host if host.ends_with(".host") => "api.example.com",
        "log_format" => "json",
        "upstream.allow_networks" => "10.0.0.0/8,::1",
        "dns.resolver" => "127.0.0.1:53",
        _ => default,
    };
    value.to_owned()
}

fn in_toml(name: &str, value: &str) -> String {
    let bare = value == "true" || value == "false" || value.bytes().all(|byte| byte.is_ascii_digit());
    let secret = name.ends_with("_key");
    if bare && !secret { format!("{name} = {value}") } else { format!("{name} = \"{value}\"") }
}

#[test]
fn a_secret_can_be_in_a_file_and_loses_only_the_line_end() {
    let start = Start::new().file("key", &format!(" {MASTER_KEY}\r\n")).env_path("GRANTD_MASTER_KEY_FILE", "key");
    assert!(start.slips().contains("`master_key` must be 32 bytes"), "the leading space was lost");
    let start = Start::new().file("key", &format!("{MASTER_KEY}\n")).env_path("GRANTD_MASTER_KEY_FILE", "key");
    assert_eq!(start.settings().master_key.unwrap().expose_secret(), MASTER_KEY);
}

#[test]
fn a_secret_given_twice_is_refused_in_every_mixture() {
    let start = || Start::new().file("key", MASTER_KEY).env_path("GRANTD_MASTER_KEY_FILE", "key");
    for start in [
        start().env("GRANTD_MASTER_KEY", MASTER_KEY),
        start().file("grantd.toml", &format!("master_key = '{MASTER_KEY}'")),
    ] {
        let slips = start.slips();
        assert!(slips.contains("both given") && slips.contains("GRANTD_MASTER_KEY_FILE"), "{slips}");
    }
}

#[test]
fn a_secret_file_that_is_missing_or_empty_is_named() {
    let missing = Start::new().env_path("GRANTD_ADMIN_KEY_FILE", "nowhere").slips();
    assert!(missing.contains("`admin_key_file` (GRANTD_ADMIN_KEY_FILE)") && missing.contains("nowhere"), "{missing}");
    let empty = Start::new().file("key", "\n").env_path("GRANTD_ADMIN_KEY_FILE", "key").slips();
    assert!(empty.contains("is empty"), "{empty}");
    let listen = Start::new().env("GRANTD_LISTEN_FILE", "x").slips();
    assert!(listen.starts_with("Unknown: "), "only secrets have files: {listen}");
}

#[test]
fn a_secret_of_digits_stays_text() {
    let digits = "00000000000000000000000000000012";
    let start = Start::new().env("GRANTD_ADMIN_KEY", digits);
    assert_eq!(start.settings().admin_key.unwrap().expose_secret(), digits);
    let start = Start::new().file("grantd.toml", "admin_key = 1234567890");
    assert!(start.slips().contains("as text in quotes"), "{}", start.slips());
}

#[test]
fn no_message_and_no_listing_quotes_a_secret() {
    let planted = "planted-secret";
    for start in [
        Start::new().env("GRANTD_MASTER_KEY", planted),
        Start::new().env("GRANTD_ADMIN_KEY", planted),
        Start::new().env("GRANTD_DATABASE_URL", &format!("mysql://user:{planted}@host")),
        Start::new().env("GRANTD_PUBLIC_URL", &format!("https://user:{planted}@host")),
        Start::new().file("grantd.toml", &format!("admin_key = \"{planted}")),
        Start::new().file("grantd.toml", &format!("admin_key = [\"{planted}\"]")),
        Start::new().file("key", planted).env_path("GRANTD_ADMIN_KEY_FILE", "key"),
    ] {
        let slips = start.slips();
        assert!(!slips.contains(planted), "{slips}");
    }
    let key = format!("{planted}-{planted}-{planted}");
    let all = Start::new().env("GRANTD_ADMIN_KEY", &key).load().unwrap();
    assert!(!format!("{all:?}{:?}", all.effective()).contains(planted));
}

#[test]
fn a_slip_in_the_file_is_told_by_its_place() {
    let slips = Start::new().file("grantd.toml", "log = 'info'\nlisten = = 1").slips();
    assert!(slips.contains("grantd.toml is not TOML: the slip is at line 2"), "{slips}");
}

#[test]
fn values_that_cannot_hold_are_refused_by_key() {
    for (variable, value, says) in [
        ("GRANTD_LISTEN", "localhost:8080", "`listen` (GRANTD_LISTEN) must be an IP address and a port"),
        ("GRANTD_PUBLIC_URL", "http://id.example.com", "allow_http"),
        ("GRANTD_PUBLIC_URL", "https://id.example.com/", "`public_url`"),
        ("GRANTD_PUBLIC_URL", "", "is empty"),
        ("GRANTD_DATABASE_URL", "grantd.db", "`database_url` must begin with sqlite://"),
        ("GRANTD_DATABASE_URL", "sqlite://", "`database_url`"),
        ("GRANTD_DATABASE_URL", "postgres://localhost/x", "`master_key` must be given with PostgreSQL"),
        ("GRANTD_MASTER_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "`master_key` is a placeholder"),
        ("GRANTD_MASTER_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=", "`master_key` must be 32 bytes"),
        ("GRANTD_ADMIN_KEY", "0123456789012345678901234567890", "`admin_key` must be 32 to 500"),
        ("GRANTD_ADMIN_KEY", "0123456789012345 678901234567890x", "`admin_key`"),
        ("GRANTD_TRUSTED_PROXIES", "10.0.0.0/8,proxy", "`trusted_proxies`"),
        ("GRANTD_LOG", "loud", "`log` must be a level"),
        ("GRANTD_LOG", "grantd=loud", "`log`"),
        ("GRANTD_LOG_FORMAT", "xml", "`log_format` (GRANTD_LOG_FORMAT) must be text or json"),
        ("GRANTD_METRICS_LISTEN", "127.0.0.1:8080", "`metrics_listen`"),
        ("GRANTD_DEGRADED_MAX", "120", "degraded mode is not built yet"),
        ("GRANTD_REVOCATION_MAX", "0", "`revocation_max`"),
        ("GRANTD_SURFACES__RUNAI__PROVIDER", "Default", "`surfaces.runai.provider`"),
        ("GRANTD_SURFACES__RUNAI__HOST", "https://x", "`surfaces.runai.host`"),
        ("GRANTD_SURFACES__DEEPGRAM__PROVIDER", "a b", "`surfaces.deepgram.provider`"),
        ("GRANTD_SURFACES__VOCALSTACK__ENABLED", "no", "`surfaces.vocalstack.enabled`"),
        ("GRANTD_DATABASE__READERS", "0", "`database.readers`"),
        ("GRANTD_PASSWORDS__MEMORY_KIB", "7", "`passwords.memory_kib`"),
        ("GRANTD_HTTP__REQUEST_TIMEOUT_MS", "0", "`http.request_timeout_ms`"),
        ("GRANTD_CACHE__BYTES", "64MiB", "`cache.bytes` (GRANTD_CACHE__BYTES) must be a whole number"),
    ] {
        let slips = Start::new().env(variable, value).slips();
        assert!(slips.contains(says), "{variable}={value}: {slips}");
    }
}

#[test]
fn http_is_allowed_on_loopback_and_elsewhere_on_request() {
    assert!(Start::new().env("GRANTD_PUBLIC_URL", "http://127.0.0.1:8080").load().is_ok());
    let elsewhere = Start::new().env("GRANTD_PUBLIC_URL", "http://id.example.com").env("GRANTD_ALLOW_HTTP", "true");
    assert_eq!(elsewhere.settings().public_url(1).as_str(), "http://id.example.com");
}

#[test]
fn all_slips_are_told_at_once() {
    let slips = Start::new().env("GRANTD_LISTEN", "x").env("GRANTD_CACHE__BYTES", "x").env("GRANTD_X", "x").slips();
    assert_eq!(slips.lines().count(), 3, "{slips}");
}
