//! The command line. `serve` runs the server; every other command works on the database directly,
//! as the local operator: whoever may read the database and the master key.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::app::{self, Application, Opened, Serve, StartError, StartFlags};
use crate::config::{self, ConfigError, Inputs, Settings};
use crate::domain::clock::{SystemWall, deadline_in};
use crate::domain::{Context, Failed, Wall};
use crate::engine::manage::Actor;
use crate::engine::{Engine, EngineOptions};
use crate::first_run;
use crate::telemetry;

mod api_keys;
mod clients;
mod doctor;
mod healthcheck;
mod keys;
mod output;
mod providers;
mod secrets;
mod trust;
mod users;

/// How long a command may wait for the database.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);

/// grantd: a self-hosted OAuth 2.0 and OpenID Connect server.
#[derive(Parser)]
#[command(name = "grantd", version, about, propagate_version = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Args)]
struct Global {
    /// Configuration file; without it grantd.toml in the working directory, if there is one
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One setting, above the environment: --set http.workers=2
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Answer with JSON
    #[arg(long, global = true)]
    json: bool,
    /// Serve under a public URL that differs from the stored one
    #[arg(long, global = true)]
    new_issuer: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server (the default)
    Serve,
    /// Bring the database up to this release and do the first run
    Migrate,
    /// Look for what is wrong or dangerous in this installation
    Doctor,
    /// Show the effective configuration and where each value comes from
    Config,
    /// Print the OpenAPI document
    Openapi,
    /// Ask the server of this configuration whether it is alive
    Healthcheck,
    /// Providers: issuers with keys, clients and policy of their own
    #[command(subcommand)]
    Provider(providers::Command),
    /// OAuth clients and their secrets
    #[command(subcommand)]
    Client(clients::Command),
    /// Accounts of people
    #[command(subcommand)]
    User(users::Command),
    /// API keys: management credentials
    #[command(subcommand, name = "api-key")]
    ApiKey(api_keys::Command),
    /// Signing keys
    #[command(subcommand)]
    Keys(keys::Command),
    /// Trusted issuers: whose tokens are believed, and on what conditions
    #[command(subcommand)]
    Trust(trust::Command),
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    #[error("the configuration is not usable:\n{0}")]
    Config(ConfigError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("{0}")]
    Refused(String),
    #[error("it failed")]
    Failed(#[source] Failed),
    #[error("cannot write the answer")]
    Output(#[from] std::io::Error),
    #[error("{0}")]
    Unhealthy(String),
}

impl From<Failed> for CliError {
    fn from(failed: Failed) -> Self {
        match &failed {
            Failed::Refused(refusal) => Self::Refused(output::refusal(refusal)),
            Failed::Fault(_) => Self::Failed(failed),
        }
    }
}

/// Parses the arguments of the process and runs the command.
pub fn run() -> Result<(), CliError> {
    let Cli { global, command } = Cli::parse();
    let flags = global.set.iter().map(|pair| split_setting(pair)).collect::<Result<Vec<_>, _>>()?;
    let loaded = config::load(&Inputs::of_process(global.config.clone(), flags)).map_err(CliError::Config)?;
    let command = command.unwrap_or(Command::Serve);
    if matches!(command, Command::Config) {
        return Ok(output::configuration(&loaded.effective(), global.json)?);
    }
    let settings = loaded.settings;
    // A second start of the logger is a programming error and harmless.
    if telemetry::start(&settings.log, settings.log_format.is_json()).is_err() {
        log::debug!("the logger runs already");
    }
    actix_web::rt::System::new().block_on(dispatch(command, &settings, &global))
}

async fn dispatch(command: Command, settings: &Settings, global: &Global) -> Result<(), CliError> {
    let Global { json, new_issuer, .. } = *global;
    match command {
        Command::Serve => serve(settings, StartFlags { new_issuer }).await,
        Command::Config => Ok(()),
        Command::Openapi => {
            let public_url = settings.public_url(settings.listen.port());
            let operations = app::all_operations(&settings.surfaces, public_url.path());
            Ok(writeln!(std::io::stdout(), "{:#}", operations.document())?)
        }
        Command::Healthcheck => healthcheck::run(settings.listen),
        Command::Migrate => {
            let local = Local::open(settings, json).await?;
            writeln!(std::io::stdout(), "The database is up to date.")?;
            local.close().await;
            Ok(())
        }
        Command::Doctor => doctor::run(settings, json).await,
        Command::Provider(command) => providers::run(command, Local::open(settings, json).await?).await,
        Command::Client(command) => clients::run(command, Local::open(settings, json).await?).await,
        Command::User(command) => users::run(command, Local::open(settings, json).await?).await,
        Command::ApiKey(command) => api_keys::run(command, Local::open(settings, json).await?).await,
        Command::Keys(command) => keys::run(command, Local::open(settings, json).await?).await,
        Command::Trust(command) => trust::run(command, Local::open(settings, json).await?).await,
    }
}

async fn serve(settings: &Settings, flags: StartFlags) -> Result<(), CliError> {
    let application = Application::build(settings, Arc::new(SystemWall), app::system_random(), flags).await?;
    if let Some(first) = &application.first {
        first_run::announce(&mut std::io::stdout().lock(), first, application.public_url.as_str())?;
    }
    Ok(application.run().await?)
}

/// The opened database and who works on it.
struct Local {
    engine: Engine,
    wall: Arc<dyn Wall>,
    /// One for this command, in events and logs.
    request_id: String,
    json: bool,
}

impl Local {
    async fn open(settings: &Settings, json: bool) -> Result<Self, CliError> {
        let wall: Arc<dyn Wall> = Arc::new(SystemWall);
        let store = app::store_options(settings);
        // A command lives for seconds, and what it reads it has just read.
        let options = EngineOptions { stale_after: COMMAND_TIMEOUT * 2, ..EngineOptions::default() };
        let how = (settings.listen.port(), StartFlags::default(), Serve::No);
        let opened = Opened::open(settings, &store, &options, &wall, app::system_random(), how).await?;
        if let Some(first) = &opened.first {
            // Where scripts read JSON, the greeting stands beside it.
            let mut out: Box<dyn Write> = if json { Box::new(std::io::stderr()) } else { Box::new(std::io::stdout()) };
            first_run::announce(&mut out, first, opened.public_url.as_str())?;
        }
        let request_id = app::request_ids(app::system_random())(wall.now());
        Ok(Self { engine: opened.engine, wall, request_id, json })
    }

    fn context(&self) -> Context {
        Context {
            request_id: self.request_id.clone(),
            client_address: std::net::Ipv4Addr::LOCALHOST.into(),
            now: self.wall.now(),
            deadline: deadline_in(COMMAND_TIMEOUT),
            surface: "cli",
            domain: None,
            trail: crate::domain::Trail::default(),
        }
    }

    fn actor(&self) -> Actor {
        Actor::LocalOperator
    }

    async fn close(self) {
        self.engine.db().close(deadline_in(COMMAND_TIMEOUT)).await;
    }
}

fn split_setting(pair: &str) -> Result<(String, String), CliError> {
    let split = pair.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
    split.ok_or_else(|| CliError::Refused(format!("--set takes KEY=VALUE, not {pair}")))
}
