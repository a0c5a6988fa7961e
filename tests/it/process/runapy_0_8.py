"""runapy 0.8.0, unmodified: BASE CLIENT_ID SECRET CHECKS. Prints one JSON object."""
import json
import sys
import time

from runai.client import RunaiClient

base, client_id, secret, checks = sys.argv[1:]
began = time.monotonic()
try:
    client = RunaiClient(runai_base_url=base, client_id=client_id, client_secret=secret)
    for _ in range(int(checks)):
        client._check_token_expired()
    said = {"token": client._api_token, "expiry": client._api_token_expiary}
except Exception as error:
    said = {"error": type(error).__name__, "message": str(error)}
said["seconds"] = time.monotonic() - began
print(json.dumps(said))
