DROP INDEX events_of_provider_action;
