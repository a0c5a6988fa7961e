-- Events are looked for by what they are about, newest first (their ids are UUID v7, in the order of time); webhooks
-- are told of them; explanations say why a request was decided as it was. Ids are UUID v7 text; times epoch
-- seconds, `at` epoch milliseconds.

CREATE INDEX events_of_provider_newest ON events (provider_id, id);
CREATE INDEX events_of_actor ON events (actor, id);
CREATE INDEX events_of_action ON events (action text_pattern_ops, id);
CREATE INDEX events_of_target ON events (target, id);
CREATE INDEX events_of_request ON events (request_id, id);

-- `secret` is sealed. `failures` and `rest_until` say how the endpoint has fared lately; they are no part of the
-- version.
CREATE TABLE webhooks (
    id TEXT NOT NULL PRIMARY KEY,
    provider_id TEXT REFERENCES providers (id) ON DELETE RESTRICT,
    url TEXT NOT NULL,
    events TEXT NOT NULL,
    enabled BOOLEAN NOT NULL,
    secret BYTEA NOT NULL,
    old_secret BYTEA,
    old_secret_until BIGINT,
    failures BIGINT NOT NULL,
    rest_until BIGINT NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT
);
CREATE INDEX webhooks_of_provider ON webhooks (provider_id, id) WHERE deleted_at IS NULL;

-- `client.created`, `client.*` or `*`: which events a webhook wants.
CREATE TABLE webhook_patterns (
    webhook_id TEXT NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    pattern TEXT NOT NULL,
    PRIMARY KEY (webhook_id, pattern)
);

-- One event for one webhook. `next_at` is null once it is delivered or dead.
CREATE TABLE webhook_deliveries (
    webhook_id TEXT NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    event_id TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'dead')),
    attempts BIGINT NOT NULL,
    next_at BIGINT,
    error TEXT,
    created_at BIGINT NOT NULL,
    finished_at BIGINT,
    PRIMARY KEY (webhook_id, event_id)
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (webhook_id, next_at) WHERE next_at IS NOT NULL;
CREATE INDEX webhook_deliveries_by_state ON webhook_deliveries (webhook_id, state, event_id);
CREATE INDEX webhook_deliveries_waiting ON webhook_deliveries (created_at) WHERE next_at IS NOT NULL;
CREATE INDEX webhook_deliveries_finished ON webhook_deliveries (finished_at) WHERE finished_at IS NOT NULL;

-- `body` is JSON. No foreign key: it is written behind, and holds on to nothing.
CREATE TABLE explanations (
    request_id TEXT NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    provider_id TEXT,
    body TEXT NOT NULL
);
CREATE INDEX explanations_time ON explanations (at);
