curl -X POST "${BASE_URL}/api/v1/auth/tokens" -H 'Content-Type: application/x-www-form-urlencoded' \
-H 'Accept: application/json' \
--data-urlencode "client_id=b844338a-60db-4176-9214-49b7e355e4dd" \
--data-urlencode "client_secret=ErnQBjAtlvSxI0Gc-QGwUgtNoWcvfYai-MqkJAbW9qn6iuzi" \
--data-urlencode "grant_type=client_credentials" \
--data-urlencode "scope=all:read all:write"
