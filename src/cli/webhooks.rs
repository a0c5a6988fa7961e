//! `grantd webhook …`.

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::cli::CliError;
use crate::cli::body::{Change, Data, Version, given};
use crate::cli::call::{Call, path};
use crate::cli::rest::{Paging, Rest};

#[derive(Subcommand)]
pub enum Command {
    /// Tell a URL of events; the secret that signs what is sent is printed this once
    Create {
        url: String,
        /// Of this provider only; without it of all
        #[arg(long)]
        provider: Option<String>,
        #[command(flatten)]
        fields: Fields,
        #[command(flatten)]
        data: Data,
    },
    /// List webhooks
    List {
        #[command(flatten)]
        paging: Paging,
    },
    /// Show a webhook
    Show { id: String },
    /// Change a webhook
    Update {
        id: String,
        #[arg(long)]
        url: Option<String>,
        #[command(flatten)]
        fields: Fields,
        #[command(flatten)]
        change: Change,
    },
    /// End a webhook
    Delete {
        id: String,
        #[command(flatten)]
        version: Version,
    },
    /// Make a new secret; it is printed this once
    RotateSecret {
        id: String,
        /// Seconds that both secrets sign
        #[arg(long, value_name = "SECONDS")]
        overlap: Option<i64>,
    },
    /// Send a test event
    Test { id: String },
    /// List what was sent, is to be sent, or came to nothing
    Deliveries {
        id: String,
        /// pending, delivered or dead
        #[arg(long)]
        state: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
    /// Send a delivery again
    Retry { id: String, delivery_id: String },
}

#[derive(Args, Serialize)]
pub struct Fields {
    /// As client.created, or client.* for all of a kind; repeat for more
    #[arg(long)]
    #[serde(rename = "events")]
    event: Option<Vec<String>>,
    #[arg(long)]
    enabled: Option<bool>,
}

impl Command {
    pub async fn run(self, rest: &Rest) -> Result<(), CliError> {
        let at = |below: &[&str]| path(&[&["webhooks"], below].concat());
        match self {
            Self::Create { url, provider, fields, data } => {
                let mut body = data.body(given(&fields))?;
                body.insert("url".to_owned(), json!(url));
                body.extend(provider.map(|provider| ("provider".to_owned(), json!(provider))));
                rest.show(Call::create(at(&[])?, Value::Object(body))).await
            }
            Self::List { paging } => {
                rest.list(Call::get(at(&[])?), &["id", "provider", "url", "events", "enabled"], &paging).await
            }
            Self::Show { id } => rest.show(Call::get(at(&[&id])?)).await,
            Self::Update { id, url, fields, change } => {
                let mut flags = given(&fields);
                flags.extend(url.map(|url| ("url".to_owned(), json!(url))));
                let (body, version) = change.patch(flags)?;
                rest.show(Call::patch(at(&[&id])?, body).if_match(version)).await
            }
            Self::Delete { id, version } => {
                rest.done(Call::delete(at(&[&id])?).if_match(version.if_match), "The webhook is gone.").await
            }
            Self::RotateSecret { id, overlap } => {
                let mut body = Map::new();
                body.extend(overlap.map(|seconds| ("overlap_seconds".to_owned(), json!(seconds))));
                rest.show(Call::post(at(&[&id, "rotate-secret"])?, Value::Object(body))).await
            }
            Self::Test { id } => rest.show(Call::post(at(&[&id, "test"])?, json!({})).answering(202)).await,
            Self::Deliveries { id, state, paging } => {
                let call = Call::get(at(&[&id, "deliveries"])?).query("state", state);
                rest.list(call, &["id", "state", "attempts", "created_at", "next_at", "error"], &paging).await
            }
            Self::Retry { id, delivery_id } => {
                let call = Call::post(at(&[&id, "deliveries", &delivery_id, "retry"])?, json!({}));
                rest.done(call.answering(202), "It is sent again.").await
            }
        }
    }
}
