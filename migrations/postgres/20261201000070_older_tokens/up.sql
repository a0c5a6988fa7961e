-- When the last token may end that was issued while `max_ttl` was larger than it is now, epoch seconds. A
-- revocation of a grant is kept at least until then. The trigger sees to it, so that a node of the
-- release before, which does not know the column, does no harm.
ALTER TABLE providers ADD COLUMN older_tokens_end_at BIGINT NOT NULL DEFAULT 0;

CREATE FUNCTION providers_shorter_lifetime() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.older_tokens_end_at := greatest(OLD.older_tokens_end_at, NEW.updated_at + OLD.max_ttl);
    RETURN NEW;
END $$;
CREATE TRIGGER providers_shorter_lifetime BEFORE UPDATE OF max_ttl ON providers
    FOR EACH ROW WHEN (NEW.max_ttl < OLD.max_ttl) EXECUTE FUNCTION providers_shorter_lifetime();

-- What was lowered before this release: every signing key knows the largest lifetime of its time.
UPDATE providers SET older_tokens_end_at = COALESCE(
    (SELECT max(COALESCE(k.retired_at, extract(epoch FROM now())::bigint) + k.max_lifetime)
     FROM signing_keys k WHERE k.provider_id = providers.id), 0);
UPDATE revoked SET expires_at = greatest(expires_at, COALESCE(
    (SELECT p.older_tokens_end_at FROM providers p WHERE p.id = revoked.provider_id), 0)) WHERE kind = 'grant';
