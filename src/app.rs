//! Wires everything: settings in, a running server out. Tests and production start by the same
//! function; port 0 is allowed, and the address it became is told.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use actix_web::{App, HttpRequest, HttpServer, web};
use secrecy::ExposeSecret;

use crate::admin::Admin;
use crate::app::end::End;
use crate::config::{MethodSource, PublicUrl, Settings};
use crate::crypto::Random;
use crate::crypto::passwords::{Params, Passwords};
use crate::dialects::oauth2::OAuth2;
use crate::dialects::vocalstack::VocalStack;
use crate::dialects::{self, Surfaces};
use crate::domain::{Fault, Network, UnixTime, Wall};
use crate::edge::exchange::not_found;
use crate::edge::mount::{mount_at, mounts};
use crate::edge::route_tree::{Mount, RouteTree};
use crate::edge::{Edge, JudgedMethod, Surface};
use crate::engine::first_run::{FirstRun, Start, Started};
use crate::engine::{Engine, EngineOptions, Parts};
use crate::ops::{self, Operations, Ops};
use crate::store::{Db, StoreOptions};
use crate::upstream::{TxtOptions, UpstreamOptions};
use crate::web::{self as pages, Web};

mod end;
mod engine;
mod files;
mod local;
pub mod master_key;
mod surfaces;

pub use engine::engine_options;
pub use files::LockedFile;
pub use local::{LocalAnswer, LocalRoutes};
pub use surfaces::all_operations;

const POLL_EVERY: Duration = Duration::from_millis(250);
const TICK_EVERY: Duration = Duration::from_secs(1);
const CLEAN_EVERY: Duration = Duration::from_secs(60);
const HEAD_GRACE: Duration = Duration::from_secs(1);
const RETRY_DATABASE: Duration = Duration::from_secs(2);
/// A command waits for a database that is away for about so long.
const COMMAND_WAITS: Duration = Duration::from_secs(10);
/// A command waits for another process that migrates for so long.
const COMMAND_PATIENCE: Duration = Duration::from_secs(30);
/// Threads of a worker for what blocks, beside those of hashes: to make keys, to look up names.
const BLOCKING: usize = 8;

/// Why the application does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot listen on {address}")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("{doing} {path}")]
    File { doing: &'static str, path: String, source: std::io::Error },
    #[error("another grantd serves this database already: {path} is locked")]
    Locked { path: String },
    #[error("GRANTD_MASTER_KEY must be given with PostgreSQL: every node needs the same one")]
    MasterKeyNeeded,
    #[error("there is no master key: neither is GRANTD_MASTER_KEY set nor does master.key lie in the data directory")]
    NoMasterKey,
    #[error(
        "there is no installation {place}: start `grantd serve` or `grantd migrate` first, or name a server with --server"
    )]
    NoInstallation { place: String },
    #[error("{path} holds no master key, which is 32 bytes in base64: put the right one back")]
    NoKeyInFile { path: String },
    #[error(
        "{path} does not hold the key that was written there: another process has replaced it. Nothing was changed"
    )]
    OtherKeyInFile { path: String },
    #[error("{path} is not taken for the new master key: {why}")]
    UnfitKeyFile { path: String, why: &'static str },
    #[error(
        "the master key is given by the configuration: name a file for the new one with --new-master-key-file, and \
         give its content to every node as GRANTD_MASTER_KEY afterwards"
    )]
    NewMasterKeyFileNeeded,
    #[error("the start failed")]
    Start(#[source] Fault),
    #[error("the database does not answer. Check that it runs and can be reached, then try again")]
    NoAnswer(#[source] Fault),
    #[error(
        "the server ended before all was written, because the database did not answer. No change that was answered is \
         lost; notes of use may be"
    )]
    Unfinished,
    #[error("the server cannot run")]
    Server(#[source] std::io::Error),
}

impl From<Fault> for StartError {
    fn from(fault: Fault) -> Self {
        Self::Start(fault)
    }
}

/// How this start differs from what the settings say.
#[derive(Clone, Copy, Debug, Default)]
pub struct StartFlags {
    /// Another public URL than the stored one is meant.
    pub new_issuer: bool,
}

/// What is mounted and with what; one clone a worker.
#[derive(Clone)]
pub struct Services {
    pub engine: Engine,
    pub edge: Edge,
    surfaces: Surfaces,
    operations: Arc<Operations>,
    /// Path of the public URL: `""` or `/auth`.
    base: String,
}

/// An opened installation: the engine, without a server around it.
pub struct Opened {
    pub engine: Engine,
    pub first: Option<FirstRun>,
    pub public_url: PublicUrl,
    /// Held for as long as this process serves the SQLite file.
    lock: Option<LockedFile>,
}

/// A server that is about to run.
pub struct Application {
    pub services: Services,
    pub first: Option<FirstRun>,
    pub public_url: PublicUrl,
    pub address: SocketAddr,
    server: Server,
    metrics: Option<Server>,
    shutdown: Duration,
    wall: Arc<dyn Wall>,
    _lock: Option<LockedFile>,
}

/// What of the settings the store needs.
pub fn store_options(settings: &Settings) -> StoreOptions {
    StoreOptions {
        url: settings.database_url().expose_secret().to_owned(),
        readers: settings.database.readers,
        pooled: settings.database.pooled,
        ..StoreOptions::default()
    }
}

/// The same for a command, which does not wait for ever.
pub fn command_store_options(settings: &Settings) -> StoreOptions {
    StoreOptions { patience: Some(COMMAND_PATIENCE), ..store_options(settings) }
}

impl Opened {
    /// Opens the database: migrated, first run done, data keys opened, revocations loaded. `port` is
    /// what the public URL falls back to. A server locks the SQLite file against another one.
    pub async fn open(
        settings: &Settings,
        store: &StoreOptions,
        options: &EngineOptions,
        wall: &Arc<dyn Wall>,
        random: Random,
        how: (u16, StartFlags, Purpose),
    ) -> Result<Self, StartError> {
        let (port, flags, purpose) = how;
        let public_url = settings.public_url(port);
        if purpose == Purpose::Manage {
            files::require_installation(store)?;
        } else {
            files::make_data_dir(settings)?;
        }
        let lock = files::lock_database(settings, purpose)?;
        let master = master_key::find(settings, &random)?;
        let start = Start {
            now: wall.now(),
            public_url: public_url.as_str().to_owned(),
            is_loopback: public_url.is_loopback(),
            // The command line works on whatever issuer the database has.
            check_issuer: purpose == Purpose::Serve,
            new_issuer: flags.new_issuer,
            brings_admin_key: settings.admin_key.is_some(),
            master_key_is_new: false,
        };
        let (started, master) = master_key::open(settings, store, master, &random, start, purpose).await?;
        let Started { data_keys, first, issuer_replaced } = started;
        if let Some(old) = issuer_replaced {
            log::warn!("the public URL was {old} and is {} from now on", public_url.as_str());
        }
        let db = Db::open(store)?;
        let parts = Parts {
            db,
            passwords: passwords(settings)?,
            random,
            master,
            data_keys,
            upstream: upstream_options(settings),
            admin_key: settings.admin_key.clone(),
        };
        let engine = Engine::new(parts, options)?;
        engine.load(wall.now()).await?;
        Ok(Self { engine, first, public_url, lock })
    }
}

/// What a process opens the database for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Serve,
    /// To bring it up to this release, and to make it if there is none.
    Migrate,
    /// To work on an installation that is there: a command in a wrong directory makes none.
    Manage,
}

impl Application {
    /// Binds, opens the database and prepares the server. Nothing is answered before [`Self::run`].
    pub async fn build(
        settings: &Settings,
        wall: Arc<dyn Wall>,
        random: Random,
        flags: StartFlags,
    ) -> Result<Self, StartError> {
        let listener = listen(settings.listen)?;
        let address = listener.local_addr().map_err(StartError::Server)?;
        let store = store_options(settings);
        let options = engine_options(settings);
        let how = (address.port(), flags, Purpose::Serve);
        let Opened { engine, first, public_url, lock } =
            Opened::open(settings, &store, &options, &wall, random.clone(), how).await?;
        let services = Services::new(settings, engine, &wall, random, public_url.path());
        let metrics = metrics_server(settings, &services)?;
        let server = http_server(settings, &services, listener)?;
        let shutdown = settings.http.shutdown_timeout();
        Ok(Self { services, first, public_url, address, server, metrics, shutdown, wall, _lock: lock })
    }

    /// A handle to stop the server with.
    pub fn handle(&self) -> ServerHandle {
        self.server.handle()
    }

    /// Serves until it is stopped: by [`Self::handle`], SIGINT or SIGTERM. Requests in flight are
    /// finished within the shutdown time, then what was noted is written and the database closed, for
    /// which a second is left. An error if that was not possible.
    pub async fn run(self) -> Result<(), StartError> {
        let engine = self.services.engine.clone();
        let end = End::after(self.shutdown);
        end.on_signal(self.server.handle());
        let timers = spawn_timers(&engine, &self.wall);
        let metrics = self.metrics.map(|server| (server.handle(), actix_web::rt::spawn(server)));
        log::info!("listening on {}, issuer {}", self.address, self.public_url.as_str());
        let served = self.server.await.map_err(StartError::Server);
        if let Some((handle, _task)) = metrics {
            handle.stop(false).await;
        }
        for timer in timers {
            timer.abort();
        }
        let is_done = end.write_and_close(&engine, &self.wall).await;
        log::info!("stopped");
        served.and(if is_done { Ok(()) } else { Err(StartError::Unfinished) })
    }
}

impl Services {
    pub fn new(settings: &Settings, engine: Engine, wall: &Arc<dyn Wall>, random: Random, base: &str) -> Self {
        let trusted: Vec<Network> = settings.trusted_proxies.clone();
        let edge = Edge {
            wall: Arc::clone(wall),
            request_ids: Arc::new(request_ids(random)),
            trusted_proxies: trusted.into(),
            root_providers: Arc::new(surfaces::root_providers(&settings.surfaces)),
            dress_for: settings.surfaces.vocalstack.enabled.then_some(VocalStack::dress_for),
            hosts: engine.hosts(),
            witness: Arc::new(engine.clone()),
            request_timeout: settings.http.request_timeout(),
            read_timeout: settings.http.read_timeout(),
            judged_method: match settings.forward_auth.method {
                MethodSource::XForwardedMethod => JudgedMethod::Forwarded,
                MethodSource::Request => JudgedMethod::OfTheCall,
            },
        };
        let surfaces = surfaces::switched(&settings.surfaces);
        let operations = Arc::new(all_operations(&settings.surfaces, base));
        Self { engine, edge, surfaces, operations, base: base.to_owned() }
    }

    /// Mounts everything: the standard endpoints and surfaces at the root and below `/p/{slug}`, the
    /// admin API, operations.
    pub fn mount(&self, config: &mut web::ServiceConfig) {
        config
            .app_data(web::Data::new(self.engine.clone()))
            .app_data(web::Data::new(self.edge.clone()))
            .app_data(web::Data::from(Arc::clone(&self.operations)))
            .app_data(web::Data::new(pages::Base(self.base.clone())));
        self.route_tree().mount(config);
        let (base, surfaces) = (self.base.clone(), self.surfaces.clone());
        config.default_service(web::to(move |request: HttpRequest| {
            let (base, surfaces) = (base.clone(), surfaces.clone());
            async move {
                let below = request.path().strip_prefix(base.as_str()).unwrap_or_default().to_owned();
                if Admin::owns(&below) {
                    return not_found::<Admin>(request).await;
                }
                if Web::owns(&below) || Web::owns(dialects::below_provider(&below)) {
                    return not_found::<Web>(request).await;
                }
                dialects::unknown_path(request, &below, &surfaces).await
            }
        }));
    }

    /// Everything that is mounted. Only order costs: what is asked most stands first.
    pub fn route_tree(&self) -> RouteTree {
        let of_a_provider = dialects::all_mounts(&self.surfaces.on_any_host()).into_iter().chain(mounts::<Web>(None));
        let of_a_provider = of_a_provider.map(|mount| mount.below("/p/{provider_slug}"));
        // One look at the prefix costs the others nothing that counts.
        let mut below: Vec<Mount> = of_a_provider.chain(dialects::all_mounts(&self.surfaces)).collect();
        if self.base.is_empty() {
            below.extend(self.inserted_metadata());
        }
        below.extend(mounts::<Web>(None).into_iter().chain(mounts::<Admin>(None)).chain(mounts::<Ops>(None)));
        let below = below.into_iter().map(|mount| mount.below(&self.base));
        let at_root = if self.base.is_empty() { Vec::new() } else { self.mounts_at_root() };
        RouteTree::new(below.chain(at_root))
    }

    /// Beside everything below the path of the public URL: what load balancers and RFC 8414 §3.1
    /// look for at the root.
    fn mounts_at_root(&self) -> Vec<Mount> {
        let health = ["/healthz", "/readyz"].map(|path| mount_at::<Ops>(path, path, None));
        health.into_iter().chain(self.inserted_metadata()).collect()
    }

    /// `/.well-known/<document>/<path of the issuer>`.
    fn inserted_metadata(&self) -> Vec<Mount> {
        let base = &self.base;
        let mut all = Vec::new();
        for path in ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"] {
            if !base.is_empty() {
                all.push(mount_at::<OAuth2>(path, &format!("{path}{base}"), None));
            }
            all.push(mount_at::<OAuth2>(path, &format!("{path}{base}/p/{{provider_slug}}"), None));
        }
        all
    }
}

/// The randomness of production.
pub const fn system_random() -> Random {
    Random::system()
}

/// Makes request ids: UUID v7, so that they sort by time.
pub fn request_ids(random: Random) -> impl Fn(UnixTime) -> String {
    move |now| random.uuid_v7(now)
}

fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    let listener = TcpListener::bind(address).map_err(|source| StartError::Listen { address, source })?;
    listener.set_nonblocking(true).map_err(StartError::Server)?;
    Ok(listener)
}

fn http_server(settings: &Settings, services: &Services, listener: TcpListener) -> Result<Server, StartError> {
    let services = services.clone();
    let blocking = BLOCKING + hash_lanes(settings);
    let server = HttpServer::new(move || App::new().configure(|config| services.mount(config)))
        .workers(cores_if_zero(settings.http.workers as usize))
        .worker_max_blocking_threads(blocking)
        .max_connections(settings.http.max_connections as usize)
        // Later than our own: actix answers without a body, and in nobody's shape.
        .client_request_timeout(settings.http.read_timeout() * 2 + HEAD_GRACE)
        .shutdown_timeout(settings.http.shutdown_timeout().as_secs())
        .disable_signals()
        .listen(listener)
        .map_err(StartError::Server)?;
    Ok(server.run())
}

fn metrics_server(settings: &Settings, services: &Services) -> Result<Option<Server>, StartError> {
    let Some(address) = settings.metrics_listen else { return Ok(None) };
    let listener = listen(address)?;
    let engine = web::Data::new(services.engine.clone());
    let app = move || App::new().app_data(engine.clone()).route("/metrics", web::get().to(ops::metrics_open));
    let server = HttpServer::new(app).workers(1).disable_signals().listen(listener).map_err(StartError::Server)?.run();
    Ok(Some(server))
}

fn cores_if_zero(count: usize) -> usize {
    if count > 0 { count } else { std::thread::available_parallelism().map_or(1, usize::from) }
}

/// One provider holds at most half of the lanes. With twice as many as cores it can still use every core.
fn hash_lanes(settings: &Settings) -> usize {
    match settings.passwords.lanes {
        0 => 2 * cores_if_zero(0),
        lanes => lanes as usize,
    }
}

fn passwords(settings: &Settings) -> Result<Passwords, Fault> {
    let asked = &settings.passwords;
    let params = Params { memory_kib: asked.memory_kib, iterations: asked.iterations, ..Params::default() };
    Passwords::bounded(params, hash_lanes(settings), asked.queue as usize, asked.import_cost_max.into())
}

fn upstream_options(settings: &Settings) -> UpstreamOptions {
    let asked = &settings.upstream;
    UpstreamOptions {
        allow_networks: asked.allow_networks.clone(),
        timeout: asked.timeout(),
        txt: TxtOptions { resolver: settings.dns.resolver, timeout: settings.dns.timeout() },
        ..UpstreamOptions::default()
    }
}

type Timer = actix_web::rt::task::JoinHandle<()>;

/// The change log four times a second, notes and keys once a second, cleanup once a minute.
pub fn spawn_timers(engine: &Engine, wall: &Arc<dyn Wall>) -> Vec<Timer> {
    let poll =
        every(POLL_EVERY, engine, wall, "reading the change log", async |engine, now| engine.poll_changes(now).await);
    let tick = every(TICK_EVERY, engine, wall, "the tick", async |engine, now| engine.tick(now).await);
    let clean = every(CLEAN_EVERY, engine, wall, "cleanup", async |engine, now| engine.clean_up(now).await);
    vec![poll, tick, clean]
}

fn every(
    interval: Duration,
    engine: &Engine,
    wall: &Arc<dyn Wall>,
    what: &'static str,
    work: impl AsyncFn(&Engine, UnixTime) -> Result<(), Fault> + 'static,
) -> Timer {
    let (engine, wall) = (engine.clone(), Arc::clone(wall));
    actix_web::rt::spawn(async move {
        let mut timer = tokio::time::interval(interval);
        timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            timer.tick().await;
            if let Err(fault) = work(&engine, wall.now()).await {
                log::warn!("{what} failed: {fault}");
            }
        }
    })
}
