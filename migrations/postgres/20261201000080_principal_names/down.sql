DROP TRIGGER api_keys_take_names ON api_keys;
DROP FUNCTION api_keys_take_names;
DROP TRIGGER users_take_names ON users;
DROP FUNCTION users_take_names;
DROP TRIGGER clients_take_names ON clients;
DROP FUNCTION clients_take_names;
DROP FUNCTION principal_key;
DROP TABLE principal_names;
