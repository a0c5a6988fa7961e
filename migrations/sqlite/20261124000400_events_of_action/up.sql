-- The newest events of one action at one provider are read without a look at its others.
CREATE INDEX events_of_provider_action ON events (provider_id, action, id);

-- A provider ends with its webhooks; those of providers that ended before had stayed.
UPDATE webhooks
SET deleted_at = (SELECT p.deleted_at FROM providers p WHERE p.id = webhooks.provider_id), version = version + 1
WHERE deleted_at IS NULL AND provider_id IN (SELECT p.id FROM providers p WHERE p.deleted_at IS NOT NULL);
