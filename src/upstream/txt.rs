//! TXT records of the DNS. Nothing else is ever asked for: a name that somebody typed into a form
//! never becomes an address that is connected to. Each question is put anew, so that a record that was
//! written a moment ago is not hidden by an answer that was kept.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::system_conf::read_system_conf;
use tokio::sync::Semaphore;
use tokio::time::timeout_at;

use crate::domain::ProviderId;
use crate::domain::clock::deadline_in;

/// Questions that are under way at once.
const QUESTIONS: usize = 16;
/// Of those, and of the ones that wait for a turn, that are one provider's: names whose servers are silent
/// keep a turn for as long as it may last.
const QUESTIONS_OF_PROVIDER: usize = 2;

/// How the DNS is asked.
#[derive(Clone, Debug)]
pub struct TxtOptions {
    /// `None`: the machine's own (`/etc/resolv.conf`).
    pub resolver: Option<SocketAddr>,
    /// For the whole question, every try included.
    pub timeout: Duration,
}

impl Default for TxtOptions {
    fn default() -> Self {
        Self { resolver: None, timeout: Duration::from_secs(5) }
    }
}

/// Why there is no answer, not even that there is no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TxtFlaw {
    #[error("no turn came within the deadline")]
    Busy,
    #[error("too many questions of this provider are under way")]
    ShareUsed,
    #[error("the DNS did not answer in time")]
    Slow,
    #[error("the DNS could not be asked, or answered with a failure")]
    Failed,
}

/// Asks for TXT records; cheap to clone.
#[derive(Clone, Debug)]
pub struct TxtRecords {
    options: TxtOptions,
    turns: Arc<Semaphore>,
    shares: Shares,
}

/// How many questions of each provider are under way.
type Shares = Arc<Mutex<HashMap<ProviderId, usize>>>;

/// One of them; given back when it is dropped, also by a request that nobody waits for any more.
struct Share {
    shares: Shares,
    provider: ProviderId,
}

impl Share {
    fn take(shares: &Shares, provider: &ProviderId) -> Option<Self> {
        let mut held = shares.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held.entry(provider.clone()).or_default();
        if *count >= QUESTIONS_OF_PROVIDER {
            return None;
        }
        *count += 1;
        Some(Self { shares: Arc::clone(shares), provider: provider.clone() })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(count) = held.get_mut(&self.provider) else { return };
        *count = count.saturating_sub(1);
        if *count == 0 {
            held.remove(&self.provider);
        }
    }
}

impl TxtRecords {
    pub fn new(options: TxtOptions) -> Self {
        Self { options, turns: Arc::new(Semaphore::new(QUESTIONS)), shares: Shares::default() }
    }

    /// The texts at `name` (absolute, without a dot at the end), the parts of each put together; none
    /// if there is no such name or it has no TXT record. Aliases are followed by the resolver. Ends at
    /// `deadline`, if not before; a turn is waited for until then.
    pub async fn at(&self, provider: &ProviderId, name: &str, deadline: Instant) -> Result<Vec<String>, TxtFlaw> {
        let Some(_share) = Share::take(&self.shares, provider) else { return Err(TxtFlaw::ShareUsed) };
        let Ok(Ok(_turn)) = timeout_at(deadline.into(), self.turns.acquire()).await else { return Err(TxtFlaw::Busy) };
        let until = deadline.min(deadline_in(self.options.timeout));
        timeout_at(until.into(), self.ask(name)).await.unwrap_or(Err(TxtFlaw::Slow))
    }

    async fn ask(&self, name: &str) -> Result<Vec<String>, TxtFlaw> {
        // With the dot the name is absolute: no search list of this machine is tried.
        let absolute = Name::from_ascii(format!("{name}.")).map_err(|_| TxtFlaw::Failed)?;
        let resolver = self.resolver().map_err(|error| {
            log::error!("the DNS cannot be asked: {error}");
            TxtFlaw::Failed
        })?;
        match resolver.lookup(absolute, RecordType::TXT).await {
            Ok(found) => Ok(found.answers().iter().filter_map(|record| text_of(&record.data)).collect()),
            Err(error) if error.is_no_records_found() => Ok(Vec::new()),
            Err(NetError::Timeout) => Err(TxtFlaw::Slow),
            Err(error) => {
                log::warn!("the DNS did not say which TXT records there are: {error}");
                Err(TxtFlaw::Failed)
            }
        }
    }

    /// Made for one question: its sockets belong to the runtime that asks.
    fn resolver(&self) -> Result<TokioResolver, NetError> {
        let config = match self.options.resolver {
            Some(address) => ResolverConfig::from_name_servers(vec![name_server(address)]),
            None => read_system_conf()?.0,
        };
        let mut options = ResolverOpts::default();
        options.cache_size = 0;
        options.use_hosts_file = ResolveHosts::Never;
        // Two tries in the time there is.
        options.timeout = self.options.timeout / 2;
        options.attempts = 1;
        let builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        builder.with_options(options).build()
    }
}

fn name_server(address: SocketAddr) -> NameServerConfig {
    let at_port = |mut connection: ConnectionConfig| {
        connection.port = address.port();
        connection
    };
    let connections = vec![at_port(ConnectionConfig::udp()), at_port(ConnectionConfig::tcp())];
    NameServerConfig::new(address.ip(), true, connections)
}

/// What is no text cannot be what is looked for.
fn text_of(data: &RData) -> Option<String> {
    let RData::TXT(txt) = data else { return None };
    String::from_utf8(txt.txt_data.concat()).ok()
}
