//! `grantd user …`. Passwords come from a file or from standard input, never as an argument, which
//! every process of the machine could read.

use std::io::Read;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use secrecy::SecretString;

use crate::admin::user_wire::UserOut;
use crate::admin::wire::value;
use crate::cli::clients::At;
use crate::cli::{CliError, Local, output};
use crate::domain::id::is_uuid_shaped;
use crate::domain::page::{ListRequest, PageRequest, UserFilter};
use crate::domain::patch::Field;
use crate::engine::manage::user_fields::UserDraft;
use crate::engine::manage::users::PasswordDraft;

#[derive(Subcommand)]
pub enum Command {
    /// Make an account
    Create {
        #[command(flatten)]
        at: At,
        username: String,
        #[command(flatten)]
        password: Password,
        #[command(flatten)]
        fields: Box<Fields>,
    },
    /// List accounts
    List {
        #[command(flatten)]
        at: At,
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
    },
    /// End an account: its names are free, its tokens inactive
    Delete {
        #[command(flatten)]
        at: At,
        /// Id, username or email
        user: String,
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

#[derive(Args)]
pub struct Fields {
    #[arg(long)]
    email: Option<String>,
    #[arg(long)]
    email_verified: Option<bool>,
    /// The person's full name
    #[arg(long)]
    name: Option<String>,
    /// A group; repeat for more
    #[arg(long)]
    group: Option<Vec<String>>,
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

impl Fields {
    fn draft(self) -> UserDraft {
        let Self { email, email_verified, name, group, enabled } = self;
        UserDraft {
            email: email.into(),
            email_verified: email_verified.into(),
            name: name.into(),
            groups: group.into(),
            roles: Field::Keep,
            enabled: enabled.into(),
            ..UserDraft::default()
        }
    }
}

impl Password {
    /// The password and the hash, as far as they were given.
    fn read(self) -> Result<(Field<SecretString>, Field<String>), CliError> {
        let Self { password_file, password_stdin, password_hash_file } = self;
        let typed = if password_stdin { Some(standard_input()?) } else { None };
        let filed = password_file.map(|path| file(&path)).transpose()?;
        let password = typed.or(filed).map(|text| SecretString::from(text.trim_end_matches(['\r', '\n'])));
        let hash = password_hash_file.map(|path| file(&path)).transpose()?;
        Ok((password.into(), hash.map(|text| text.trim().to_owned()).into()))
    }
}

pub(super) async fn run(command: Command, local: Local) -> Result<(), CliError> {
    let (ctx, actor, engine) = (local.context(), local.actor(), &local.engine);
    match command {
        Command::Create { at, username, password, fields } => {
            let (password, password_hash) = password.read()?;
            let draft = UserDraft { username: Field::Set(username), password, password_hash, ..fields.draft() };
            let made = engine.create_user(&ctx, &actor, &at.provider, draft).await?;
            output::show(&value(UserOut::from(made)), local.json)?;
        }
        Command::List { at } => list(&local, &at).await?,
        Command::Show { at, user } => {
            let id = id_of(&local, &at, user).await?;
            let user = engine.read_user(&ctx, &actor, &at.provider, &id).await?;
            output::show(&value(UserOut::from(user)), local.json)?;
        }
        Command::Update { at, user, username, fields } => {
            let id = id_of(&local, &at, user).await?;
            let draft = UserDraft { username: username.into(), ..fields.draft() };
            let user = engine.update_user(&ctx, &actor, &at.provider, &id, draft, None).await?;
            output::show(&value(UserOut::from(user)), local.json)?;
        }
        Command::Delete { at, user } => {
            let id = id_of(&local, &at, user).await?;
            engine.delete_user(&ctx, &actor, &at.provider, &id, None).await?;
            output::done("The account is gone.", local.json)?;
        }
        Command::SetPassword { at, user, password, clear } => {
            let id = id_of(&local, &at, user).await?;
            let (password, password_hash) = password.read()?;
            let password = if clear { Field::Reset } else { password };
            if password.is_keep() && password_hash.is_keep() {
                let how = "give --password-file, --password-stdin, --password-hash-file or --clear";
                return Err(CliError::Refused(how.to_owned()));
            }
            let draft = PasswordDraft { password, password_hash, slips: Vec::new() };
            engine.set_user_password(&ctx, &actor, &at.provider, &id, draft).await?;
            output::done("The password is set; the person's sessions and grants have ended.", local.json)?;
        }
        Command::Lock { at, user } => {
            let id = id_of(&local, &at, user).await?;
            let user = engine.lock_user(&ctx, &actor, &at.provider, &id).await?;
            output::show(&value(UserOut::from(user)), local.json)?;
        }
        Command::Unlock { at, user } => {
            let id = id_of(&local, &at, user).await?;
            let user = engine.unlock_user(&ctx, &actor, &at.provider, &id).await?;
            output::show(&value(UserOut::from(user)), local.json)?;
        }
    }
    local.close().await;
    Ok(())
}

/// The id of the account that is named by id, username or email. One that is not found is left to
/// the command, which says so.
async fn id_of(local: &Local, at: &At, named: String) -> Result<String, CliError> {
    if is_uuid_shaped(&named) {
        return Ok(named);
    }
    let (ctx, actor) = (local.context(), local.actor());
    let by_name = UserFilter { username: Some(named.clone()), ..UserFilter::default() };
    let by_email = UserFilter { email: Some(named.clone()), ..UserFilter::default() };
    for filter in [by_name, by_email] {
        let found = local.engine.find_users(&ctx, &actor, &at.provider, first(filter)).await?;
        if let Some(user) = found.items.first() {
            return Ok(user.id.to_string());
        }
    }
    Ok(named)
}

async fn list(local: &Local, at: &At) -> Result<(), CliError> {
    let (ctx, actor) = (local.context(), local.actor());
    let mut items = Vec::new();
    let mut page = first(UserFilter::default());
    loop {
        let listed = local.engine.find_users(&ctx, &actor, &at.provider, page.clone()).await?;
        items.extend(listed.items.into_iter().map(|user| value(UserOut::from(user))));
        let Some(next) = listed.next else { break };
        page.after = Some(next);
    }
    let columns = ["id", "username", "email", "name", "enabled", "locked_at", "has_password"];
    Ok(output::list(&items, &columns, local.json)?)
}

fn first(filter: UserFilter) -> ListRequest<UserFilter> {
    ListRequest { limit: PageRequest::MAX, sort: "created_at", descending: false, after: None, filter }
}

fn file(path: &PathBuf) -> Result<String, CliError> {
    let text = std::fs::read_to_string(path);
    text.map_err(|error| CliError::Refused(format!("cannot read {}: {error}", path.display())))
}

fn standard_input() -> Result<String, CliError> {
    let mut text = String::new();
    let read = std::io::stdin().lock().read_to_string(&mut text);
    read.map_err(|error| CliError::Refused(format!("cannot read standard input: {error}")))?;
    Ok(text)
}
