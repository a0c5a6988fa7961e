"""runapy 1.224.0, unmodified, over a JSON list of cases. Prints what became of each as a JSON list."""
import json
import sys
import time

from runai.api_client import ApiClient
from runai.configuration import Configuration


def run(case):
    configuration = Configuration(
        runai_base_url=case["base"],
        client_id=case["client_id"],
        client_secret=case["secret"],
        token_refresh_margin=case["margin"],
    )
    with ApiClient(configuration) as client:
        for _ in range(case["checks"]):
            client.token_refresher._check_token_expired()
        return {
            "token": client._token,
            "expiry": client.token_refresher._token_expiry,
            "authorization": client.default_headers["authorization"],
        }


def outcome(case):
    began = time.monotonic()
    try:
        said = run(case)
    except Exception as error:
        said = {"error": type(error).__name__, "message": str(error)}
    return {**said, "seconds": time.monotonic() - began}


print(json.dumps([outcome(case) for case in json.loads(sys.argv[1])]))
