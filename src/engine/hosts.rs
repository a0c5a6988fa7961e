//! Which provider a host name selects: every verified domain, in memory on every node. Loaded at the
//! start, and again when a domain has changed here or, by the change log, elsewhere.

use std::time::Instant;

use crate::domain::provider::DEFAULT_SLUG;
use crate::domain::provider_domain::host_of;
use crate::domain::{Context, DomainName, Effect, Fault, Hosts, ServedDomain};
use crate::engine::Engine;
use crate::store::{Conn, issuers, provider_domains, providers};

impl Engine {
    /// The map of verified domains; it is the engine's own, and stays current.
    pub fn hosts(&self) -> Hosts {
        self.0.hosts.clone()
    }

    /// Whether a host is the public URL's or one that the configuration binds a surface to.
    pub(in crate::engine) fn is_own_host(&self, public_url: &str, name: &str) -> bool {
        is_own(&self.0.own_hosts, host_of(public_url).as_deref(), name)
    }

    /// Reads the map on the connection for polling.
    pub(in crate::engine) async fn load_hosts(&self, deadline: Instant) -> Result<(), Fault> {
        // Who reads later installs later: an older reading never replaces a newer one.
        let _turn = self.0.host_loading.acquire().await.map_err(Fault::store)?;
        let own = self.0.own_hosts.clone();
        let served = self.0.db.poll(deadline, move |conn| read(conn, &own)).await?;
        self.0.hosts.replace(served);
        Ok(())
    }

    /// Takes a committed change of a domain in before the answer leaves. `ended` is no longer served,
    /// also when the map cannot be read now; the change log brings the rest then.
    pub(in crate::engine) async fn refresh_hosts(&self, ctx: &Context, ended: Option<&DomainName>) {
        if ctx.effect != Effect::Commit {
            return;
        }
        if let Some(ended) = ended {
            self.0.hosts.remove(|domain| domain.name == *ended);
        }
        if let Err(fault) = self.load_hosts(ctx.deadline).await {
            log::warn!("{} the domains will be read again with the change log: {fault}", ctx.request_id);
        }
    }
}

/// The public URL and the hosts of the configuration are nobody's domain, whatever was verified
/// before they became what they are.
fn read(conn: &mut Conn, own: &[String]) -> Result<Vec<ServedDomain>, Fault> {
    let public_url = match providers::by_slug(conn, DEFAULT_SLUG)? {
        Some(default) => issuers::base(conn, &default.id)?,
        None => None,
    };
    let public = public_url.as_deref().and_then(host_of);
    let mut served = provider_domains::served(conn)?;
    served.retain(|domain| !is_own(own, public.as_deref(), &domain.name));
    Ok(served)
}

fn is_own(own: &[String], public: Option<&str>, name: &str) -> bool {
    public == Some(name) || own.iter().any(|host| host == name)
}
