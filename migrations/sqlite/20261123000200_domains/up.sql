-- Domains of a provider, and which of its issuers is the one below the public URL. Times are epoch seconds.

-- The issuer that follows the public URL; it is the primary one unless a domain was made primary.
ALTER TABLE provider_issuers ADD COLUMN is_base INTEGER NOT NULL DEFAULT 0 CHECK (is_base IN (0, 1));
UPDATE provider_issuers SET is_base = is_primary;
CREATE UNIQUE INDEX provider_issuers_base ON provider_issuers (provider_id) WHERE is_base;

-- `domain` in lower case, in A-labels. `challenge` is what the TXT record repeats: no secret, the
-- whole world can read it. `issuer` is what a verified domain states; null until it is verified. Who
-- has not proven a domain keeps nobody else from it.
CREATE TABLE provider_domains (
    id TEXT NOT NULL PRIMARY KEY,
    provider_id TEXT NOT NULL REFERENCES providers (id) ON DELETE RESTRICT,
    domain TEXT NOT NULL,
    challenge TEXT NOT NULL,
    issuer TEXT,
    verified_at INTEGER,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    deleted_at INTEGER
) STRICT;
CREATE INDEX provider_domains_of_provider ON provider_domains (provider_id, id);
CREATE UNIQUE INDEX provider_domains_live ON provider_domains (provider_id, domain) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX provider_domains_verified ON provider_domains (domain)
    WHERE deleted_at IS NULL AND verified_at IS NOT NULL;
