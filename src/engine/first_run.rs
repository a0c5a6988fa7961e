//! What an empty database needs before the first request: data keys, the provider `default` with
//! its signing keys, the built-in client `runai`, and, unless the operator brought an admin key, an
//! owner API key and a first client. Runs under the migration lock, so of several nodes one does it.

use secrecy::{ExposeSecret, SecretString};

use crate::crypto::data_keys::new_data_key;
use crate::crypto::{DataKeys, MasterKey, Random, credential};
use crate::domain::client::{AuthMethod, GrantType};
use crate::domain::event::Event;
use crate::domain::key::DataKeyPurpose;
use crate::domain::page::{Page, PageRequest};
use crate::domain::provider::DEFAULT_SLUG;
use crate::domain::provider_domain::issuer_at;
use crate::domain::secret::SecretKind;
use crate::domain::{ApiKey, Client, ClientId, Fault, Provider, Role, ScopeSet, SigningAlg, UnixTime};
use crate::engine::data_keys::Secrets;
use crate::engine::manage::api_keys::{blank as blank_key, digest_of};
use crate::engine::manage::client_fields;
use crate::engine::manage::client_secrets::NewSecret;
use crate::engine::manage::provider_fields::blank;
use crate::engine::signing_keys::new_signing_key;
use crate::store::{
    ChangedTable, Tx, api_keys, client_secrets, clients, data_keys, events, issuers, provider_domains, providers,
    signing_keys,
};

/// The surface that the built-in client serves.
const BUILT_IN_CLIENT: &str = "runai";

/// What the operator's settings say about a start.
pub struct Start {
    pub now: UnixTime,
    /// The issuer of `default`, byte for byte.
    pub public_url: String,
    pub is_loopback: bool,
    /// A server compares its public URL with the stored one; the command line does not.
    pub check_issuer: bool,
    /// `--new-issuer`: another public URL than the stored one is meant.
    pub new_issuer: bool,
    /// No master key was given or found: this one was made just now.
    pub master_key_is_new: bool,
    /// `GRANTD_ADMIN_KEY` is set: neither key nor client is made.
    pub brings_admin_key: bool,
}

/// What was found or made.
pub struct Started {
    pub data_keys: DataKeys,
    /// `Some` on the very first start.
    pub first: Option<FirstRun>,
    /// The stored public URL was replaced by this start's.
    pub issuer_replaced: Option<String>,
}

/// What a newcomer is shown once.
pub struct FirstRun {
    /// `None` when the operator brought an admin key.
    pub credentials: Option<FirstCredentials>,
}

pub struct FirstCredentials {
    pub api_key: SecretString,
    pub client_id: ClientId,
    pub client_secret: SecretString,
}

/// Why a start is refused.
#[derive(Debug, thiserror::Error)]
pub enum StartRefused {
    #[error(
        "the stored public URL is {stored}, this start's is {given}: tokens of the old issuer would no longer be \
         issued. Start with --new-issuer if that is meant, or set GRANTD_PUBLIC_URL back"
    )]
    OtherIssuer { stored: String, given: String },
    #[error(
        "{given}, which this start's public URL leads to, is the issuer of another provider: delete that provider's domain \
         first"
    )]
    Taken { given: String },
    #[error(
        "the master key is missing: the database was made with one, and nothing in it can be opened without it. Put \
         master.key back into the data directory, or give it as GRANTD_MASTER_KEY"
    )]
    MasterKeyMissing,
}

/// Whether there has been a first run.
pub fn is_done(tx: &mut Tx<'_>) -> Result<bool, Fault> {
    Ok(providers::by_slug(tx, DEFAULT_SLUG)?.is_some())
}

/// Opens the data keys and checks the issuer; does the first run if the database is empty.
pub fn start(tx: &mut Tx<'_>, master: &MasterKey, random: &Random, start: &Start) -> Result<Started, Fault> {
    if start.master_key_is_new && !data_keys::all(tx)?.is_empty() {
        return Err(Fault::store(StartRefused::MasterKeyMissing));
    }
    let data_keys = open_data_keys(tx, master, random, start.now)?;
    let secrets = Secrets::of(&data_keys)?;
    let existing = providers::by_slug(tx, DEFAULT_SLUG)?;
    let (first, issuer_replaced) = match existing {
        Some(default) => (None, settle_issuer(tx, &default, start)?),
        None => (Some(first_run(tx, &secrets, random, start)?), None),
    };
    Ok(Started { data_keys, first, issuer_replaced })
}

/// The opened data keys; each purpose gets its first key when it has none. A fault that names the
/// key if the master key does not open one.
fn open_data_keys(tx: &mut Tx<'_>, master: &MasterKey, random: &Random, now: UnixTime) -> Result<DataKeys, Fault> {
    let mut sealed = data_keys::all(tx)?;
    for purpose in DataKeyPurpose::ALL {
        if !sealed.iter().any(|key| key.purpose == purpose) {
            let made = new_data_key(purpose, master, random, now)?;
            data_keys::insert(tx, &made)?;
            sealed.push(made);
        }
    }
    DataKeys::open(&sealed, master, now)
}

/// A public URL other than the stored one is taken over on loopback or when it is meant.
fn settle_issuer(tx: &mut Tx<'_>, default: &Provider, start: &Start) -> Result<Option<String>, Fault> {
    let stored = issuers::base(tx, &default.id)?.unwrap_or_else(|| default.issuer.clone());
    if !start.check_issuer || stored == start.public_url {
        return Ok(None);
    }
    if !start.is_loopback && !start.new_issuer {
        return Err(Fault::store(StartRefused::OtherIssuer { stored, given: start.public_url.clone() }));
    }
    move_issuer(tx, default, &start.public_url, start.now)?;
    move_issuers_below(tx, &stored, start)?;
    Ok(Some(stored))
}

/// Every other provider's issuer lies below the public URL.
fn move_issuers_below(tx: &mut Tx<'_>, old: &str, start: &Start) -> Result<(), Fault> {
    let mut page = PageRequest::first(PageRequest::MAX);
    loop {
        let Page { items, next } = providers::list(tx, &page)?;
        for provider in items {
            let base = issuers::base(tx, &provider.id)?.unwrap_or_else(|| provider.issuer.clone());
            if let Some(rest) = base.strip_prefix(old).filter(|rest| rest.starts_with("/p/")) {
                let moved = format!("{}{rest}", start.public_url);
                move_issuer(tx, &provider, &moved, start.now)?;
            }
            move_domains(tx, &provider, start)?;
        }
        let Some(after) = next else { return Ok(()) };
        page.after = Some(after);
    }
}

/// New tokens carry the new issuer, unless a domain is primary; those of the old one verify until they
/// expire.
fn move_issuer(tx: &mut Tx<'_>, provider: &Provider, issuer: &str, now: UnixTime) -> Result<(), Fault> {
    make_way(tx, provider, issuer, now)?;
    issuers::move_base(tx, &provider.id, issuer, now.seconds())?;
    tx.changed(ChangedTable::Providers, &provider.slug, now)
}

/// Frees an issuer that another provider has left behind; one that it still uses refuses the start.
fn make_way(tx: &mut Tx<'_>, provider: &Provider, issuer: &str, now: UnixTime) -> Result<(), Fault> {
    if issuers::make_way(tx, &provider.id, issuer, now.seconds())? {
        return Ok(());
    }
    Err(Fault::store(StartRefused::Taken { given: issuer.to_owned() }))
}

/// Domains are served at scheme, port and path of the public URL, so what they state follows it. What
/// they stated before is ended: its tokens verify until they expire.
fn move_domains(tx: &mut Tx<'_>, provider: &Provider, start: &Start) -> Result<(), Fault> {
    let now = start.now.seconds();
    for (name, old) in provider_domains::verified(tx, &provider.id)? {
        let Some(moved) = issuer_at(&start.public_url, &name).filter(|moved| *moved != old) else { continue };
        let was_primary = issuers::primary_domain(tx, &provider.id)?.as_deref() == Some(&*old);
        make_way(tx, provider, &moved, start.now)?;
        issuers::add(tx, &provider.id, &moved, now)?;
        provider_domains::set_issuer(tx, &provider.id, &name, &moved, now)?;
        if was_primary {
            issuers::make_primary(tx, &provider.id, &moved, now)?;
        }
        issuers::end(tx, &provider.id, &old, now)?;
    }
    tx.changed(ChangedTable::Providers, &provider.slug, start.now)
}

fn first_run(tx: &mut Tx<'_>, secrets: &Secrets, random: &Random, start: &Start) -> Result<FirstRun, Fault> {
    let now = start.now;
    let provider = blank(random.uuid_v7(now).into(), DEFAULT_SLUG, start.public_url.clone(), now.seconds());
    providers::insert(tx, &provider)?;
    for alg in [SigningAlg::Es256, SigningAlg::Rs256] {
        let key = new_signing_key(&secrets.signing, random, &provider, alg, now)?;
        signing_keys::insert_active_if_none(tx, key)?;
    }
    clients::insert(tx, built_in_client(&provider, start))?;
    let credentials = if start.brings_admin_key {
        None
    } else {
        let api_key = first_api_key(tx, secrets, random, now)?;
        let (client_id, client_secret) = first_client(tx, secrets, random, &provider, now)?;
        Some(FirstCredentials { api_key, client_id, client_secret })
    };
    events::insert(tx, &first_event(random, &provider, now))?;
    Ok(FirstRun { credentials })
}

/// The first-party client of the Run:ai surface. Off where a stranger could reach it before the operator has looked.
fn built_in_client(provider: &Provider, start: &Start) -> Client {
    let blank = client_fields::blank(provider, BUILT_IN_CLIENT.into(), start.now.seconds());
    Client {
        name: "Run:ai".to_owned(),
        auth_method: AuthMethod::None,
        grant_types: vec![
            GrantType::Password,
            GrantType::RefreshToken,
            GrantType::AuthorizationCode,
            GrantType::TokenExchange,
        ],
        scope: ScopeSet::parse("openid profile email offline_access").unwrap_or_default(),
        enabled: start.is_loopback,
        only_surface: Some(BUILT_IN_CLIENT.to_owned()),
        ..blank
    }
}

pub(in crate::engine) fn first_api_key(
    tx: &mut Tx<'_>,
    secrets: &Secrets,
    random: &Random,
    now: UnixTime,
) -> Result<SecretString, Fault> {
    let text = credential::generate(SecretKind::ApiKey, random);
    let blank = blank_key(random.uuid_v7(now).into(), None, &text, now);
    let key = ApiKey { name: "first owner".to_owned(), role: Role::Owner, may_set_subject: true, ..blank };
    api_keys::insert(tx, &key, &digest_of(secrets.peppers.digest(text.expose_secret()))?)?;
    Ok(text)
}

/// `first-service`: what the printed `curl` line asks for a token with.
fn first_client(
    tx: &mut Tx<'_>,
    secrets: &Secrets,
    random: &Random,
    provider: &Provider,
    now: UnixTime,
) -> Result<(ClientId, SecretString), Fault> {
    let client_id = ClientId::from(random.uuid_v7(now));
    let blank = client_fields::blank(provider, client_id.clone(), now.seconds());
    clients::insert(tx, Client { name: "first-service".to_owned(), ..blank })?;
    let client_secret = credential::generate(SecretKind::ClientSecret, random);
    let stored = secrets.peppers.digest(client_secret.expose_secret());
    let secret = NewSecret::of(random.uuid_v7(now).into(), client_secret.clone(), stored, None, now);
    client_secrets::insert_below(tx, &provider.id, &client_id, &secret.row, 1, now.seconds())?;
    Ok((client_id, client_secret))
}

fn first_event(random: &Random, provider: &Provider, now: UnixTime) -> Event {
    Event {
        id: random.uuid_v7(now),
        at: now.millis(),
        provider: Some(provider.id.clone()),
        actor: "first-run".to_owned(),
        action: "installation.created",
        target: provider.slug.clone(),
        request_id: String::new(),
        details: "{}".to_owned(),
    }
}
