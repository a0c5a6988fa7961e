-- What the sweep looks for: issuers that were ended and domains that were deleted.
CREATE INDEX provider_issuers_ended ON provider_issuers (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX provider_domains_deleted ON provider_domains (deleted_at) WHERE deleted_at IS NOT NULL;
