//! Authorities, certificates and servers that speak TLS, made anew for a test by the `openssl` command.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::thread;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned, crypto};
use tempfile::TempDir;

/// A root, an authority below it, and a server's certificate below that, for `127.0.0.1`.
pub struct Authority(TempDir);

/// A certificate with the digests that it is known by.
#[derive(Clone)]
pub struct Certificate(pub Vec<u8>);

impl Authority {
    pub fn new(name: &str) -> Self {
        let made = Self(tempfile::Builder::new().prefix("grantd-tls-").tempdir().expect("no temporary folder"));
        let subject = |part: &str| format!("/CN={name} {part}");
        for part in ["root", "middle", "server"] {
            made.run(&[
                "genpkey",
                "-algorithm",
                "EC",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-out",
                &format!("{part}.key"),
            ]);
            made.run(&[
                "req",
                "-new",
                "-key",
                &format!("{part}.key"),
                "-subj",
                &subject(part),
                "-out",
                &format!("{part}.csr"),
            ]);
        }
        let authority = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n";
        let server = "basicConstraints=critical,CA:FALSE\nextendedKeyUsage=serverAuth\nsubjectAltName=IP:127.0.0.1\n";
        made.sign("root", authority, &["-signkey", "root.key"]);
        made.sign("middle", authority, &["-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial"]);
        made.sign("server", server, &["-CA", "middle.pem", "-CAkey", "middle.key", "-CAcreateserial"]);
        made
    }

    fn sign(&self, part: &str, extensions: &str, by: &[&str]) {
        let file = |ending: &str| format!("{part}.{ending}");
        std::fs::write(self.0.path().join(file("ext")), extensions).unwrap();
        let (csr, pem, ext) = (file("csr"), file("pem"), file("ext"));
        let plain = ["x509", "-req", "-in", &csr, "-out", &pem, "-days", "30", "-sha256", "-extfile", &ext];
        self.run(&[&plain, by].concat());
    }

    fn run(&self, arguments: &[&str]) -> Vec<u8> {
        let output = Command::new("openssl").args(arguments).current_dir(self.0.path()).output();
        let output = output.expect("openssl does not start: run ./scripts/system-packages first");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// `root`, `middle` or `server`.
    pub fn certificate(&self, part: &str) -> Certificate {
        Certificate(self.run(&["x509", "-in", &format!("{part}.pem"), "-outform", "DER"]))
    }

    /// A file with the root, as `SSL_CERT_FILE` names one.
    pub fn root_file(&self) -> PathBuf {
        self.0.path().join("root.pem")
    }

    fn server_key(&self) -> Vec<u8> {
        self.run(&["pkcs8", "-topk8", "-nocrypt", "-in", "server.key", "-outform", "DER"])
    }
}

impl Certificate {
    pub fn sha1(&self) -> String {
        hex(digest(&SHA1_FOR_LEGACY_USE_ONLY, &self.0).as_ref())
    }

    pub fn sha256(&self) -> String {
        hex(digest(&SHA256, &self.0).as_ref())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// A server behind TLS that answers JSON by path. It runs until the process ends.
pub struct TlsOrigin {
    /// `https://127.0.0.1:<port>`
    pub base: String,
}

impl TlsOrigin {
    /// Shows the authority's server certificate and then `others`. `answer` gets its own base and a path.
    pub fn serving(
        authority: &Authority,
        others: &[Certificate],
        answer: impl Fn(&str, &str) -> String + Send + Sync + 'static,
    ) -> Self {
        let mut chain = vec![CertificateDer::from(authority.certificate("server").0)];
        chain.extend(others.iter().map(|certificate| CertificateDer::from(certificate.0.clone())));
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(authority.server_key()));
        let config = ServerConfig::builder_with_provider(Arc::new(crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let (config, answer) = (Arc::new(config), Arc::new(answer));
        let listener = TcpListener::bind("127.0.0.1:0").expect("no port");
        let base = format!("https://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let own = base.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (config, answer, own) = (Arc::clone(&config), Arc::clone(&answer), own.clone());
                thread::spawn(move || serve(stream, config, |path| answer(&own, path)));
            }
        });
        Self { base }
    }

    /// An issuer: its metadata, and its keys at `jwks_uri` (none given: its own).
    pub fn issuer(authority: &Authority, others: &[Certificate], jwks: String, jwks_uri: Option<String>) -> Self {
        Self::serving(authority, others, move |base, path| {
            let uri = jwks_uri.clone().unwrap_or_else(|| format!("{base}/jwks"));
            let metadata = serde_json::json!({"issuer": base, "jwks_uri": uri}).to_string();
            if path.starts_with("/.well-known/") { metadata } else { jwks.clone() }
        })
    }
}

fn serve(stream: TcpStream, config: Arc<ServerConfig>, answer: impl Fn(&str) -> String) {
    let Ok(connection) = ServerConnection::new(config) else { return };
    let mut reader = BufReader::new(StreamOwned::new(connection, stream));
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        // A client that does not believe us hangs up.
        let Ok(read) = reader.read_line(&mut line) else { return };
        if read == 0 || line.trim().is_empty() {
            break;
        }
        lines.push(line);
    }
    let Some(path) = lines.first().and_then(|line| line.split(' ').nth(1)) else { return };
    let body = answer(path);
    let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json";
    let stream = reader.get_mut();
    let _ = write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).and_then(|()| stream.flush());
    stream.conn.send_close_notify();
    let _ = stream.flush();
}
