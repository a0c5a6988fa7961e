-- Tenants: whose tokens are only judged, of which issuers, and by which policy. Ids are UUID v7 text,
-- times epoch seconds.

CREATE TABLE tenants (
    id TEXT NOT NULL PRIMARY KEY,
    provider_id TEXT NOT NULL REFERENCES providers (id) ON DELETE RESTRICT,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT
);
CREATE INDEX tenants_of_provider ON tenants (provider_id, id);

-- Whose issuer it is; none: the provider's own. No foreign key, or the column could not be taken away again.
ALTER TABLE trusted_issuers ADD COLUMN tenant_id TEXT;
CREATE INDEX trusted_issuers_of_tenant ON trusted_issuers (tenant_id, id) WHERE tenant_id IS NOT NULL;

-- `conditions` is a JSON list. A policy ends with its issuer or its tenant, whose rows say so.
CREATE TABLE trust_policies (
    id TEXT NOT NULL PRIMARY KEY,
    issuer_id TEXT NOT NULL REFERENCES trusted_issuers (id) ON DELETE RESTRICT,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    audience TEXT NOT NULL,
    conditions TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT
);
CREATE INDEX trust_policies_of_issuer ON trust_policies (issuer_id, id);
