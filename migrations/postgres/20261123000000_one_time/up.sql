-- One-time tokens that were used. The token itself is stored nowhere; the row is what makes a second
-- use fail, so it outlives the token. No foreign key: written on the path of a request. `spent_at` in
-- milliseconds.
CREATE TABLE spent_tokens (
    provider_id TEXT NOT NULL,
    jti TEXT NOT NULL,
    use_key TEXT,
    spent_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (provider_id, jti)
);
CREATE INDEX spent_tokens_expiry ON spent_tokens (expires_at);
