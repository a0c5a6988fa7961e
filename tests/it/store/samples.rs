//! Values with every field set, so that a conversion that forgets one is seen.

use grantd::domain::client::{AuthMethod, ClientSecret, GrantType};
use grantd::domain::client_policy::ClientPolicy;
use grantd::domain::key::{DataKeyPurpose, KeyState, SealedDataKey, StoredSigningKey};
use grantd::domain::provider::ProviderTtls;
use grantd::domain::secret::StoredSecret;
use grantd::domain::token::AccessTokenFormat;
use grantd::domain::{
    ApiKey, ApiKeyId, AudienceSet, Client, ClientId, Fault, Provider, ProviderId, Role, ScopeSet, SecretId, SigningAlg,
};
use grantd::store::api_keys::KeyDigest;
use grantd::store::{Conn, api_keys, clients, data_keys, providers};

pub const NOW: i64 = 1_800_000_000;

pub fn provider(id: &str) -> Provider {
    Provider {
        id: ProviderId::from(id),
        slug: format!("slug-{id}"),
        name: "Acme".to_owned(),
        description: Some("What Acme is for".to_owned()),
        issuer: format!("https://{id}.example"),
        default_audience: Some("https://api.example".to_owned()),
        access_token_signing_alg: SigningAlg::EdDsa,
        ttls: ProviderTtls {
            access_token: 1,
            id_token: 2,
            authorization_code: 3,
            refresh_token: 4,
            refresh_token_max: 5,
            max: 6,
            jwks_max_age: 7,
            key_rotation: 8,
        },
        strict_scopes: true,
        sessions: grantd::domain::provider::SessionTtls::default(),
        branding: grantd::domain::provider::Branding::default(),
        surfaces: vec!["runai".to_owned(), "deepgram".to_owned()],
        enabled: true,
        epoch: 9,
        version: 1,
        created_at: NOW,
        updated_at: NOW + 1,
        deleted_at: None,
        older_tokens_end_at: 0,
    }
}

pub fn client(provider: &str, client_id: &str) -> Client {
    Client {
        provider: ProviderId::from(provider),
        client_id: ClientId::from(client_id),
        subject: format!("sub-{client_id}"),
        name: "A service".to_owned(),
        auth_method: AuthMethod::PrivateKeyJwt,
        auth_signing_alg: Some("ES256".to_owned()),
        jwks: Some(r#"{"keys":[]}"#.to_owned()),
        jwks_uri: None,
        grant_types: vec![GrantType::ClientCredentials, GrantType::DeviceCode],
        scope: ScopeSet::parse("read write").unwrap(),
        audience: AudienceSet::parse("a b").unwrap(),
        resource_server: true,
        resources: AudienceSet::parse("c").unwrap(),
        access_token_format: AccessTokenFormat::Opaque,
        access_token_ttl: Some(77),
        enabled: true,
        only_surface: Some("runai".to_owned()),
        policy: ClientPolicy { require_pkce: true, ..ClientPolicy::default() },
        epoch: 3,
        version: 1,
        created_at: NOW,
        updated_at: NOW + 1,
        deleted_at: None,
    }
}

pub fn secret(id: &str) -> ClientSecret {
    ClientSecret {
        id: SecretId::from(id),
        stored: StoredSecret::Digest { pepper_id: "p1".to_owned(), digest: [7; 32] },
        hint: "wxyz".to_owned(),
        created_at: NOW,
        expires_at: Some(NOW + 100),
        last_used_at: None,
        revoked_at: None,
    }
}

pub fn api_key(id: &str, role: Role) -> ApiKey {
    ApiKey {
        id: ApiKeyId::from(id),
        name: "ops".to_owned(),
        role,
        provider: None,
        scope: Some(ScopeSet::parse("read").unwrap()),
        audience: AudienceSet::parse("a").unwrap(),
        max_ttl: Some(60),
        may_set_subject: true,
        hint: "abcd".to_owned(),
        expires_at: Some(NOW + 1000),
        last_used_at: None,
        created_at: NOW,
        updated_at: NOW + 1,
        deleted_at: None,
        epoch: 2,
        version: 1,
    }
}

/// A digest that no other id has.
pub fn digest(id: &str) -> KeyDigest {
    let mut digest = [0; 32];
    for (place, byte) in digest.iter_mut().zip(id.bytes()) {
        *place = byte;
    }
    KeyDigest { pepper_id: "p1".to_owned(), digest }
}

pub fn data_key(id: &str, purpose: DataKeyPurpose) -> SealedDataKey {
    SealedDataKey { id: id.to_owned(), purpose, sealed: vec![1, 2, 3], created_at: NOW, active_at: NOW }
}

pub fn signing_key(kid: &str, state: KeyState) -> StoredSigningKey {
    StoredSigningKey {
        kid: kid.to_owned(),
        provider: ProviderId::from("p"),
        alg: SigningAlg::Es256,
        state,
        public_jwk: "{}".to_owned(),
        sealed_private: vec![9, 9],
        data_key_id: "k1".to_owned(),
        created_at: NOW,
        activates_at: NOW,
        retired_at: None,
        max_lifetime: 3600,
    }
}

/// Provider `p` with client `c`, and the data keys `p1` (pepper) and `k1` (signing).
pub fn furnish(conn: &mut Conn) -> Result<(), Fault> {
    data_keys::insert(conn, &data_key("p1", DataKeyPurpose::Pepper))?;
    data_keys::insert(conn, &data_key("k1", DataKeyPurpose::SigningKeys))?;
    assert!(providers::insert(conn, &provider("p"))?);
    assert!(clients::insert(conn, client("p", "c"))?);
    Ok(())
}

/// As [`furnish`], with an owner key beside.
pub fn furnish_with_owner(conn: &mut Conn, id: &str) -> Result<(), Fault> {
    assert!(api_keys::insert(conn, &api_key(id, Role::Owner), &digest(id))?);
    Ok(())
}
