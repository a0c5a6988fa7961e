//! The grammar: which commands there are, what all of them take, and where management commands work.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use secrecy::SecretString;

use crate::cli::remote::Remote;
use crate::cli::rest::Rest;
use crate::cli::{
    CliError, api, api_keys, body, clients, declared, domains, events, explain, keys, named, providers, reports,
    sessions, trust, users, webhooks,
};
use crate::config::RemoteEnvironment;

/// grantd: a self-hosted OAuth 2.0 and OpenID Connect server.
#[derive(Parser)]
#[command(name = "grantd", version, about, propagate_version = true)]
#[command(after_help = "Exit status: 0 done, 1 refused or failed, 2 wrong use, 3 the server is not reached.")]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Args)]
pub struct Global {
    /// Configuration file; without it grantd.toml in the working directory, if there is one
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// One setting, above the environment: --set http.workers=2
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Answer with JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// Serve under a public URL that differs from the stored one
    #[arg(long, global = true)]
    pub new_issuer: bool,
    #[command(flatten)]
    pub place: Target,
}

/// Where a management command works.
#[derive(Args)]
#[command(next_help_heading = "Management commands")]
pub struct Target {
    /// Work at the server with this public URL, not on the database (GRANTD_SERVER)
    #[arg(long, global = true, value_name = "URL")]
    server: Option<String>,
    /// A file with the API key for --server (GRANTD_KEY_FILE, or the key itself in GRANTD_KEY)
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "key")]
    key_file: Option<PathBuf>,
    /// The API key itself; every process of this machine can read it here, so prefer --key-file
    #[arg(long, global = true)]
    key: Option<String>,
    /// Send the API key to --server over plain http
    #[arg(long, global = true)]
    allow_http: bool,
    /// Longest that a call to --server may take
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    /// Work on the database although GRANTD_SERVER is set
    #[arg(long, global = true, conflicts_with = "server")]
    local: bool,
    /// Judge a change and show what it would come to; nothing is written
    #[arg(long, global = true)]
    pub dry_run: bool,
    /// Have the answer of what was made under this value, or make it now: for a command that makes one thing
    #[arg(long, global = true, value_name = "VALUE")]
    pub idempotency_key: Option<String>,
}

impl Target {
    /// The server that is meant, if one is.
    pub fn remote(&self, environment: &RemoteEnvironment) -> Result<Option<Remote>, CliError> {
        let named = self.server.as_ref().or(environment.server.as_ref());
        let Some(server) = named.filter(|_| !self.local) else {
            // Variables are shared by all commands of a shell; who writes a flag means a server.
            return match self.key_file.is_some() || self.key.is_some() {
                true => Err(CliError::Usage("--key and --key-file are for --server, and none is meant".to_owned())),
                false => Ok(None),
            };
        };
        let key = self.credential(environment)?;
        Remote::new(server, key, self.allow_http, Duration::from_secs(self.timeout)).map(Some)
    }

    /// Flags before the environment, files before bare keys.
    fn credential(&self, environment: &RemoteEnvironment) -> Result<SecretString, CliError> {
        let text = if let Some(path) = &self.key_file {
            body::read_short(path)?
        } else if let Some(key) = &self.key {
            writeln!(
                std::io::stderr(),
                "grantd: --key can be read in the list of processes: use --key-file or GRANTD_KEY"
            )?;
            key.clone()
        } else if let Some(path) = &environment.key_file {
            body::read_short(path.as_ref())?
        } else if let Some(key) = &environment.key {
            key.clone()
        } else {
            let how = "--server needs an API key: --key-file FILE, GRANTD_KEY_FILE or GRANTD_KEY";
            return Err(CliError::Usage(how.to_owned()));
        };
        let key = text.trim();
        if key.is_empty() {
            return Err(CliError::Usage("the API key is empty".to_owned()));
        }
        Ok(SecretString::from(key))
    }

    /// For commands that have no other place than this machine. One that works on its database is not meant where
    /// the `environment` names a server; a start does not ask.
    pub fn refuse_server(&self, environment: Option<&RemoteEnvironment>) -> Result<(), CliError> {
        let given = self.server.is_some() || self.key_file.is_some() || self.key.is_some();
        if given {
            let how = "this command works on this machine only: leave out --server and its key";
            return Err(CliError::Usage(how.to_owned()));
        }
        match environment.and_then(|environment| environment.server.as_ref()).filter(|_| !self.local) {
            None => Ok(()),
            // Not what it says: a URL can hold a password.
            Some(_) => Err(CliError::Usage(
                "this command works on the database itself, on this machine, and GRANTD_SERVER is set: unset it, or say \
                 --local if this machine is meant"
                    .to_owned(),
            )),
        }
    }
}

#[derive(Subcommand)]
pub enum Command {
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
    #[command(flatten)]
    Manage(Box<Manage>),
    /// Print a script that completes commands and flags
    Completions { shell: Shell },
    /// Print the manual page
    Man {
        /// Write one page a command into this folder instead
        #[arg(long)]
        dir: Option<PathBuf>,
    },
}

/// What the admin API does.
#[derive(Subcommand)]
pub enum Manage {
    /// Providers: issuers with keys, clients and policy of their own
    #[command(subcommand)]
    Provider(providers::Command),
    /// OAuth clients and their secrets
    #[command(subcommand)]
    Client(Box<clients::Command>),
    /// Accounts of people
    #[command(subcommand)]
    User(Box<users::Command>),
    /// API keys: management credentials
    #[command(subcommand, name = "api-key")]
    ApiKey(api_keys::Command),
    /// Signing keys, data keys and the master key
    #[command(subcommand)]
    Keys(keys::Command),
    /// Trusted issuers: whose tokens are believed, and on what conditions
    #[command(subcommand)]
    Trust(Box<trust::Command>),
    /// Domains of a provider's own
    #[command(subcommand)]
    Domain(domains::Command),
    /// Scopes: what clients may be given
    #[command(subcommand)]
    Scope(named::Command<named::Plain>),
    /// Roles of people
    #[command(subcommand)]
    Role(named::Command<named::Plain>),
    /// Groups of people, and the roles they give
    #[command(subcommand)]
    Group(named::Command<named::WithRoles>),
    /// Sessions: who is logged in
    #[command(subcommand)]
    Session(sessions::Command),
    /// Grants: which client may act for whom
    #[command(subcommand)]
    Grant(sessions::GrantCommand),
    /// Audit events
    #[command(subcommand)]
    Event(events::Command),
    /// Webhooks: who is told of events
    #[command(subcommand)]
    Webhook(webhooks::Command),
    /// Reports
    #[command(subcommand)]
    Report(reports::Command),
    /// Say why a request was granted or refused
    Explain {
        /// `x-request-id` of the answer
        request_id: String,
    },
    /// Write the configuration of providers as YAML, without secrets
    Export(declared::Export),
    /// Bring providers to what a file says; shows a plan first
    Apply(declared::Apply),
    /// Make any call of the admin API
    Api(api::Api),
}

impl Manage {
    pub async fn run(self, rest: Rest) -> Result<(), CliError> {
        let ran = match self {
            Self::Provider(command) => command.run(&rest).await,
            Self::Client(command) => command.run(&rest).await,
            Self::User(command) => command.run(&rest).await,
            Self::ApiKey(command) => command.run(&rest).await,
            Self::Keys(command) => command.run(&rest).await,
            Self::Trust(command) => command.run(&rest).await,
            Self::Domain(command) => command.run(&rest).await,
            Self::Scope(command) => command.run(&rest, "scopes").await,
            Self::Role(command) => command.run(&rest, "roles").await,
            Self::Group(command) => command.run(&rest, "groups").await,
            Self::Session(command) => command.run(&rest).await,
            Self::Grant(command) => command.run(&rest).await,
            Self::Event(command) => command.run(&rest).await,
            Self::Webhook(command) => command.run(&rest).await,
            Self::Report(command) => command.run(&rest).await,
            Self::Explain { request_id } => explain::run(&rest, &request_id).await,
            Self::Export(export) => export.run(&rest).await,
            Self::Apply(apply) => apply.run(&rest).await.map_err(CliError::loud),
            Self::Api(api) => api.run(&rest).await,
        };
        rest.close().await;
        ran
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_grammar_holds_together() {
        Cli::command().debug_assert();
    }
}
