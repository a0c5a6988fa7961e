-- People: accounts, browser sessions, what they granted, and the issuers whose tokens are believed.
-- Ids are UUID v7 text, times epoch seconds unless a line says milliseconds.

-- Rarely asked settings of a provider as one JSON text: session lifetimes, logo, colour.
ALTER TABLE providers ADD COLUMN policy TEXT NOT NULL DEFAULT '{}';

-- Where a client publishes its keys, instead of `jwks`.
ALTER TABLE clients ADD COLUMN jwks_uri TEXT;

-- `id` is the `sub`, so the row stays when the account is deleted. The keys are what names are
-- compared by (NFKC, lower case); a username is never another account's email.
CREATE TABLE users (
    id TEXT NOT NULL PRIMARY KEY,
    provider_id TEXT NOT NULL REFERENCES providers (id) ON DELETE RESTRICT,
    username TEXT NOT NULL,
    username_key TEXT NOT NULL,
    email TEXT,
    email_key TEXT,
    email_verified BOOLEAN NOT NULL,
    name TEXT,
    groups TEXT NOT NULL,
    password TEXT,
    password_changed_at BIGINT,
    enabled BOOLEAN NOT NULL,
    locked_at BIGINT,
    epoch BIGINT NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT
);
CREATE UNIQUE INDEX users_username ON users (provider_id, username_key) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX users_email ON users (provider_id, email_key) WHERE deleted_at IS NULL AND email_key IS NOT NULL;
CREATE INDEX users_of_provider ON users (provider_id, id);

-- Who an account is at a trusted issuer; the same text in another claim is another subject.
CREATE TABLE user_links (
    provider_id TEXT NOT NULL REFERENCES providers (id) ON DELETE RESTRICT,
    issuer TEXT NOT NULL,
    claim TEXT NOT NULL,
    subject TEXT NOT NULL,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE RESTRICT,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (provider_id, issuer, claim, subject)
);
CREATE INDEX user_links_of_user ON user_links (user_id);

-- Failed logins by who was tried from where; `clear_at` is when the last of them has leaked away.
-- Written behind. No foreign key: most rows name nobody.
CREATE TABLE login_failures (
    id TEXT NOT NULL PRIMARY KEY,
    clear_at BIGINT NOT NULL
);
CREATE INDEX login_failures_age ON login_failures (clear_at);

-- Browser sessions. `digest` is the keyed digest of the cookie's secret and changes at each login;
-- the id is the `sid` of tokens. A row outlives its end until the tokens that name it are gone.
CREATE TABLE sessions (
    id TEXT NOT NULL PRIMARY KEY,
    provider_id TEXT NOT NULL,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE RESTRICT,
    pepper_id TEXT NOT NULL,
    digest BYTEA NOT NULL UNIQUE,
    auth_time BIGINT NOT NULL,
    amr TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    address TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    idle_ends_at BIGINT NOT NULL,
    ends_at BIGINT NOT NULL,
    ended_at BIGINT,
    epoch BIGINT NOT NULL,
    provider_epoch BIGINT NOT NULL
);
CREATE INDEX sessions_of_user ON sessions (user_id, id);
CREATE INDEX sessions_expiry ON sessions (ends_at);

-- Clients that took part in a session and want to be told of its end. They mean nothing without it,
-- so they go with it.
CREATE TABLE session_clients (
    session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    client_id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (session_id, client_id)
);

-- Logout tokens that wait to be delivered (OpenID Connect Back-Channel Logout 1.0).
CREATE TABLE logout_deliveries (
    id TEXT NOT NULL PRIMARY KEY,
    provider_id TEXT NOT NULL,
    client_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    next_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX logout_deliveries_due ON logout_deliveries (next_at);

-- What a person allowed a client that asks.
CREATE TABLE consents (
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE RESTRICT,
    client_id TEXT NOT NULL,
    scope TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, client_id)
);

-- A code is the grant until it is redeemed; the row stays a while after, to recognise a replay.
CREATE TABLE authorization_codes (
    grant_id TEXT NOT NULL PRIMARY KEY,
    pepper_id TEXT NOT NULL,
    digest BYTEA NOT NULL UNIQUE,
    provider_id TEXT NOT NULL,
    client_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    redirect_uri_sent BOOLEAN NOT NULL,
    code_challenge TEXT,
    scope TEXT NOT NULL,
    audience TEXT NOT NULL,
    nonce TEXT,
    claims TEXT NOT NULL,
    auth_time BIGINT NOT NULL,
    amr TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    spent_at BIGINT,
    epochs TEXT NOT NULL
);
CREATE INDEX authorization_codes_expiry ON authorization_codes (expires_at);

-- One row a grant that can be refreshed; the tokens are derived from it and stored nowhere.
-- `rotated_at`: the times of the last eight rotations in milliseconds, newest first, joined by a
-- space. `session_id` only where the family ends with its session. `epochs`: those it was made in, as
-- its first access token carries them. `max_ttl`: seconds that no access token of it outlives.
CREATE TABLE refresh_families (
    id TEXT NOT NULL PRIMARY KEY,
    provider_id TEXT NOT NULL,
    client_id TEXT NOT NULL,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE RESTRICT,
    session_id TEXT,
    key_id TEXT NOT NULL,
    salt BYTEA NOT NULL,
    generation BIGINT NOT NULL,
    newest_presented BOOLEAN NOT NULL,
    rotated_at TEXT NOT NULL,
    scope TEXT NOT NULL,
    audience TEXT NOT NULL,
    claims TEXT NOT NULL,
    auth_time BIGINT NOT NULL,
    amr TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    used_at BIGINT NOT NULL,
    idle_ends_at BIGINT NOT NULL,
    ends_at BIGINT NOT NULL,
    revoked_at BIGINT,
    epochs TEXT NOT NULL,
    max_ttl BIGINT
);
CREATE INDEX refresh_families_of_user ON refresh_families (user_id, id);
CREATE INDEX refresh_families_of_session ON refresh_families (session_id) WHERE session_id IS NOT NULL;
CREATE INDEX refresh_families_expiry ON refresh_families (ends_at);

-- `rules` is JSON: clients, audiences, algorithms, conditions and what else is never searched by.
CREATE TABLE trusted_issuers (
    id TEXT NOT NULL PRIMARY KEY,
    provider_id TEXT NOT NULL REFERENCES providers (id) ON DELETE RESTRICT,
    issuer TEXT NOT NULL,
    purpose TEXT NOT NULL CHECK (purpose IN ('exchange', 'validate')),
    jwks TEXT,
    jwks_uri TEXT,
    rules TEXT NOT NULL,
    enabled BOOLEAN NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT
);
CREATE INDEX trusted_issuers_of_provider ON trusted_issuers (provider_id, id);
CREATE INDEX trusted_issuers_by_issuer ON trusted_issuers (provider_id, issuer) WHERE deleted_at IS NULL;
