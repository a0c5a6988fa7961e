DROP TRIGGER api_keys_take_names;
DROP TRIGGER users_take_names;
DROP TRIGGER clients_take_names;
DROP VIEW principal_names_given;
DROP TABLE principal_names;
