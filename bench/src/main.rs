//! The floor: what grantd's speed is measured against. Each endpoint does the least that an
//! operation needs (the same HTTP server, real parsing, a real signature) and nothing else: no
//! policy, no cache, no store, no log, no error mapping. Not a server for anything but `scripts/bench`.
//!
//! ```text
//! GET  /hello    a small JSON document
//! POST /sign     one fresh ES256 token, the request unread
//! POST /form     reads the form and the Basic header, compares the secret's digest
//! POST /token    /form and then /sign: client_credentials without a server around it
//! POST /verify   /form and then checks the signature of `token`
//! ```
//!
//! `floor argon2 SECONDS` only hashes, on every core it may use.

use std::io::Write;
use std::net::TcpListener;

use actix_web::http::header;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING};
use aws_lc_rs::signature::{EcdsaKeyPair, KeyPair, ParsedPublicKey};
use aws_lc_rs::{constant_time, digest, rand::SystemRandom};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rand::Rng;
use serde::Serialize;
use url::form_urlencoded;

const CLIENT: &str = "bench";
const SECRET: &str = "a-secret-of-the-floor-that-opens-nothing";
const ISSUER: &str = "http://localhost:8080";
const LIFETIME: u64 = 3600;

type Failed = Box<dyn std::error::Error>;

/// Everything that is made once: the parsed key, the encoded header, the digest of the secret.
struct Floor {
    pair: EcdsaKeyPair,
    public: ParsedPublicKey,
    header: String,
    secret: digest::Digest,
}

/// A fresh access token's claims, as RFC 9068 wants them.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    exp: u64,
    iat: u64,
    jti: String,
    client_id: &'a str,
    scope: &'a str,
}

#[derive(Serialize)]
struct TokenAnswer<'a> {
    access_token: &'a str,
    token_type: &'a str,
    expires_in: u64,
}

#[derive(Serialize)]
struct Word<'a> {
    hello: &'a str,
}

impl Floor {
    fn new() -> Result<Self, Failed> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
        let public = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref())?;
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256","kid":"floor","typ":"at+jwt"}"#) + ".";
        Ok(Self { pair, public, header, secret: digest::digest(&digest::SHA256, SECRET.as_bytes()) })
    }

    fn sign(&self) -> Result<String, Failed> {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
        let mut random = [0; 10];
        rand::rng().fill_bytes(&mut random);
        let millis = u64::try_from(now.as_millis())?;
        let jti = uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid().to_string();
        let (iat, exp) = (now.as_secs(), now.as_secs() + LIFETIME);
        let claims = Claims { iss: ISSUER, sub: CLIENT, aud: ISSUER, exp, iat, jti, client_id: CLIENT, scope: "read" };
        let payload = serde_json::to_vec(&claims)?;
        let mut jws = String::with_capacity(self.header.len() + payload.len() * 4 / 3 + 100);
        jws.push_str(&self.header);
        URL_SAFE_NO_PAD.encode_string(payload, &mut jws);
        let signature = self.pair.sign(&SystemRandom::new(), jws.as_bytes())?;
        jws.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut jws);
        Ok(jws)
    }

    /// Whether the form asks for client_credentials or names a token, and the Basic header proves
    /// the client. The token of the form, if there is one.
    fn read(&self, request: &HttpRequest, body: &[u8]) -> Result<Option<String>, Failed> {
        let header = request.headers().get(header::AUTHORIZATION).ok_or("no Authorization")?.to_str()?;
        let plain = STANDARD.decode(header.strip_prefix("Basic ").ok_or("not Basic")?)?;
        let (user, password) = std::str::from_utf8(&plain)?.split_once(':').ok_or("no colon")?;
        let shown = digest::digest(&digest::SHA256, password.as_bytes());
        constant_time::verify_slices_are_equal(shown.as_ref(), self.secret.as_ref())?;
        let (mut asked, mut token) = (false, None);
        for (name, value) in form_urlencoded::parse(body) {
            match name.as_ref() {
                "grant_type" => asked = value == "client_credentials",
                "token" => token = Some(value.into_owned()),
                _ => {}
            }
        }
        if user == CLIENT && (asked || token.is_some()) { Ok(token) } else { Err("not our client".into()) }
    }

    fn verify(&self, token: Option<&str>) -> Result<(), Failed> {
        let (message, signature) = token.and_then(|token| token.rsplit_once('.')).ok_or("no token")?;
        let signature = URL_SAFE_NO_PAD.decode(signature)?;
        Ok(self.public.verify_sig(message.as_bytes(), &signature)?)
    }
}

async fn hello() -> HttpResponse {
    HttpResponse::Ok().json(Word { hello: "world" })
}

async fn sign(floor: web::Data<Floor>) -> HttpResponse {
    answered(floor.sign())
}

async fn form(floor: web::Data<Floor>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    match floor.read(&request, &body) {
        Ok(_) => HttpResponse::Ok().json(Word { hello: "client" }),
        Err(failed) => refused(&failed),
    }
}

async fn token(floor: web::Data<Floor>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    answered(floor.read(&request, &body).and_then(|_| floor.sign()))
}

async fn verify(floor: web::Data<Floor>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    match floor.read(&request, &body).and_then(|token| floor.verify(token.as_deref())) {
        Ok(()) => HttpResponse::Ok().json(Word { hello: "active" }),
        Err(failed) => refused(&failed),
    }
}

fn answered(token: Result<String, Failed>) -> HttpResponse {
    match token {
        Ok(token) => {
            HttpResponse::Ok().json(TokenAnswer { access_token: &token, token_type: "Bearer", expires_in: LIFETIME })
        }
        Err(failed) => refused(&failed),
    }
}

fn refused(failed: &Failed) -> HttpResponse {
    HttpResponse::BadRequest().body(failed.to_string())
}

/// Argon2id as grantd hashes passwords by default (19 MiB, two passes), nothing around it: as many
/// threads as cores, each with memory of its own that it uses again. Prints hashes and CPU-free wall
/// seconds.
fn argon2_rate(seconds: u64) -> Result<(), Failed> {
    let lanes = std::thread::available_parallelism()?.get();
    let began = std::time::Instant::now();
    let end = began + std::time::Duration::from_secs(seconds);
    let threads: Vec<_> = (0..lanes).map(|_| std::thread::spawn(move || hashes_until(end))).collect();
    let mut hashes = 0;
    for thread in threads {
        hashes += thread.join().map_err(|_| "a thread panicked")?.map_err(|why| why.to_string())?;
    }
    println!("{hashes} {}", began.elapsed().as_secs_f64());
    Ok(())
}

fn hashes_until(end: std::time::Instant) -> Result<u64, argon2::Error> {
    let params = argon2::Params::new(19_456, 2, 1, Some(32))?;
    let mut memory = vec![argon2::Block::new(); params.block_count()];
    let argon2 = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    let mut hashes = 0;
    while std::time::Instant::now() < end {
        argon2.hash_password_into_with_memory(b"a password", b"sixteen bytes  !", &mut [0; 32], &mut memory)?;
        hashes += 1;
    }
    Ok(hashes)
}

/// Takes a free port of the loopback address and prints it; then the client it knows.
fn main() -> Result<(), Failed> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [mode, seconds] = arguments.as_slice()
        && mode == "argon2"
    {
        return argon2_rate(seconds.parse()?);
    }
    let floor = web::Data::new(Floor::new()?);
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut out = std::io::stdout();
    writeln!(out, "{}\n{CLIENT}\n{SECRET}", listener.local_addr()?)?;
    out.flush()?;
    let app = move || {
        App::new()
            .app_data(floor.clone())
            .route("/hello", web::get().to(hello))
            .route("/sign", web::post().to(sign))
            .route("/form", web::post().to(form))
            .route("/token", web::post().to(token))
            .route("/verify", web::post().to(verify))
    };
    // As many workers as grantd takes by itself: the cores this process may use.
    let workers = std::thread::available_parallelism()?.get();
    let server = HttpServer::new(app).workers(workers).listen(listener)?;
    Ok(actix_web::rt::System::new().block_on(server.run())?)
}
