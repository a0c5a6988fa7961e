"""The published library verifies a delivery: SECRET BODY HEADERS(JSON) NOW. Prints the parsed body."""
import json
import sys
from datetime import datetime, timezone

import standardwebhooks.webhooks as library

secret, body, headers, now = sys.argv[1:]


class At(datetime):
    """The clock of the test."""

    @classmethod
    def now(cls, tz=None):
        return datetime.fromtimestamp(float(now), tz=timezone.utc)


library.datetime = At
try:
    said = {"body": library.Webhook(secret).verify(body, json.loads(headers))}
except library.WebhookVerificationError as error:
    said = {"error": str(error)}
print(json.dumps(said))
