//! `grantd session …` and `grantd grant …`: who is logged in, and which client may act for whom.

use clap::{Args, Subcommand};

use crate::cli::CliError;
use crate::cli::call::Call;
use crate::cli::clients::At;
use crate::cli::rest::{Paging, Rest};
use crate::cli::users::id_of;

#[derive(Subcommand)]
pub enum Command {
    /// List sessions
    List {
        #[command(flatten)]
        at: At,
        #[command(flatten)]
        of: Of,
        #[command(flatten)]
        paging: Paging,
    },
    /// End a session, or all of a user or client
    End {
        #[command(flatten)]
        at: At,
        #[command(flatten)]
        which: Which,
    },
}

#[derive(Subcommand)]
pub enum GrantCommand {
    /// List grants
    List {
        #[command(flatten)]
        at: At,
        #[command(flatten)]
        of: Of,
        #[command(flatten)]
        paging: Paging,
    },
    /// End a grant and all its tokens, or all of a user or client
    Revoke {
        #[command(flatten)]
        at: At,
        #[command(flatten)]
        which: Which,
    },
}

#[derive(Args)]
pub struct Of {
    /// Of this user: id, username or email
    #[arg(long)]
    user: Option<String>,
    /// With this client
    #[arg(long)]
    client: Option<String>,
}

#[derive(Args)]
#[group(required = true, multiple = true)]
pub struct Which {
    /// Its id
    #[arg(conflicts_with_all = ["user", "client"])]
    id: Option<String>,
    /// All of this user: id, username or email
    #[arg(long)]
    user: Option<String>,
    /// All with this client
    #[arg(long)]
    client: Option<String>,
}

const SESSIONS: [&str; 6] = ["id", "user_id", "address", "user_agent", "last_seen_at", "expires_at"];
const GRANTS: [&str; 6] = ["id", "user_id", "client_id", "scope", "last_used_at", "expires_at"];

impl Command {
    pub async fn run(self, rest: &Rest) -> Result<(), CliError> {
        match self {
            Self::List { at, of, paging } => of.list(rest, &at, "sessions", &SESSIONS, &paging).await,
            Self::End { at, which } => which.end(rest, &at, "sessions", "The session has ended.").await,
        }
    }
}

impl GrantCommand {
    pub async fn run(self, rest: &Rest) -> Result<(), CliError> {
        match self {
            Self::List { at, of, paging } => of.list(rest, &at, "grants", &GRANTS, &paging).await,
            Self::Revoke { at, which } => which.end(rest, &at, "grants", "The grant has ended.").await,
        }
    }
}

impl Of {
    async fn list(
        self,
        rest: &Rest,
        at: &At,
        collection: &str,
        columns: &[&str],
        paging: &Paging,
    ) -> Result<(), CliError> {
        let call = self.narrow(rest, at, Call::get(at.path(&[collection])?)).await?;
        rest.list(call, columns, paging).await
    }

    async fn narrow(self, rest: &Rest, at: &At, call: Call) -> Result<Call, CliError> {
        let user = match self.user {
            Some(user) => Some(id_of(rest, at, user).await?),
            None => None,
        };
        Ok(call.query("user", user).query("client", self.client))
    }
}

impl Which {
    async fn end(self, rest: &Rest, at: &At, collection: &str, sentence: &str) -> Result<(), CliError> {
        let Self { id, user, client } = self;
        if let Some(id) = id {
            return rest.done(Call::delete(at.path(&[collection, &id])?), sentence).await;
        }
        let call = Of { user, client }.narrow(rest, at, Call::delete(at.path(&[collection])?)).await?;
        rest.done(call, "All of them have ended.").await
    }
}
