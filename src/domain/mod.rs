//! Plain values of the field: providers, clients, keys, scopes, tokens, and the two ways a request
//! can fail. Nothing here knows HTTP, JSON, a database or a clock of its own; time and randomness
//! are handed in. Every other room may look in here, and this room looks nowhere.

pub mod actions;
pub mod api_key;
pub mod assertion;
pub mod audience;
pub mod authorize;
pub mod client;
pub mod client_policy;
pub mod clock;
pub mod context;
pub mod ephemeral;
pub mod event;
pub mod explanation;
pub mod external;
pub mod failed;
pub mod fault;
pub mod grant;
pub mod hidden;
pub mod id;
pub mod issuer_url;
pub mod key;
pub mod lanes;
pub mod named;
pub mod network;
pub mod once_call;
pub mod page;
pub mod patch;
pub mod person;
pub mod provider;
pub mod provider_domain;
pub mod refusal;
pub mod scope;
pub mod secret;
pub mod session;
pub mod tenant;
pub mod token;
pub mod trust;
pub mod user;
pub mod webhook;

pub use api_key::{ApiKey, Role};
pub use audience::AudienceSet;
pub use client::Client;
pub use clock::{UnixTime, Wall};
pub use context::{Context, Effect};
pub use ephemeral::{Access, Actor, ExtraClaims, FreeClaim, MintAsk};
pub use explanation::{Explanation, Trail};
pub use failed::Failed;
pub use fault::Fault;
pub use id::{
    ApiKeyId, ClientId, DomainId, IssuerId, ProviderId, ProviderSlug, SecretId, SessionId, TenantId, TrustPolicyId,
    UserId, WebhookId,
};
pub use lanes::{FairLanes, Lane, Owner};
pub use named::{Named, NamedKind};
pub use network::Network;
pub use once_call::OnceCall;
pub use person::{AuthorizationCode, PersonGrant, RefreshFamily};
pub use provider::Provider;
pub use provider_domain::{DomainName, Hosts, ProviderDomain, ServedDomain};
pub use refusal::{Class, Decision, Refusal, RefusalKind};
pub use scope::ScopeSet;
pub use session::Session;
pub use tenant::{Tenant, TrustPolicy};
pub use token::{AccessClaims, GrantId, SigningAlg};
pub use trust::TrustedIssuer;
pub use user::User;
pub use webhook::Webhook;
