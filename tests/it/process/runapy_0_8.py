"""runapy 0.8.0, unmodified, over a JSON list of cases. Prints what became of each as a JSON list.
Its margin is fixed."""
import json
import sys
import time

from runai.client import RunaiClient


def run(case):
    client = RunaiClient(runai_base_url=case["base"], client_id=case["client_id"], client_secret=case["secret"])
    for _ in range(case["checks"]):
        client._check_token_expired()
    return {
        "token": client._api_token,
        "expiry": client._api_token_expiary,
        "authorization": client._session.headers["Authorization"],
    }


def outcome(case):
    began = time.monotonic()
    try:
        said = run(case)
    except Exception as error:
        said = {"error": type(error).__name__, "message": str(error)}
    return {**said, "seconds": time.monotonic() - began}


print(json.dumps([outcome(case) for case in json.loads(sys.argv[1])]))
