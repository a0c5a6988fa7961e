-- What management keeps of its own calls, and names that stand for something: scopes, roles, groups.
-- Times are epoch seconds.

-- Answers that are given again to the same call. `id` is a digest of who asks, what, and the value of
-- its Idempotency-Key; `answer` is sealed under a key that needs this value too.
CREATE TABLE idempotency_keys (
    id BLOB NOT NULL PRIMARY KEY,
    answer BLOB NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX idempotency_keys_expiry ON idempotency_keys (expires_at);

ALTER TABLE scopes ADD COLUMN description TEXT;
ALTER TABLE scopes ADD COLUMN version INTEGER NOT NULL DEFAULT 1;

CREATE TABLE provider_roles (
    provider_id TEXT NOT NULL REFERENCES providers (id) ON DELETE RESTRICT,
    name TEXT NOT NULL,
    description TEXT,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (provider_id, name)
) STRICT;

-- `roles` is a JSON list of names, as `groups` and `roles` of users are.
CREATE TABLE provider_groups (
    provider_id TEXT NOT NULL REFERENCES providers (id) ON DELETE RESTRICT,
    name TEXT NOT NULL,
    description TEXT,
    roles TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (provider_id, name)
) STRICT;
ALTER TABLE users ADD COLUMN roles TEXT NOT NULL DEFAULT '[]';
-- Every group that somebody is in exists from now on.
INSERT INTO provider_groups (provider_id, name, description, roles, version, created_at, updated_at)
    SELECT users.provider_id, named.value, NULL, '[]', 1, min(users.created_at), min(users.created_at)
    FROM users, json_each(users.groups) AS named
    WHERE users.deleted_at IS NULL
    GROUP BY users.provider_id, named.value;

-- Lists: each order that can be asked for goes by an index, and so does what few rows have.
CREATE INDEX providers_by_name ON providers (name, id) WHERE deleted_at IS NULL;
CREATE INDEX providers_by_slug ON providers (slug, id) WHERE deleted_at IS NULL;
CREATE INDEX providers_disabled ON providers (id) WHERE deleted_at IS NULL AND NOT enabled;
CREATE INDEX clients_by_name ON clients (provider_id, name, client_id) WHERE deleted_at IS NULL;
CREATE INDEX clients_by_creation ON clients (provider_id, created_at, client_id) WHERE deleted_at IS NULL;
CREATE INDEX clients_disabled ON clients (provider_id, client_id) WHERE deleted_at IS NULL AND NOT enabled;
CREATE INDEX users_by_name ON users (provider_id, username_key, id) WHERE deleted_at IS NULL;
CREATE INDEX users_disabled ON users (provider_id, id) WHERE deleted_at IS NULL AND NOT enabled;
CREATE INDEX users_locked ON users (provider_id, id) WHERE deleted_at IS NULL AND locked_at IS NOT NULL;
CREATE INDEX api_keys_by_name ON api_keys (name, id) WHERE deleted_at IS NULL;
CREATE INDEX sessions_of_provider ON sessions (provider_id, id);
CREATE INDEX session_clients_of_client ON session_clients (client_id, session_id);
CREATE INDEX refresh_families_of_provider ON refresh_families (provider_id, id);
CREATE INDEX refresh_families_of_client ON refresh_families (provider_id, client_id, id);
