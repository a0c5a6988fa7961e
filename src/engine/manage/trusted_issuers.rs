//! Trusted issuers of a provider, and dry runs of their tokens. What they believe is nobody's
//! business who may not change it: role admin, for reading too.

use secrecy::{ExposeSecret, SecretString};

use crate::crypto::read_foreign;
use crate::domain::external::Verdict;
use crate::domain::id::{is_client_id, is_uuid_shaped};
use crate::domain::issuer_url::is_at_or_below;
use crate::domain::page::{Found, ListRequest, Page, PageRequest, TrustedIssuerFilter};
use crate::domain::trust::MAX_ROWS_OF_ISSUER;
use crate::domain::{
    ClientId, Context, Decision, Failed, Fault, IssuerId, Provider, ProviderId, Refusal, Role, TrustedIssuer,
};
use crate::engine::Engine;
use crate::engine::manage::trusted_issuer_fields::{self, TrustedIssuerDraft};
use crate::engine::manage::{
    Actor, Expected, expected_now, if_current, require_version, stale, unknown_provider, until_written,
};
use crate::engine::trust::Thoroughness;
use crate::engine::trust::rules::HandedIn;
use crate::engine::trust::work::Work;
use crate::store::{Tx, clients, issuers, providers, trusted_issuers};

/// A token that is to be judged without being taken.
#[derive(Debug)]
pub struct TrialDraft {
    pub token: SecretString,
    /// Who would hand it in; without one, `clients` is not looked at.
    pub client_id: Option<String>,
    /// A token type URI; without one, `token_types` is not looked at.
    pub token_type: Option<String>,
}

/// How a token came out.
pub struct Trial {
    /// Exactly one row accepts it.
    pub accepted: bool,
    /// In a sentence.
    pub reason: String,
    /// The `iss` that the token claims, if it could be read.
    pub issuer: Option<String>,
    /// One for each row of the issuer.
    pub verdicts: Vec<Verdict>,
}

impl Engine {
    pub async fn create_trusted_issuer(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        draft: TrustedIssuerDraft,
    ) -> Result<TrustedIssuer, Failed> {
        actor.require(Role::Admin)?;
        let provider = self.managed_provider(ctx, actor, provider).await?;
        let id = IssuerId::from(self.0.random.uuid_v7(ctx.now));
        let blank = trusted_issuer_fields::blank(provider.id.clone(), id.clone(), ctx.now.seconds());
        let (issuer, fields) = trusted_issuer_fields::apply(draft, &blank, &self.0.fetcher)?;
        let ours = self.public_url(ctx).await?;
        let event = self.event(ctx, actor, Some(&provider.id), "trusted_issuer.created", id.as_str(), &fields);
        let row = issuer.clone();
        self.commit(ctx, event, move |tx| {
            if let Some(refusal) = unacceptable(tx, &ours, &row, &[])? {
                return Ok(Decision::Refuse(refusal));
            }
            // The provider's row is held from here on: of two that would be one too many, the second counts the first.
            if providers::locked(tx, &row.provider)?.is_none() {
                return Ok(Decision::Refuse(unknown_provider()));
            }
            if trusted_issuers::is_crowded(tx, &row.provider, &row.issuer)? {
                return Ok(Decision::Refuse(crowded()));
            }
            trusted_issuers::insert(tx, row.clone())?;
            Ok(Decision::Allow(()))
        })
        .await?;
        Ok(issuer)
    }

    pub async fn read_trusted_issuer(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        id: &str,
    ) -> Result<TrustedIssuer, Failed> {
        actor.require(Role::Admin)?;
        let provider = self.managed_provider(ctx, actor, provider).await?;
        self.stored_trusted_issuer(ctx, &provider, id).await
    }

    /// Ordered by id.
    pub async fn list_trusted_issuers(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        page: PageRequest,
    ) -> Result<Page<TrustedIssuer>, Failed> {
        actor.require(Role::Admin)?;
        let provider = self.managed_provider(ctx, actor, provider).await?;
        let read = move |conn: &mut _| trusted_issuers::list(conn, &provider.id, &page);
        Ok(self.0.db.read(ctx.deadline, read).await?)
    }

    /// As the request narrows and orders them.
    pub async fn find_trusted_issuers(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        request: ListRequest<TrustedIssuerFilter>,
    ) -> Result<Found<TrustedIssuer>, Failed> {
        actor.require(Role::Admin)?;
        let provider = self.managed_provider(ctx, actor, provider).await?;
        let read = move |conn: &mut _| trusted_issuers::find(conn, &provider.id, &request);
        Ok(self.0.db.read(ctx.deadline, read).await?)
    }

    /// Applies a draft. Without `expected` it is tried again on what another change left behind.
    pub async fn update_trusted_issuer(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        id: &str,
        draft: TrustedIssuerDraft,
        expected: Expected,
    ) -> Result<TrustedIssuer, Failed> {
        actor.require(Role::Admin)?;
        let provider = self.managed_provider(ctx, actor, provider).await?;
        let ours = self.public_url(ctx).await?;
        until_written(ctx, async || {
            let current = self.stored_trusted_issuer(ctx, &provider, id).await?;
            require_version(&expected, current.version)?;
            let (mut changed, fields) = trusted_issuer_fields::apply(draft.clone(), &current, &self.0.fetcher)?;
            if fields.is_empty() {
                return Ok(Some(current));
            }
            changed.updated_at = ctx.now.seconds();
            let event = self.event(ctx, actor, Some(&provider.id), "trusted_issuer.updated", id, &fields);
            let (row, known, ours) = (changed.clone(), current.rules.clients.clone(), ours.clone());
            let version = current.version;
            let is_moved = row.tenant.is_none() && row.issuer != current.issuer;
            let replaced = self
                .commit(ctx, event, move |tx| {
                    if is_moved && providers::locked(tx, &row.provider)?.is_none() {
                        return Ok(Decision::Refuse(unknown_provider()));
                    }
                    if is_moved && trusted_issuers::is_crowded(tx, &row.provider, &row.issuer)? {
                        return Ok(Decision::Refuse(crowded()));
                    }
                    if let Some(refusal) = unacceptable(tx, &ours, &row, &known)? {
                        return Ok(Decision::Refuse(refusal));
                    }
                    let written = trusted_issuers::update(tx, row.clone(), version)?;
                    Ok(if written { Decision::Allow(()) } else { Decision::Refuse(stale()) })
                })
                .await;
            changed.version = version + 1;
            Ok(if_current(replaced)?.map(|()| changed))
        })
        .await
    }

    /// Ends it: its tokens are refused at once. Tokens that were issued for them live on until they
    /// expire.
    pub async fn delete_trusted_issuer(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        id: &str,
        expected: Expected,
    ) -> Result<(), Failed> {
        actor.require(Role::Admin)?;
        let provider = self.managed_provider(ctx, actor, provider).await?;
        let issuer = self.stored_trusted_issuer(ctx, &provider, id).await?;
        let expected = expected_now(&expected, issuer.version)?;
        let event = self.event(ctx, actor, Some(&provider.id), "trusted_issuer.deleted", id, &[]);
        let now = ctx.now.seconds();
        self.commit(ctx, event, move |tx| {
            let ended = trusted_issuers::soft_delete(tx, &issuer.provider, &issuer.id, expected, now)?;
            Ok(if ended { Decision::Allow(()) } else { Decision::Refuse(stale()) })
        })
        .await
    }

    /// Judges a token against one row, or against every row of its issuer, and says how each check
    /// came out. Nothing is spent, linked or made.
    pub async fn try_trusted_issuer(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        id: Option<&str>,
        trial: TrialDraft,
    ) -> Result<Trial, Failed> {
        actor.require(Role::Admin)?;
        let provider = self.managed_provider(ctx, actor, provider).await?;
        let chosen = match id {
            Some(id) => Some(self.stored_trusted_issuer(ctx, &provider, id).await?),
            None => None,
        };
        let entry = self.any_provider(ctx, &provider.slug.as_str().into()).await?;
        let TrialDraft { token: jwt, client_id, token_type } = trial;
        let refused =
            |reason: String, issuer: Option<String>| Trial { accepted: false, reason, issuer, verdicts: Vec::new() };
        let token = match read_foreign(jwt.expose_secret()) {
            Ok(token) => token,
            Err(flaw) => return Ok(refused(flaw.to_string(), None)),
        };
        let rows = match self.rows_of_issuer(ctx, &provider.id, &token.issuer, chosen).await? {
            Ok(rows) => rows,
            Err(why) => return Ok(refused(why.to_owned(), Some(token.issuer))),
        };
        let client_id = client_id.map(ClientId::from);
        let client = match &client_id {
            Some(id) if is_client_id(id.as_str()) => self.client(ctx, &provider.id, id).await?,
            _ => None,
        };
        let handed = HandedIn {
            provider: entry.as_deref(),
            client: client_id.as_ref(),
            client_subject: client.as_deref().map(|client| client.subject()),
            token_type: token_type.as_deref(),
            ..HandedIn::default()
        };
        let mut verdicts = Vec::with_capacity(rows.len());
        let mut work = Work::default();
        for row in rows {
            let explain = (Thoroughness::Explain, &mut work);
            verdicts.push(self.judge(ctx, row, (&jwt, &token), handed, explain).await?);
        }
        let accepting = verdicts.iter().filter(|verdict| verdict.is_accepted()).count();
        let reason = match accepting {
            0 => "no row accepts it".to_owned(),
            1 => "one row accepts it".to_owned(),
            _ => "ambiguous: more than one row accepts it".to_owned(),
        };
        Ok(Trial { accepted: accepting == 1, reason, issuer: Some(token.issuer), verdicts })
    }

    /// Issuers of which a provider has more rows than a token is judged by, as an older release let it: slug,
    /// `iss` and how many, at most `limit` of them.
    pub async fn overcrowded_issuers(&self, ctx: &Context, limit: u32) -> Result<Vec<(String, String, i64)>, Fault> {
        let read = move |conn: &mut _| {
            let found = trusted_issuers::overcrowded(conn, limit)?;
            let owners: Vec<_> = found.iter().map(|(provider, _, _)| provider).collect();
            let slugs = providers::slugs(conn, &owners)?;
            let named =
                |(id, issuer, rows): (ProviderId, _, _)| (slugs.get(&id).cloned().unwrap_or_default(), issuer, rows);
            Ok(found.into_iter().map(named).collect())
        };
        self.0.db.read(ctx.deadline, read).await
    }

    async fn stored_trusted_issuer(
        &self,
        ctx: &Context,
        provider: &Provider,
        id: &str,
    ) -> Result<TrustedIssuer, Failed> {
        let unknown = || Refusal::unknown("There is no such trusted issuer.");
        if !is_uuid_shaped(id) {
            return Err(unknown().into());
        }
        let (owner, wanted) = (provider.id.clone(), IssuerId::from(id));
        let found = self.0.db.read(ctx.deadline, move |conn| trusted_issuers::get(conn, &owner, &wanted)).await?;
        found.ok_or_else(|| unknown().into())
    }
}

fn crowded() -> Refusal {
    let most = format!("has {MAX_ROWS_OF_ISSUER} trusted issuers at this provider already, the most. Delete one first");
    Refusal::invalid_field("/issuer", most)
}

/// What only the database knows: our own issuers are not trusted this way, and who is to exchange
/// must be a client. `known` were accepted before.
pub(in crate::engine::manage) fn unacceptable(
    tx: &mut Tx<'_>,
    ours: &str,
    issuer: &TrustedIssuer,
    known: &[ClientId],
) -> Result<Option<Refusal>, Fault> {
    // Providers to come lie below as well, and tokens of former issuers still verify.
    if is_at_or_below(&issuer.issuer, ours) || issuers::resembles_ours(tx, &issuer.issuer)? {
        return Ok(Some(Refusal::invalid_field(
            "/issuer",
            "is an issuer of this server: its tokens are not exchanged",
        )));
    }
    for (at, client) in issuer.rules.clients.iter().enumerate().filter(|(_, client)| !known.contains(client)) {
        let found = clients::get(tx, &issuer.provider, client)?;
        if found.is_none_or(|client| client.deleted_at.is_some()) {
            let pointer = format!("/clients/{at}");
            // Enough of it to be found again.
            return Ok(Some(Refusal::invalid_field(
                pointer,
                format!("{:.80} is no client of this provider", client.as_str()),
            )));
        }
    }
    Ok(None)
}
