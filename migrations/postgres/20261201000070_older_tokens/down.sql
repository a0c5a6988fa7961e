DROP TRIGGER providers_shorter_lifetime ON providers;
DROP FUNCTION providers_shorter_lifetime();
ALTER TABLE providers DROP COLUMN older_tokens_end_at;
