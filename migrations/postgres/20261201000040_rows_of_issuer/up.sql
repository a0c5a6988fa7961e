-- A token is judged by a bounded number of rows of its issuer, in this order; a tenant has each issuer once.
CREATE INDEX trusted_issuers_to_judge ON trusted_issuers (provider_id, issuer, enabled DESC, id)
WHERE deleted_at IS NULL AND tenant_id IS NULL;
CREATE INDEX trusted_issuers_of_tenant_issuer ON trusted_issuers (tenant_id, issuer)
WHERE deleted_at IS NULL AND tenant_id IS NOT NULL;
