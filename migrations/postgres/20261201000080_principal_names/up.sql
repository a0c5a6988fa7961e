-- Names that stand or stood for a client, a person or an API key, so that no name ever stands for two of them.
-- `name` is the key that names are compared by: a UUID as its 32 digits whatever its spelling, another name as it is.
-- `provider_id` is empty for names that are taken at every provider: the ids of API keys. Rows are never deleted.
CREATE TABLE principal_names (
    name TEXT NOT NULL,
    provider_id TEXT NOT NULL,
    PRIMARY KEY (name, provider_id)
);

CREATE FUNCTION principal_key(name TEXT) RETURNS TEXT LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN digits ~ '^[0-9a-f]{32}$' THEN digits ELSE name END
    FROM (SELECT translate(replace(lower(name), 'urn:uuid:', ''), '{}()-', '') AS digits) AS bare
$$;

INSERT INTO principal_names (name, provider_id)
SELECT principal_key(id), '' FROM api_keys
UNION SELECT principal_key(client_id), provider_id FROM clients
UNION SELECT principal_key(subject), provider_id FROM clients
UNION SELECT principal_key(id), provider_id FROM users;

-- Nodes of the release before do not know the table. What they make is entered here; what this release makes is
-- entered before. A later release drops these triggers with their functions.
CREATE FUNCTION clients_take_names() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO principal_names (name, provider_id)
    SELECT principal_key(NEW.client_id), NEW.provider_id UNION SELECT principal_key(NEW.subject), NEW.provider_id
    ON CONFLICT DO NOTHING;
    RETURN NEW;
END $$;
CREATE TRIGGER clients_take_names AFTER INSERT ON clients
    FOR EACH ROW EXECUTE FUNCTION clients_take_names();
CREATE FUNCTION users_take_names() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO principal_names (name, provider_id)
    VALUES (principal_key(NEW.id), NEW.provider_id) ON CONFLICT DO NOTHING;
    RETURN NEW;
END $$;
CREATE TRIGGER users_take_names AFTER INSERT ON users
    FOR EACH ROW EXECUTE FUNCTION users_take_names();
CREATE FUNCTION api_keys_take_names() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO principal_names (name, provider_id)
    VALUES (principal_key(NEW.id), '') ON CONFLICT DO NOTHING;
    RETURN NEW;
END $$;
CREATE TRIGGER api_keys_take_names AFTER INSERT ON api_keys
    FOR EACH ROW EXECUTE FUNCTION api_keys_take_names();
