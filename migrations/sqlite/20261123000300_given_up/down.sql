DROP INDEX provider_domains_deleted;
DROP INDEX provider_issuers_ended;
