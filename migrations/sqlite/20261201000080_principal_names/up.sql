-- Names that stand or stood for a client, a person or an API key, so that no name ever stands for two of them.
-- `name` is the key that names are compared by: a UUID as its 32 digits whatever its spelling, another name as it is.
-- `provider_id` is empty for names that are taken at every provider: the ids of API keys. Rows are never deleted.
CREATE TABLE principal_names (
    name TEXT NOT NULL,
    provider_id TEXT NOT NULL,
    PRIMARY KEY (name, provider_id)
) STRICT, WITHOUT ROWID;

-- A name as it was given, on its way to its key. Only the triggers of this view write.
CREATE VIEW principal_names_given AS SELECT name, provider_id FROM principal_names;
CREATE TRIGGER principal_names_taken INSTEAD OF INSERT ON principal_names_given BEGIN
    INSERT INTO principal_names (name, provider_id)
    SELECT keyed.name, NEW.provider_id
    FROM (
        SELECT CASE WHEN length(digits) = 32 AND digits NOT GLOB '*[^0-9a-f]*' THEN digits ELSE NEW.name END AS name
        FROM (
            SELECT replace(replace(replace(replace(replace(
                replace(lower(NEW.name), 'urn:uuid:', ''), '{', ''), '}', ''), '(', ''), ')', ''), '-', '') AS digits
        )
    ) AS keyed
    WHERE NOT EXISTS (
        SELECT 1 FROM principal_names AS held WHERE held.name = keyed.name AND held.provider_id = NEW.provider_id
    );
END;

INSERT INTO principal_names_given (name, provider_id) SELECT id, '' FROM api_keys;
INSERT INTO principal_names_given (name, provider_id) SELECT client_id, provider_id FROM clients;
INSERT INTO principal_names_given (name, provider_id) SELECT subject, provider_id FROM clients;
INSERT INTO principal_names_given (name, provider_id) SELECT id, provider_id FROM users;

-- Nodes of the release before do not know the table. What they make is entered here; what this release makes is
-- entered before. A later release drops these triggers with the view.
CREATE TRIGGER clients_take_names AFTER INSERT ON clients BEGIN
    INSERT INTO principal_names_given (name, provider_id) VALUES (NEW.client_id, NEW.provider_id);
    INSERT INTO principal_names_given (name, provider_id) VALUES (NEW.subject, NEW.provider_id);
END;
CREATE TRIGGER users_take_names AFTER INSERT ON users BEGIN
    INSERT INTO principal_names_given (name, provider_id) VALUES (NEW.id, NEW.provider_id);
END;
CREATE TRIGGER api_keys_take_names AFTER INSERT ON api_keys BEGIN
    INSERT INTO principal_names_given (name, provider_id) VALUES (NEW.id, '');
END;
