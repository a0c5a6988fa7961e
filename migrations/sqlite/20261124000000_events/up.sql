-- Events are looked for by what they are about, newest first (their ids are UUID v7, in the order of time); webhooks
-- are told of them; explanations say why a request was decided as it was. Ids are UUID v7 text; times epoch
-- seconds, `at` epoch milliseconds.

CREATE INDEX events_of_provider_newest ON events (provider_id, id);
CREATE INDEX events_of_actor ON events (actor, id);
CREATE INDEX events_of_action ON events (action, id);
CREATE INDEX events_of_target ON events (target, id);
CREATE INDEX events_of_request ON events (request_id, id);

-- `secret` is sealed. `failures` and `rest_until` say how the endpoint has fared lately; they are no part of the
-- version.
CREATE TABLE webhooks (
    id TEXT NOT NULL PRIMARY KEY,
    provider_id TEXT REFERENCES providers (id) ON DELETE RESTRICT,
    url TEXT NOT NULL,
    events TEXT NOT NULL,
    enabled INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    secret BLOB NOT NULL,
    old_secret BLOB,
    old_secret_until INTEGER,
    failures INTEGER NOT NULL,
    rest_until INTEGER NOT NULL,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    deleted_at INTEGER
) STRICT;
CREATE INDEX webhooks_of_provider ON webhooks (provider_id, id) WHERE deleted_at IS NULL;

-- `client.created`, `client.*` or `*`: which events a webhook wants.
CREATE TABLE webhook_patterns (
    webhook_id TEXT NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    pattern TEXT NOT NULL,
    PRIMARY KEY (webhook_id, pattern)
) STRICT;

-- One event for one webhook. `next_at` is null once it is delivered or dead.
CREATE TABLE webhook_deliveries (
    webhook_id TEXT NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    event_id TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'dead')),
    attempts INTEGER NOT NULL,
    next_at INTEGER,
    error TEXT,
    created_at INTEGER NOT NULL,
    finished_at INTEGER,
    PRIMARY KEY (webhook_id, event_id)
) STRICT;
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (webhook_id, next_at) WHERE next_at IS NOT NULL;
CREATE INDEX webhook_deliveries_by_state ON webhook_deliveries (webhook_id, state, event_id);
CREATE INDEX webhook_deliveries_waiting ON webhook_deliveries (created_at) WHERE next_at IS NOT NULL;
CREATE INDEX webhook_deliveries_finished ON webhook_deliveries (finished_at) WHERE finished_at IS NOT NULL;

-- `body` is JSON. No foreign key: it is written behind, and holds on to nothing.
CREATE TABLE explanations (
    request_id TEXT NOT NULL PRIMARY KEY,
    at INTEGER NOT NULL,
    provider_id TEXT,
    body TEXT NOT NULL
) STRICT;
CREATE INDEX explanations_time ON explanations (at);
