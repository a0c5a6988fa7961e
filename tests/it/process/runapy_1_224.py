"""runapy 1.224.0, unmodified: BASE CLIENT_ID SECRET MARGIN CHECKS. Prints one JSON object."""
import json
import sys
import time

from runai.api_client import ApiClient
from runai.configuration import Configuration

base, client_id, secret, margin, checks = sys.argv[1:]
began = time.monotonic()
try:
    configuration = Configuration(
        runai_base_url=base, client_id=client_id, client_secret=secret, token_refresh_margin=int(margin)
    )
    with ApiClient(configuration) as client:
        for _ in range(int(checks)):
            client.token_refresher._check_token_expired()
        said = {
            "token": client._token,
            "expiry": client.token_refresher._token_expiry,
            "authorization": client.default_headers["authorization"],
        }
except Exception as error:
    said = {"error": type(error).__name__, "message": str(error)}
said["seconds"] = time.monotonic() - began
print(json.dumps(said))
