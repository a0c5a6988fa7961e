//! Calls to other servers. The resolver that connects is ours: it hands on only the addresses that
//! the guard permits, so what was judged is what is connected to, and a name that changes its
//! address between two questions gains nothing. No proxy, no redirect, no cookie, no kept
//! connection; a bounded time and a bounded body.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderMap};
use reqwest::{Client, RequestBuilder, Response, redirect};
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore, crypto};
use rustls_platform_verifier::Verifier;
use tokio::sync::oneshot;

use crate::domain::{FairLanes, Network, Owner};
use crate::upstream::certificates::{Certificates, Noting};
use crate::upstream::guard::{Guard, UrlFlaw};
use crate::upstream::txt::TxtOptions;

/// Largest body that is read, bytes.
pub const MAX_BODY: usize = 256 * 1024;
/// Names that are looked up at once: each takes a thread of its own, since a resolver may hang. Half of
/// them, and of those that wait, may be one owner's.
const LOOKUPS: usize = 8;
const LOOKUPS_WAITING: usize = 256;
const NAME: &str = "grantd";

/// Finds the addresses of a name, blocking. The machine's own resolver, but for tests.
pub type Lookup = Arc<dyn Fn(&str) -> std::io::Result<Vec<IpAddr>> + Send + Sync>;

/// How other servers are called.
#[derive(Clone)]
pub struct UpstreamOptions {
    /// Networks that may be called although they are not public; http is enough there.
    pub allow_networks: Vec<Network>,
    /// From the first lookup to the last byte.
    pub timeout: Duration,
    pub lookup: Lookup,
    /// Certificates (DER) of authorities that are believed beside those the machine trusts.
    pub extra_roots: Vec<Vec<u8>>,
    /// How TXT records are asked for.
    pub txt: TxtOptions,
}

impl Default for UpstreamOptions {
    fn default() -> Self {
        Self {
            allow_networks: Vec::new(),
            timeout: Duration::from_secs(5),
            lookup: Arc::new(system_lookup),
            extra_roots: Vec::new(),
            txt: TxtOptions::default(),
        }
    }
}

impl std::fmt::Debug for UpstreamOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { allow_networks, timeout, lookup: _, extra_roots: _, txt } = self;
        let mut shown = f.debug_struct("UpstreamOptions");
        shown
            .field("allow_networks", allow_networks)
            .field("timeout", timeout)
            .field("txt", txt)
            .finish_non_exhaustive()
    }
}

/// Why a call came to nothing. For the log and for administrators; holds nothing of the answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchFlaw {
    #[error("the URL {0}")]
    Url(UrlFlaw),
    #[error("the name cannot be resolved")]
    Unresolved,
    #[error("the name resolves to addresses that may not be called: see upstream.allow_networks")]
    Address,
    #[error("no connection could be made, or its certificate is not trusted")]
    Connect,
    #[error("it took too long")]
    Slow,
    #[error("it answered with status {0}; redirects are not followed")]
    Status(u16),
    #[error("the answer is larger than 256 KiB")]
    TooLarge,
    #[error("the answer broke off")]
    Broken,
}

/// What was fetched.
#[derive(Clone, Debug)]
pub struct Fetched {
    pub body: Vec<u8>,
    /// `Cache-Control: max-age`; zero where the answer may not be kept.
    pub max_age: Option<Duration>,
    /// What the server proved itself with; noted by [`Fetcher::get_noting`] only.
    pub certificates: Certificates,
}

tokio::task_local! {
    /// For whom the call is that is under way: the resolver is asked by the HTTP client, which knows no owner.
    static OWNER: Owner;
}

/// Calls other servers; cheap to clone.
#[derive(Clone)]
pub struct Fetcher {
    inner: Arc<Inner>,
    owner: Owner,
}

struct Inner {
    guard: Guard,
    timeout: Duration,
    resolver: Arc<Lookups>,
    extra_roots: Vec<Vec<u8>>,
    /// Who says whether a certificate is to be trusted.
    verifier: OnceLock<Arc<dyn ServerCertVerifier>>,
    /// Made at the first call: reading the trust roots takes a while, and most nodes call nobody.
    tls: OnceLock<Client>,
    plain: OnceLock<Client>,
}

impl Fetcher {
    pub fn new(options: UpstreamOptions) -> Self {
        let UpstreamOptions { allow_networks, timeout, lookup, extra_roots, txt: _ } = options;
        let guard = Guard::new(allow_networks);
        let resolver = Arc::new(Lookups { lookup, lanes: FairLanes::new(LOOKUPS, LOOKUPS_WAITING) });
        let (verifier, tls, plain) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        let inner = Inner { guard, timeout, resolver, extra_roots, verifier, tls, plain };
        Self { inner: Arc::new(inner), owner: Owner::Installation }
    }

    /// The same, whose calls count against the share of this owner.
    #[must_use]
    pub fn of(&self, owner: Owner) -> Self {
        Self { inner: Arc::clone(&self.inner), owner }
    }

    /// Whether a URL may be stored to be called later. A name is judged when it is called.
    pub fn accepts(&self, url: &str) -> Result<(), UrlFlaw> {
        self.inner.guard.read(url).map(drop)
    }

    /// A JSON document.
    pub async fn get(&self, url: &str) -> Result<Fetched, FetchFlaw> {
        let request = self.request(url, |client, url| client.get(url))?;
        self.document(request, Certificates::default).await
    }

    /// As [`Fetcher::get`], and notes the server's certificates: by a client of its own, since one that
    /// is shared resumes sessions without showing any.
    pub async fn get_noting(&self, url: &str) -> Result<Fetched, FetchFlaw> {
        let parsed = self.inner.guard.read(url).map_err(FetchFlaw::Url)?;
        if parsed.scheme() != "https" {
            return self.get(url).await;
        }
        let noting = Arc::new(Noting::new(self.verifier()?, tls_provider()));
        let client = self.client(Some(Arc::clone(&noting) as Arc<dyn ServerCertVerifier>))?;
        self.document(client.get(parsed).timeout(self.inner.timeout), || noting.seen()).await
    }

    async fn document(
        &self,
        request: RequestBuilder,
        certificates: impl FnOnce() -> Certificates,
    ) -> Result<Fetched, FetchFlaw> {
        let answer = self.sent(request.header(ACCEPT, "application/json, application/jwk-set+json")).await;
        let answer = answer?;
        if answer.status().as_u16() != 200 {
            return Err(FetchFlaw::Status(answer.status().as_u16()));
        }
        let max_age = max_age(answer.headers());
        Ok(Fetched { body: body(answer).await?, max_age, certificates: certificates() })
    }

    /// Delivers a form; any 2xx is an acceptance. The answer's body is not read.
    pub async fn post_form(&self, url: &str, form: String) -> Result<(), FetchFlaw> {
        let request = self.request(url, |client, url| client.post(url))?;
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form);
        let answer = self.sent(request).await?;
        let status = answer.status();
        if status.is_success() { Ok(()) } else { Err(FetchFlaw::Status(status.as_u16())) }
    }

    /// Delivers a JSON document under headers of its own; any 2xx is an acceptance. The answer's body is not
    /// read.
    pub async fn post_json(
        &self,
        url: &str,
        headers: &[(&'static str, String)],
        body: String,
    ) -> Result<(), FetchFlaw> {
        let request = self.request(url, |client, url| client.post(url))?;
        let request = request.header(CONTENT_TYPE, "application/json").body(body);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
        let status = self.sent(request).await?.status();
        if status.is_success() { Ok(()) } else { Err(FetchFlaw::Status(status.as_u16())) }
    }

    async fn sent(&self, request: RequestBuilder) -> Result<Response, FetchFlaw> {
        OWNER.scope(self.owner.clone(), request.send()).await.map_err(flaw_of)
    }

    fn request(
        &self,
        url: &str,
        begin: impl FnOnce(&Client, url::Url) -> RequestBuilder,
    ) -> Result<RequestBuilder, FetchFlaw> {
        let url = self.inner.guard.read(url).map_err(FetchFlaw::Url)?;
        let encrypted = url.scheme() == "https";
        let place = if encrypted { &self.inner.tls } else { &self.inner.plain };
        if place.get().is_none() {
            // Of two that make one at once, one stays.
            let verifier = if encrypted { Some(self.verifier()?) } else { None };
            drop(place.set(self.client(verifier)?));
        }
        let client = place.get().ok_or(FetchFlaw::Connect)?;
        Ok(begin(client, url).timeout(self.inner.timeout))
    }

    /// The machine's trust roots, checked by aws-lc.
    fn verifier(&self) -> Result<Arc<dyn ServerCertVerifier>, FetchFlaw> {
        if let Some(verifier) = self.inner.verifier.get() {
            return Ok(Arc::clone(verifier));
        }
        let extra = self.inner.extra_roots.iter().map(|der| CertificateDer::from(der.clone()));
        let verifier = Verifier::new_with_extra_roots(extra, tls_provider()).map_err(no_trust)?;
        Ok(Arc::clone(self.inner.verifier.get_or_init(|| Arc::new(verifier))))
    }

    /// The client for one scheme: its resolver hands on what may be called by that scheme only. `None`:
    /// without TLS, so there is nobody to trust.
    fn client(&self, verifier: Option<Arc<dyn ServerCertVerifier>>) -> Result<Client, FetchFlaw> {
        let encrypted = verifier.is_some();
        let tls = tls_config(verifier).map_err(no_trust)?;
        let guarded = Guarded { guard: self.inner.guard.clone(), lookups: Arc::clone(&self.inner.resolver), encrypted };
        let builder = Client::builder()
            .tls_backend_preconfigured(tls)
            .dns_resolver(Arc::new(guarded))
            .no_proxy()
            .redirect(redirect::Policy::none())
            .referer(false)
            .https_only(encrypted)
            .http1_only()
            .user_agent(NAME)
            .connect_timeout(self.inner.timeout)
            // A kept connection would be one whose address was judged long ago.
            .pool_max_idle_per_host(0);
        builder.build().map_err(|error| {
            log::error!("the client for other servers cannot be made: {error}");
            FetchFlaw::Connect
        })
    }
}

fn no_trust(error: rustls::Error) -> FetchFlaw {
    log::error!("the machine's trust roots cannot be read, so no https server can be called: {error}");
    FetchFlaw::Connect
}

fn tls_provider() -> Arc<CryptoProvider> {
    Arc::new(crypto::aws_lc_rs::default_provider())
}

fn tls_config(verifier: Option<Arc<dyn ServerCertVerifier>>) -> Result<ClientConfig, rustls::Error> {
    let builder = ClientConfig::builder_with_provider(tls_provider()).with_protocol_versions(rustls::ALL_VERSIONS)?;
    let builder = match verifier {
        Some(verifier) => builder.dangerous().with_custom_certificate_verifier(verifier),
        None => builder.with_root_certificates(RootCertStore::empty()),
    };
    Ok(builder.with_no_client_auth())
}

/// Looks names up, a bounded number at once.
struct Lookups {
    lookup: Lookup,
    lanes: FairLanes,
}

/// The resolver of one client.
struct Guarded {
    guard: Guard,
    lookups: Arc<Lookups>,
    encrypted: bool,
}

/// What the resolver says of a name; found again in the error of the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum NameFlaw {
    #[error("unresolved")]
    Unresolved,
    #[error("forbidden")]
    Forbidden,
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let (guard, lookups, encrypted) = (self.guard.clone(), Arc::clone(&self.lookups), self.encrypted);
        Box::pin(async move {
            let found = lookups.addresses(name.as_str().to_owned()).await?;
            let permitted: Vec<SocketAddr> = found
                .into_iter()
                .filter(|address| guard.permits(*address, encrypted))
                .map(|address| SocketAddr::new(address, 0))
                .collect();
            if permitted.is_empty() {
                return Err(NameFlaw::Forbidden.into());
            }
            Ok(Box::new(permitted.into_iter()) as Addrs)
        })
    }
}

impl Lookups {
    /// On a thread of its own, which keeps its lane until the machine has answered, even if nobody
    /// waits any more.
    async fn addresses(&self, name: String) -> Result<Vec<IpAddr>, NameFlaw> {
        let owner = OWNER.try_with(Owner::clone).unwrap_or(Owner::Installation);
        let lane = self.lanes.lane(&owner).await.map_err(|_| NameFlaw::Unresolved)?;
        let (reply, answer) = oneshot::channel();
        let lookup = Arc::clone(&self.lookup);
        let thread = std::thread::Builder::new().name("lookup".to_owned()).spawn(move || {
            let _lane = lane;
            // Nobody waits any more: nothing to tell.
            drop(reply.send(lookup(&name)));
        });
        thread.map_err(|_| NameFlaw::Unresolved)?;
        match answer.await {
            Ok(Ok(addresses)) if !addresses.is_empty() => Ok(addresses),
            _ => Err(NameFlaw::Unresolved),
        }
    }
}

fn system_lookup(name: &str) -> std::io::Result<Vec<IpAddr>> {
    Ok((name, 0).to_socket_addrs()?.map(|address| address.ip()).collect())
}

async fn body(mut answer: Response) -> Result<Vec<u8>, FetchFlaw> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(flaw_of)? {
        let chunk: Bytes = chunk;
        if body.len() + chunk.len() > MAX_BODY {
            return Err(FetchFlaw::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn flaw_of(error: reqwest::Error) -> FetchFlaw {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(inner) = cause {
        match inner.downcast_ref::<NameFlaw>() {
            Some(NameFlaw::Forbidden) => return FetchFlaw::Address,
            Some(NameFlaw::Unresolved) => return FetchFlaw::Unresolved,
            None => cause = inner.source(),
        }
    }
    match error {
        error if error.is_timeout() => FetchFlaw::Slow,
        error if error.is_connect() => FetchFlaw::Connect,
        _ => FetchFlaw::Broken,
    }
}

/// RFC 9111 §5.2.2, as far as it matters here.
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let lines = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let directives: Vec<&str> = lines.flat_map(|line| line.split(',')).map(str::trim).collect();
    let named = |name: &str| directives.iter().any(|directive| directive.eq_ignore_ascii_case(name));
    if named("no-store") || named("no-cache") {
        return Some(Duration::ZERO);
    }
    let seconds = directives.iter().find_map(|directive| {
        let (name, value) = directive.split_once('=')?;
        let is_age = name.trim().eq_ignore_ascii_case("max-age");
        is_age.then(|| value.trim().trim_matches('"').parse::<u64>().ok())?
    });
    seconds.map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn the_age_of_an_answer_is_read_as_it_is_written() {
        let of = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CACHE_CONTROL, HeaderValue::from_static(text));
            max_age(&headers)
        };
        assert_eq!(of("public, max-age=600, must-revalidate"), Some(Duration::from_secs(600)));
        assert_eq!(of("Max-Age = \"60\""), Some(Duration::from_secs(60)));
        assert_eq!(of("max-age=600, no-store"), Some(Duration::ZERO));
        assert_eq!(of("max-age=-1"), None);
        assert_eq!(of("s-maxage=5"), None);
        assert_eq!(max_age(&HeaderMap::new()), None);
    }
}
