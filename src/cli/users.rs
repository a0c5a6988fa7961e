//! `grantd user …`. Passwords come from a file or from standard input, never as an argument, which
//! every process of the machine could read.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::cli::CliError;
use crate::cli::body::{Change, Data, Version, given, read, standard_input};
use crate::cli::call::Call;
use crate::cli::clients::At;
use crate::cli::rest::{Paging, Rest};
use crate::domain::id::is_uuid_shaped;

#[derive(Subcommand)]
pub enum Command {
    /// Make an account
    Create {
        #[command(flatten)]
        at: At,
        /// What the person logs in as
        username: String,
        #[command(flatten)]
        password: Password,
        #[command(flatten)]
        fields: Box<Fields>,
        #[command(flatten)]
        data: Data,
    },
    /// List accounts
    List {
        #[command(flatten)]
        at: At,
        #[command(flatten)]
        paging: Paging,
    },
    /// Show an account
    Show {
        #[command(flatten)]
        at: At,
        /// Id, username or email
        user: String,
    },
    /// Change an account
    Update {
        #[command(flatten)]
        at: At,
        /// Id, username or email
        user: String,
        #[arg(long)]
        username: Option<String>,
        #[command(flatten)]
        fields: Box<Fields>,
        #[command(flatten)]
        change: Change,
    },
    /// End an account: its names are free, its tokens inactive
    Delete {
        #[command(flatten)]
        at: At,
        /// Id, username or email
        user: String,
        #[command(flatten)]
        version: Version,
    },
    /// Set the password; ends all the person's sessions and grants
    SetPassword {
        #[command(flatten)]
        at: At,
        /// Id, username or email
        user: String,
        #[command(flatten)]
        password: Password,
        /// No password: no login by one
        #[arg(long, conflicts_with_all = ["password_file", "password_stdin", "password_hash_file"])]
        clear: bool,
    },
    /// Keep a person out, and end all their sessions and grants
    Lock {
        #[command(flatten)]
        at: At,
        /// Id, username or email
        user: String,
    },
    /// Let a locked person in again
    Unlock {
        #[command(flatten)]
        at: At,
        /// Id, username or email
        user: String,
    },
}

#[derive(Args, Serialize)]
pub struct Fields {
    /// The person's email address, by which they may log in too
    #[arg(long)]
    email: Option<String>,
    #[arg(long)]
    email_verified: Option<bool>,
    /// The person's full name
    #[arg(long)]
    name: Option<String>,
    /// A group; repeat for more
    #[arg(long)]
    #[serde(rename = "groups")]
    group: Option<Vec<String>>,
    /// A role; repeat for more
    #[arg(long)]
    #[serde(rename = "roles")]
    role: Option<Vec<String>>,
    #[arg(long)]
    enabled: Option<bool>,
}

#[derive(Args)]
pub struct Password {
    /// A file with the password; the line break at its end does not count
    #[arg(long, value_name = "FILE", conflicts_with_all = ["password_stdin", "password_hash_file"])]
    password_file: Option<PathBuf>,
    /// Read the password from standard input
    #[arg(long, conflicts_with = "password_hash_file")]
    password_stdin: bool,
    /// A file with a hash that other software made: Argon2, bcrypt, scrypt or PBKDF2
    #[arg(long, value_name = "FILE")]
    password_hash_file: Option<PathBuf>,
}

impl Password {
    /// The password or the hash, by its name in the API.
    fn given(self) -> Result<Map<String, Value>, CliError> {
        let Self { password_file, password_stdin, password_hash_file } = self;
        let typed = if password_stdin { Some(standard_input()?) } else { None };
        let filed = password_file.map(|path| read(&path)).transpose()?;
        let mut members = Map::new();
        if let Some(text) = typed.or(filed) {
            members.insert("password".to_owned(), json!(text.trim_end_matches(['\r', '\n'])));
        }
        if let Some(path) = password_hash_file {
            members.insert("password_hash".to_owned(), json!(read(&path)?.trim()));
        }
        Ok(members)
    }
}

impl Command {
    pub async fn run(self, rest: &Rest) -> Result<(), CliError> {
        match self {
            Self::Create { at, username, password, fields, data } => {
                let mut body = data.body(given(&fields))?;
                body.extend(password.given()?);
                body.insert("username".to_owned(), json!(username));
                rest.show(Call::create(at.path(&["users"])?, Value::Object(body))).await
            }
            Self::List { at, paging } => {
                let columns = ["id", "username", "email", "name", "enabled", "locked_at", "has_password"];
                rest.list(Call::get(at.path(&["users"])?), &columns, &paging).await
            }
            Self::Show { at, user } => {
                let id = id_of(rest, &at, user).await?;
                rest.show(Call::get(at.path(&["users", &id])?)).await
            }
            Self::Update { at, user, username, fields, change } => {
                let mut flags = given(&fields);
                flags.extend(username.map(|username| ("username".to_owned(), json!(username))));
                let (body, version) = change.patch(flags)?;
                let id = id_of(rest, &at, user).await?;
                rest.show(Call::patch(at.path(&["users", &id])?, body).if_match(version)).await
            }
            Self::Delete { at, user, version } => {
                let id = id_of(rest, &at, user).await?;
                let call = Call::delete(at.path(&["users", &id])?).if_match(version.if_match);
                rest.done(call, "The account is gone.").await
            }
            Self::SetPassword { at, user, password, clear } => {
                let mut body = password.given()?;
                if clear {
                    body.insert("password".to_owned(), Value::Null);
                }
                if body.is_empty() {
                    let how = "give --password-file, --password-stdin, --password-hash-file or --clear";
                    return Err(CliError::Refused(how.to_owned()));
                }
                let id = id_of(rest, &at, user).await?;
                let call = Call::post(at.path(&["users", &id, "password"])?, Value::Object(body));
                let sentence = "The password is set; the person's sessions and grants have ended.";
                rest.done(call.answering(204), sentence).await
            }
            Self::Lock { at, user } => {
                let id = id_of(rest, &at, user).await?;
                rest.show(Call::post(at.path(&["users", &id, "lock"])?, json!({}))).await
            }
            Self::Unlock { at, user } => {
                let id = id_of(rest, &at, user).await?;
                rest.ask(Call::delete(at.path(&["users", &id, "lock"])?)).await?;
                rest.show(Call::get(at.path(&["users", &id])?)).await
            }
        }
    }
}

/// The id of the account that is named by id, username or email. One that is not found is left to
/// the command, which says so.
pub async fn id_of(rest: &Rest, at: &At, named: String) -> Result<String, CliError> {
    if is_uuid_shaped(&named) {
        return Ok(named);
    }
    for field in ["username", "email"] {
        let call = Call::get(at.path(&["users"])?).query(field, Some(&named));
        let (found, _) = rest.items(call, 1).await?;
        if let Some(id) = found.first().and_then(|user| user.get("id")).and_then(Value::as_str) {
            return Ok(id.to_owned());
        }
    }
    Ok(named)
}
