CREATE INDEX trusted_issuers_by_issuer ON trusted_issuers (provider_id, issuer) WHERE deleted_at IS NULL;
DROP INDEX trusted_issuers_of_issuer;
DROP INDEX webhooks_deleted;
DROP INDEX api_keys_by_role;
DROP INDEX provider_issuers_by_spelling;
DROP INDEX provider_domains_by_issuer;
DROP INDEX clients_of_surface;
