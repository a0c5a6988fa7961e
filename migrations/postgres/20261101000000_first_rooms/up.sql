-- The tables of the first release. Ids are UUID v7 text, times are epoch seconds unless a line says
-- milliseconds, and what ends is marked by a `*_at` column: rows of providers, clients and API keys
-- stay, so that no id, slug or subject is ever given out twice.

CREATE TABLE meta (
    key TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

-- Sealed under the master key; the id is part of what the key made.
CREATE TABLE data_keys (
    id TEXT NOT NULL PRIMARY KEY,
    purpose TEXT NOT NULL,
    sealed BYTEA NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE providers (
    id TEXT NOT NULL PRIMARY KEY,
    slug TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    default_audience TEXT,
    access_token_signing_alg TEXT NOT NULL,
    access_token_ttl BIGINT NOT NULL,
    id_token_ttl BIGINT NOT NULL,
    authorization_code_ttl BIGINT NOT NULL,
    refresh_token_ttl BIGINT NOT NULL,
    refresh_token_max_ttl BIGINT NOT NULL,
    max_ttl BIGINT NOT NULL,
    jwks_max_age BIGINT NOT NULL,
    key_rotation BIGINT NOT NULL,
    strict_scopes BOOLEAN NOT NULL,
    surfaces TEXT NOT NULL,
    enabled BOOLEAN NOT NULL,
    epoch BIGINT NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT
);

-- Every `iss` a provider signs or has signed with. The primary one goes into new tokens; the
-- others verify until they expire.
CREATE TABLE provider_issuers (
    provider_id TEXT NOT NULL REFERENCES providers (id) ON DELETE RESTRICT,
    issuer TEXT NOT NULL,
    is_primary BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL,
    ended_at BIGINT,
    PRIMARY KEY (provider_id, issuer)
);
CREATE UNIQUE INDEX provider_issuers_live ON provider_issuers (issuer) WHERE ended_at IS NULL;
CREATE UNIQUE INDEX provider_issuers_primary ON provider_issuers (provider_id) WHERE is_primary;

-- At most one key of an algorithm signs and at most one waits: the two partial indexes hold that
-- against any number of nodes.
CREATE TABLE signing_keys (
    kid TEXT NOT NULL PRIMARY KEY,
    provider_id TEXT NOT NULL REFERENCES providers (id) ON DELETE RESTRICT,
    alg TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('next', 'active', 'retired')),
    public_jwk TEXT NOT NULL,
    sealed_private BYTEA NOT NULL,
    data_key_id TEXT NOT NULL REFERENCES data_keys (id) ON DELETE RESTRICT,
    created_at BIGINT NOT NULL,
    activates_at BIGINT NOT NULL,
    retired_at BIGINT,
    max_lifetime BIGINT NOT NULL
);
CREATE UNIQUE INDEX signing_keys_active ON signing_keys (provider_id, alg) WHERE state = 'active';
CREATE UNIQUE INDEX signing_keys_next ON signing_keys (provider_id, alg) WHERE state = 'next';
CREATE INDEX signing_keys_of_provider ON signing_keys (provider_id, kid);
CREATE INDEX signing_keys_retired ON signing_keys (retired_at) WHERE state = 'retired';

CREATE TABLE scopes (
    provider_id TEXT NOT NULL REFERENCES providers (id) ON DELETE RESTRICT,
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (provider_id, name)
);

CREATE TABLE clients (
    provider_id TEXT NOT NULL REFERENCES providers (id) ON DELETE RESTRICT,
    client_id TEXT NOT NULL,
    subject TEXT NOT NULL,
    name TEXT NOT NULL,
    auth_method TEXT NOT NULL,
    auth_signing_alg TEXT,
    jwks TEXT,
    grant_types TEXT NOT NULL,
    scope TEXT NOT NULL,
    audience TEXT NOT NULL,
    resource_server BOOLEAN NOT NULL,
    resources TEXT NOT NULL,
    access_token_format TEXT NOT NULL,
    access_token_ttl BIGINT,
    enabled BOOLEAN NOT NULL,
    only_surface TEXT,
    policy TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT,
    PRIMARY KEY (provider_id, client_id),
    UNIQUE (provider_id, subject)
);

-- `stored` is `<pepper id>$<base64url>` or an Argon2 PHC string.
CREATE TABLE client_secrets (
    id TEXT NOT NULL PRIMARY KEY,
    provider_id TEXT NOT NULL,
    client_id TEXT NOT NULL,
    stored TEXT NOT NULL,
    hint TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT,
    FOREIGN KEY (provider_id, client_id) REFERENCES clients (provider_id, client_id) ON DELETE RESTRICT
);
CREATE INDEX client_secrets_of_client ON client_secrets (provider_id, client_id, id);
CREATE INDEX client_secrets_expiry ON client_secrets (expires_at);

CREATE TABLE api_keys (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('default', 'member', 'admin', 'owner')),
    provider_id TEXT REFERENCES providers (id) ON DELETE RESTRICT,
    scope TEXT,
    audience TEXT NOT NULL,
    max_ttl BIGINT,
    may_set_subject BOOLEAN NOT NULL,
    pepper_id TEXT NOT NULL REFERENCES data_keys (id) ON DELETE RESTRICT,
    digest BYTEA NOT NULL UNIQUE,
    hint TEXT NOT NULL,
    expires_at BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT,
    epoch BIGINT NOT NULL,
    version BIGINT NOT NULL
);
CREATE INDEX api_keys_of_provider ON api_keys (provider_id, id);
CREATE INDEX api_keys_expiry ON api_keys (expires_at);
CREATE INDEX api_keys_owners ON api_keys (id) WHERE role = 'owner' AND deleted_at IS NULL;

-- No foreign keys on the two tables below: their rows are written on the path of a request and
-- live for minutes, and a check would lock rows of clients that every request shares.
CREATE TABLE revoked (
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    provider_id TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (id, kind, provider_id)
);
CREATE INDEX revoked_expiry ON revoked (expires_at);

CREATE TABLE assertion_jtis (
    provider_id TEXT NOT NULL,
    client_id TEXT NOT NULL,
    jti TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (provider_id, client_id, jti)
);
CREATE INDEX assertion_jtis_expiry ON assertion_jtis (expires_at);

-- `at` in milliseconds.
CREATE TABLE events (
    id TEXT NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    provider_id TEXT REFERENCES providers (id) ON DELETE RESTRICT,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    request_id TEXT NOT NULL,
    details TEXT NOT NULL
);
CREATE INDEX events_time ON events (at);
CREATE INDEX events_of_provider ON events (provider_id, at);

-- What changed, for the caches of every node. `at` in milliseconds; kept ten minutes.
CREATE TABLE change_log (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    table_name TEXT NOT NULL,
    row_id TEXT NOT NULL,
    at BIGINT NOT NULL
);
CREATE INDEX change_log_time ON change_log (at);

-- Written behind, never on the path of a request.
CREATE TABLE usage (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    last_used_at BIGINT,
    failures BIGINT NOT NULL,
    last_failed_at BIGINT,
    PRIMARY KEY (kind, id)
);
