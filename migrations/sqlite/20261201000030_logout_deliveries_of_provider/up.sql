-- The next logout token of one provider is found without reading those of others.
CREATE INDEX logout_deliveries_of_provider ON logout_deliveries (provider_id, next_at, id);
