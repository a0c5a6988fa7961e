-- Several secrets of an API key side by side. The first one of a key has the key's own id, and is made
-- by a trigger, so that a key that a node of the release before makes has one too. `pepper_id` and
-- `digest` of `api_keys` are what that release looks at; a later release drops them with the trigger.
CREATE TABLE api_key_secrets (
    id TEXT NOT NULL PRIMARY KEY,
    key_id TEXT NOT NULL REFERENCES api_keys (id) ON DELETE RESTRICT,
    pepper_id TEXT NOT NULL REFERENCES data_keys (id) ON DELETE RESTRICT,
    digest BYTEA NOT NULL UNIQUE,
    hint TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT
);
CREATE INDEX api_key_secrets_by_owner ON api_key_secrets (key_id, id);

INSERT INTO api_key_secrets (id, key_id, pepper_id, digest, hint, created_at)
SELECT id, id, pepper_id, digest, hint, created_at FROM api_keys;

INSERT INTO usage (kind, id, last_used_at, failures, last_failed_at)
SELECT 'api_key_secret', id, last_used_at, 0, NULL FROM usage WHERE kind = 'api_key' AND last_used_at IS NOT NULL;

CREATE FUNCTION api_keys_first_secret() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO api_key_secrets (id, key_id, pepper_id, digest, hint, created_at)
    VALUES (NEW.id, NEW.id, NEW.pepper_id, NEW.digest, NEW.hint, NEW.created_at);
    RETURN NEW;
END $$;
CREATE TRIGGER api_keys_first_secret AFTER INSERT ON api_keys
    FOR EACH ROW EXECUTE FUNCTION api_keys_first_secret();

-- The report of secrets of one provider goes by this.
CREATE INDEX client_secrets_by_provider ON client_secrets (provider_id, id);

-- When the next key is to be made; NULL: not planned yet, or to be planned again.
ALTER TABLE signing_keys ADD COLUMN rotate_at BIGINT;
CREATE INDEX signing_keys_to_plan ON signing_keys (kid) WHERE state = 'active' AND rotate_at IS NULL;
CREATE INDEX signing_keys_to_rotate ON signing_keys (rotate_at) WHERE state = 'active';
CREATE INDEX signing_keys_to_promote ON signing_keys (activates_at) WHERE state = 'next';

-- From when on a data key makes new things; NULL: since it was made.
ALTER TABLE data_keys ADD COLUMN active_at BIGINT;
