ALTER TABLE data_keys DROP COLUMN active_at;
DROP INDEX signing_keys_to_promote;
DROP INDEX signing_keys_to_rotate;
DROP INDEX signing_keys_to_plan;
ALTER TABLE signing_keys DROP COLUMN rotate_at;
DROP INDEX client_secrets_by_provider;
DROP TRIGGER api_keys_first_secret;
DELETE FROM usage WHERE kind = 'api_key_secret';
DROP TABLE api_key_secrets;
