DROP TABLE trust_policies;
DROP INDEX trusted_issuers_of_tenant;
ALTER TABLE trusted_issuers DROP COLUMN tenant_id;
DROP TABLE tenants;
