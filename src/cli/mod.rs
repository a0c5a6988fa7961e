//! The command line. `serve` runs the server; every management command is one call of the admin API,
//! on the database as the local operator (whoever may read the database and the master key), or at a
//! server by an API key.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use clap::{CommandFactory, Parser};

use crate::app::{self, Application, LocalRoutes, Opened, Purpose, StartError, StartFlags};
use crate::cli::commands::{Cli, Command, Global, Manage};
use crate::cli::overdue::Overdue;
use crate::cli::rest::{Place, Rest};
use crate::config::{self, ConfigError, Inputs, RemoteEnvironment, Settings};
use crate::domain::clock::{SystemWall, deadline_in};
use crate::domain::{Context, Effect, Failed, Fault, Refusal, RefusalKind, Wall};
use crate::engine::first_run::FirstRun;
use crate::engine::manage::Actor;
use crate::engine::{Engine, EngineOptions};
use crate::first_run;
use crate::telemetry;

mod api;
mod api_keys;
mod body;
mod call;
mod clients;
mod commands;
mod declared;
mod doctor;
#[cfg(test)]
mod documented;
mod domains;
mod events;
mod explain;
mod healthcheck;
mod keys;
mod master_key;
mod named;
mod output;
mod overdue;
mod problem;
mod providers;
mod remote;
mod reports;
mod rest;
mod secrets;
mod sessions;
mod shell;
mod trust;
mod users;
mod webhooks;

/// How long a command may wait for the database.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    #[error("the configuration is not usable:\n{0}")]
    Config(ConfigError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("{0}")]
    Refused(String),
    /// What was asked for cannot be meant so.
    #[error("{0}")]
    Usage(String),
    /// The server is not reached, or cannot answer right now.
    #[error("{0}")]
    Unreachable(String),
    #[error("the database cannot be opened")]
    Database(#[source] Fault),
    /// There is a way to another key, and only here is it known that nobody has the first one.
    #[error(
        "the installation is made, but what it shows once could not be written, so nobody has its first keys: make an \
         owner key with `grantd api-key create --role owner --local`, then delete the API key `first owner` and the \
         client `first-service`"
    )]
    NotShown(#[source] std::io::Error),
    /// No answer came to a change that the server may have made.
    #[error("{}", maybe_done(why, key.as_deref()))]
    MaybeDone { why: String, key: Option<String> },
    /// A change was made, and nobody has seen its answer.
    #[error("it was done, but its answer cannot be written: {0}")]
    Unseen(String),
    #[error("it failed")]
    Failed(#[source] Failed),
    #[error("cannot write the answer")]
    Output(#[from] std::io::Error),
    #[error("{0}")]
    Unhealthy(String),
}

impl CliError {
    /// The exit status.
    pub fn code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Unreachable(_) | Self::MaybeDone { .. } | Self::Start(StartError::NoAnswer(_)) => 3,
            _ => 1,
        }
    }

    /// For a command that must not end quietly where nobody reads what it says.
    fn loud(self) -> Self {
        match self {
            Self::Output(error) => Self::Refused(format!("cannot write to standard output: {error}")),
            other => other,
        }
    }

    /// Whoever reads has seen enough and is gone.
    fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == std::io::ErrorKind::BrokenPipe)
    }
}

impl From<Failed> for CliError {
    fn from(failed: Failed) -> Self {
        match &failed {
            Failed::Refused(refusal) => Self::Refused(sentence(refusal)),
            Failed::Fault(_) => Self::Failed(failed),
        }
    }
}

fn maybe_done(why: &str, key: Option<&str>) -> String {
    match key {
        Some(key) => format!(
            "{why}; it may have been done. The same command line with --idempotency-key {key} gives its answer, and makes \
             nothing more"
        ),
        None => format!("{why}; it may have been done: look before you do it again"),
    }
}

/// A refusal of the engine itself, for the commands that work on it directly.
fn sentence(refusal: &Refusal) -> String {
    match &refusal.kind {
        RefusalKind::Invalid(errors) => {
            let sentences =
                errors.iter().map(|error| format!("{} {}", error.pointer.trim_start_matches('/'), error.detail));
            sentences.collect::<Vec<_>>().join("\n")
        }
        _ => refusal.hint.to_string(),
    }
}

/// Parses the arguments of the process and runs the command.
pub fn run() -> Result<(), CliError> {
    match run_command() {
        Err(error) if error.is_closed_pipe() => Ok(()),
        ran => ran,
    }
}

fn run_command() -> Result<(), CliError> {
    let Cli { global, command } = Cli::parse();
    let command = match command.unwrap_or(Command::Serve) {
        Command::Completions { shell } => return shell::completions(Cli::command(), shell),
        Command::Man { dir } => return shell::man(Cli::command(), dir.as_deref()),
        command => command,
    };
    let flags = global.set.iter().map(|pair| split_setting(pair)).collect::<Result<Vec<_>, _>>()?;
    let inputs = Inputs::of_process(global.config.clone(), flags);
    let command = match command {
        Command::Manage(command) if !matches!(*command, Manage::Keys(keys::Command::Here(_))) => {
            if let Some(remote) = global.place.remote(&RemoteEnvironment::of(&inputs.environment))? {
                // What a server is configured by says nothing of another one.
                start_logger("warn", false);
                let rest = Rest::new(Place::Server(remote), &global);
                return block_on(command.run(rest));
            }
            Command::Manage(command)
        }
        command => {
            let on_the_database = matches!(command, Command::Manage(_) | Command::Doctor | Command::Migrate);
            let environment = RemoteEnvironment::of(&inputs.environment);
            global.place.refuse_server(on_the_database.then_some(&environment))?;
            command
        }
    };
    let loaded = config::load(&inputs).map_err(CliError::Config)?;
    if matches!(command, Command::Config) {
        return Ok(output::configuration(&loaded.effective(), global.json)?);
    }
    let settings = loaded.settings;
    // The routes that a command calls in this process need no lines about it.
    let quiet = if matches!(command, Command::Manage(_)) { ",access=off,grantd::refused=off" } else { "" };
    start_logger(&format!("{}{quiet}", settings.log), settings.log_format.is_json());
    block_on(dispatch(command, &settings, &global))
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    actix_web::rt::System::new().block_on(future)
}

/// A second start of the logger is a programming error and harmless.
fn start_logger(filter: &str, json: bool) {
    if telemetry::start(filter, json).is_err() {
        log::debug!("the logger runs already");
    }
}

async fn dispatch(command: Command, settings: &Settings, global: &Global) -> Result<(), CliError> {
    let Global { json, new_issuer, .. } = *global;
    match command {
        Command::Serve => serve(settings, StartFlags { new_issuer }).await,
        Command::Config | Command::Completions { .. } | Command::Man { .. } => Ok(()),
        Command::Openapi => {
            let public_url = settings.public_url(settings.listen.port());
            let operations = app::all_operations(&settings.surfaces, public_url.path());
            Ok(writeln!(std::io::stdout(), "{:#}", operations.document())?)
        }
        Command::Healthcheck => healthcheck::run(settings.listen),
        Command::Migrate => {
            let local = Local::open(settings, Purpose::Migrate, json).await?;
            output::done("The database is up to date.", json)?;
            local.close().await;
            Ok(())
        }
        Command::Doctor => doctor::run(settings, json).await,
        Command::Manage(command) => {
            if let Manage::Keys(keys::Command::Here(command)) = *command {
                let _overdue = Overdue::watch();
                return command.run(settings, json);
            }
            let local = Box::new(Local::open(settings, Purpose::Manage, json).await?);
            command.run(Rest::new(local.place(settings).await, global)).await
        }
    }
}

async fn serve(settings: &Settings, flags: StartFlags) -> Result<(), CliError> {
    let application = Application::build(settings, Arc::new(SystemWall), app::system_random(), flags).await?;
    if let Some(first) = &application.first {
        greet(&mut std::io::stdout().lock(), first, application.public_url.as_str())?;
    }
    // Not by way of `main`: the end of the runtime waits for every thread that hangs.
    match application.run().await {
        Ok(()) => leave(0),
        Err(error) => {
            let error = CliError::from(error);
            report(&error);
            leave(error.code())
        }
    }
}

fn leave(code: u8) -> ! {
    log::logger().flush();
    // Where standard output cannot be written to, the exit status still tells.
    let _ = std::io::stdout().flush();
    std::process::exit(code.into())
}

/// Prints an error with its causes to standard error.
pub fn report(error: &CliError) {
    // Where standard error cannot be written to, the exit status still tells.
    let mut out = std::io::stderr().lock();
    let _ = writeln!(out, "grantd: {error}");
    let mut said = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let text = inner.to_string();
        // A message that holds its cause has told it.
        if !said.ends_with(&text) {
            let _ = writeln!(out, "  because: {text}");
            said = text;
        }
        cause = inner.source();
    }
}

fn greet(out: &mut impl Write, first: &FirstRun, issuer: &str) -> Result<(), CliError> {
    first_run::announce(out, first, issuer).map_err(|error| match first.credentials {
        Some(_) => CliError::NotShown(error),
        None => CliError::Output(error),
    })
}

/// The opened database and who works on it.
struct Local {
    engine: Engine,
    wall: Arc<dyn Wall>,
    /// One for this command, in events and logs.
    request_id: String,
}

impl Local {
    /// `data`: what goes to standard output is for a program.
    async fn open(settings: &Settings, purpose: Purpose, data: bool) -> Result<Self, CliError> {
        let wall: Arc<dyn Wall> = Arc::new(SystemWall);
        let store = match purpose {
            Purpose::Manage => app::command_store_options(settings),
            Purpose::Serve | Purpose::Migrate => app::store_options(settings),
        };
        // A command lives for seconds, and what it reads it has just read.
        let options = EngineOptions { stale_after: COMMAND_TIMEOUT * 2, ..EngineOptions::default() };
        let how = (settings.listen.port(), StartFlags::default(), purpose);
        // A migration may take as long as it takes.
        let _overdue = (purpose == Purpose::Manage).then(Overdue::watch);
        let opened = Opened::open(settings, &store, &options, &wall, app::system_random(), how).await;
        let opened = opened.map_err(|error| match error {
            StartError::Start(fault) => CliError::Database(fault),
            error => CliError::Start(error),
        })?;
        if let Some(first) = &opened.first {
            // The greeting stands beside what a program reads.
            let mut out: Box<dyn Write> = if data { Box::new(std::io::stderr()) } else { Box::new(std::io::stdout()) };
            greet(&mut out, first, opened.public_url.as_str())?;
        }
        let request_id = app::request_ids(app::system_random())(wall.now());
        Ok(Self { engine: opened.engine, wall, request_id })
    }

    /// The admin API over this database, without a socket.
    async fn place(self: Box<Self>, settings: &Settings) -> Place {
        let (engine, random) = (self.engine.clone(), app::system_random());
        let routes = LocalRoutes::mount(settings, engine, &self.wall, random, COMMAND_TIMEOUT).await;
        Place::Database { local: self, routes }
    }

    fn context(&self) -> Context {
        Context {
            request_id: self.request_id.clone(),
            client_address: std::net::Ipv4Addr::LOCALHOST.into(),
            now: self.wall.now(),
            deadline: deadline_in(COMMAND_TIMEOUT),
            surface: "cli",
            domain: None,
            effect: Effect::Commit,
            trail: crate::domain::Trail::default(),
        }
    }

    fn actor(&self) -> Actor {
        Actor::LocalOperator
    }

    async fn close(self) {
        // What a command did was answered before; what hangs ends with the process.
        let _in_time = self.engine.db().close(deadline_in(COMMAND_TIMEOUT)).await;
    }
}

fn split_setting(pair: &str) -> Result<(String, String), CliError> {
    let split = pair.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
    split.ok_or_else(|| CliError::Refused(format!("--set takes KEY=VALUE, not {pair}")))
}
