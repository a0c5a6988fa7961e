//! RFC 6749 §4.3: a person's name and password, handed in by the client.

use secrecy::SecretString;

use crate::domain::client::GrantType;
use crate::domain::grant::{Ask, Granted};
use crate::domain::session::Amr;
use crate::domain::{Context, Failed, PersonGrant};
use crate::engine::cache::clients::ClientEntry;
use crate::engine::cache::providers::ProviderEntry;
use crate::engine::cache::users::UserEntry;
use crate::engine::grants::person::NewGrant;
use crate::engine::{Engine, policy};

impl Engine {
    /// What the client may ask for is judged before the password is: a request that can come to
    /// nothing costs no hash and tries nobody.
    pub(in crate::engine) async fn password_grant(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        client: &ClientEntry,
        username: &str,
        password: &SecretString,
        ask: &Ask,
    ) -> Result<Granted, Failed> {
        let scope = policy::person_scope(ask, client)?;
        let audience = policy::audience(&ask.resources, client, &provider.provider)?;
        let user = self.prove_password(ctx, provider, username, password, None).await?;
        let grant = PersonGrant {
            id: self.0.random.jti(ctx.now),
            provider: provider.provider.id.clone(),
            client: client.client_id.clone(),
            user: user.id.clone(),
            session: None,
            scope,
            audience,
            claims: String::new(),
            auth_time: ctx.now.seconds(),
            amr: Amr::password(),
        };
        let new = NewGrant {
            grant,
            nonce: None,
            may_refresh: true,
            ends_at: None,
            max_ttl: None,
            issued_token_type: None,
            force_jwt: ask.force_jwt,
        };
        let roles = self.roles_by_groups(ctx, &user).await?;
        let entry = UserEntry::of(user, roles);
        self.grant_to_person(ctx, provider, client, &entry, new, GrantType::Password).await
    }
}
