//! What a surface manages through calls of its own: providers, and clients that work on that surface
//! only. A client that was made elsewhere is not there for it, so that a call of the
//! surface neither ends it nor speaks in its name.

use crate::domain::page::{Page, PageRequest};
use crate::domain::patch::Field;
use crate::domain::provider::DEFAULT_SLUG;
use crate::domain::{Client, Context, Decision, Failed};
use crate::engine::Engine;
use crate::engine::manage::client_draft::ClientDraft;
use crate::engine::manage::clients::{CreatedClient, Origin, unknown_client};
use crate::engine::manage::{Actor, unknown_provider};
use crate::store::{clients, users};

/// Characters of a subject that is no client_id.
const SUBJECT: usize = 32;
/// Characters that keep two providers of one name apart.
const SUFFIX: usize = 8;
/// What of a name becomes part of a slug at most: with hyphen and suffix a slug has room for it.
const NAME_PART: usize = 48;

impl Engine {
    /// A slug for a provider of this name that no other one has.
    pub fn fresh_slug(&self, name: &str) -> String {
        slug_of(name, &self.0.random.base62(SUFFIX).to_ascii_lowercase())
    }

    /// Makes a client that works on this surface only: without a secret, with a subject of its own.
    pub async fn create_surface_client(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        draft: ClientDraft,
    ) -> Result<Client, Failed> {
        let draft = ClientDraft { subject: Field::Set(self.0.random.base62(SUBJECT)), ..draft };
        let origin = Origin { only_surface: Some(ctx.surface), ..Origin::default() };
        let CreatedClient { client, secret: _ } = self.create_client_as(ctx, actor, provider, draft, origin).await?;
        Ok(client)
    }

    /// Ordered by `client_id`.
    pub async fn list_surface_clients(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        page: PageRequest,
    ) -> Result<Page<Client>, Failed> {
        let provider = self.read_provider(ctx, actor, provider).await?;
        let surface = ctx.surface;
        let read = move |conn: &mut _| clients::list_of_surface(conn, &provider.id, surface, &page);
        Ok(self.0.db.read(ctx.deadline, read).await?)
    }

    pub async fn read_surface_client(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        client_id: &str,
    ) -> Result<Client, Failed> {
        let client = self.read_client(ctx, actor, provider, client_id).await?;
        let is_ours = client.only_surface.as_deref() == Some(ctx.surface);
        if is_ours { Ok(client) } else { Err(unknown_client().into()) }
    }

    pub async fn delete_surface_client(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        client_id: &str,
    ) -> Result<(), Failed> {
        let client = self.read_surface_client(ctx, actor, provider, client_id).await?;
        self.delete_client(ctx, actor, provider, client.client_id.as_str(), None).await
    }

    /// Ends a provider with the clients that this surface made. `default`, and one that has users or
    /// other clients, is not there for the surface to end.
    pub async fn delete_surface_provider(&self, ctx: &Context, actor: &Actor, id: &str) -> Result<(), Failed> {
        let surface = ctx.surface;
        self.end_provider(ctx, actor, id, None, true, move |tx, provider| {
            let spared = provider.slug == DEFAULT_SLUG
                || users::count_live(tx, &provider.id)? > 0
                || clients::any_beside_surface(tx, &provider.id, surface)?;
            Ok(if spared { Decision::Refuse(unknown_provider()) } else { Decision::Allow(()) })
        })
        .await
    }
}

/// ```text
/// "Acme App (Prod)", "1a2b3c4d"  → "acme-app-prod-1a2b3c4d"
/// ```
fn slug_of(name: &str, suffix: &str) -> String {
    let plain = |character: char| if character.is_ascii_alphanumeric() { character } else { '-' };
    let lower: String = name.to_lowercase().chars().map(plain).take(NAME_PART).collect();
    let words: Vec<&str> = lower.split('-').filter(|word| !word.is_empty()).chain([suffix]).collect();
    words.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::is_slug;

    #[test]
    fn every_name_gives_a_slug() {
        assert_eq!(slug_of("Acme App (Prod)", "1a2b3c4d"), "acme-app-prod-1a2b3c4d");
        for name in ["", "   ", "日本語", "-x-", &"ÄÖÜ a".repeat(40), &"x".repeat(50), "497f6eca-6276-4993-bfeb"]
        {
            assert!(is_slug(&slug_of(name, "1a2b3c4d")), "{name}");
        }
    }
}
