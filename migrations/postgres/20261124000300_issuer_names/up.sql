-- Whether an issuer is or was ours is asked for every token of another server.
CREATE INDEX provider_issuers_by_issuer ON provider_issuers (issuer);
