//! TXT records of the DNS. Nothing else is ever asked for: a name that somebody typed into a form
//! never becomes an address that is connected to. Each question is put anew, so that a record that was
//! written a moment ago is not hidden by an answer that was kept.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::system_conf::read_system_conf;
use tokio::time::timeout_at;

use crate::domain::clock::deadline_in;
use crate::domain::{FairLanes, Owner, ProviderId};

/// Questions that are under way at once, and that wait; half of both may be one provider's.
const QUESTIONS: usize = 16;
const WAITING: usize = 16;

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
    lanes: FairLanes,
}

impl TxtRecords {
    pub fn new(options: TxtOptions) -> Self {
        Self { options, lanes: FairLanes::new(QUESTIONS, WAITING) }
    }

    /// The texts at `name` (absolute, without a dot at the end), the parts of each put together; none
    /// if there is no such name or it has no TXT record. Aliases are followed by the resolver. Ends at
    /// `deadline`, if not before; a turn is waited for until then.
    pub async fn at(&self, provider: &ProviderId, name: &str, deadline: Instant) -> Result<Vec<String>, TxtFlaw> {
        let asked = timeout_at(deadline.into(), self.lanes.lane(&Owner::from(provider))).await;
        let _lane = asked.map_err(|_| TxtFlaw::Busy)?.map_err(|_| TxtFlaw::ShareUsed)?;
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
