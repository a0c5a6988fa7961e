-- When the last token may end that was issued while `max_ttl` was larger than it is now, epoch seconds. A
-- revocation of a grant is kept at least until then. The trigger sees to it, so that a node of the
-- release before, which does not know the column, does no harm.
ALTER TABLE providers ADD COLUMN older_tokens_end_at INTEGER NOT NULL DEFAULT 0;

CREATE TRIGGER providers_shorter_lifetime AFTER UPDATE OF max_ttl ON providers WHEN NEW.max_ttl < OLD.max_ttl BEGIN
    UPDATE providers SET older_tokens_end_at = max(older_tokens_end_at, NEW.updated_at + OLD.max_ttl)
    WHERE id = NEW.id;
END;

-- What was lowered before this release: every signing key knows the largest lifetime of its time.
UPDATE providers SET older_tokens_end_at = COALESCE(
    (SELECT max(COALESCE(k.retired_at, unixepoch()) + k.max_lifetime) FROM signing_keys k WHERE k.provider_id = providers.id), 0);
UPDATE revoked SET expires_at = max(expires_at, COALESCE(
    (SELECT p.older_tokens_end_at FROM providers p WHERE p.id = revoked.provider_id), 0)) WHERE kind = 'grant';
