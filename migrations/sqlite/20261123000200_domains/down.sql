DROP TABLE provider_domains;
DROP INDEX provider_issuers_base;
ALTER TABLE provider_issuers DROP COLUMN is_base;
