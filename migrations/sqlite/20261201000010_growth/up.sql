-- Each statement finds its rows by an index that has all columns it compares.

-- Clients of one surface, and whether there is a client beside them.
CREATE INDEX clients_of_surface ON clients (provider_id, only_surface, client_id) WHERE deleted_at IS NULL;
-- Domains that show an issuer.
CREATE INDEX provider_domains_by_issuer ON provider_domains (provider_id, issuer) WHERE deleted_at IS NULL;
-- An issuer that was typed differs from ours by more than letter case and a slash at the end.
CREATE INDEX provider_issuers_by_spelling ON provider_issuers (rtrim(lower(issuer), '/'));
-- Keys of a role: the other owners, and lists of one role.
CREATE INDEX api_keys_by_role ON api_keys (role, id) WHERE deleted_at IS NULL;
-- What the sweep looks for.
CREATE INDEX webhooks_deleted ON webhooks (deleted_at) WHERE deleted_at IS NOT NULL;
-- The rows of one issuer in the order in which they are judged.
CREATE INDEX trusted_issuers_of_issuer ON trusted_issuers (provider_id, issuer, id) WHERE deleted_at IS NULL;
DROP INDEX trusted_issuers_by_issuer;
