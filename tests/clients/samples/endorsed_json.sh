curl -X POST "${BASE_URL}/api/v1/auth/tokens" \
-H 'Content-Type: application/json' \
-H 'Accept: application/json' \
-d '{
  "client_id": "b844338a-60db-4176-9214-49b7e355e4dd",
  "client_secret": "ErnQBjAtlvSxI0Gc-QGwUgtNoWcvfYai-MqkJAbW9qn6iuzi",
  "grant_type": "client_credentials",
  "scope": ["all:read", "all:write"]
}'
