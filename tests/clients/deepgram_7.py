"""deepgram-sdk 7, unmodified: granted tokens, keys and projects against a running grantd.

argv[1]: JSON {base, key, weak, wrong}: an admin key, one of role default, one that is none. Prints what
it saw as JSON.
"""
import json
import sys

from deepgram import DeepgramClient
from deepgram.core.api_error import ApiError
from deepgram.environment import DeepgramClientEnvironment

given = json.loads(sys.argv[1])
base = given["base"]
environment = DeepgramClientEnvironment(base=base, production=base, agent=base, agent_rest=base)


def client(**credential):
    return DeepgramClient(environment=environment, **credential)


def told(call):
    try:
        call()
    except ApiError as error:
        body = error.body
        return {
            "status": error.status_code,
            "code": body["err_code"],
            "message": body["err_msg"],
            "id": body["request_id"],
        }
    return {"status": 200}


own = client(api_key=given["key"])
tokens, keys = own.auth.v1.tokens, own.manage.v1.projects.keys
usual = tokens.grant()
seen = {"usual": {"access_token": usual.access_token, "expires_in": usual.expires_in}}
seen["lifetimes"] = [tokens.grant(ttl_seconds=seconds).expires_in for seconds in (1, 60.5, 3600.0)]
seen["too_long"] = told(lambda: tokens.grant(ttl_seconds=3601))

project = own.manage.v1.projects.list().projects[0].project_id
fields = {"comment": "made by the SDK", "scopes": ["member"], "time_to_live_in_seconds": 600.0}
made = keys.create(project, request=fields)
seen["made"] = {"api_key_id": made.api_key_id, "key": made.key, "comment": made.comment, "scopes": made.scopes}


def listed():
    return [key.api_key.api_key_id for key in keys.list(project).api_keys]


seen["listed"] = listed()
read = keys.get(project, made.api_key_id).item.member.api_key
seen["read"] = {"api_key_id": read.api_key_id, "comment": read.comment, "scopes": read.scopes}
used = client(api_key=made.key).auth.v1.tokens.grant()
seen["used"] = {"access_token": used.access_token}
keys.delete(project, made.api_key_id)
seen["left"] = listed()
seen["after"] = told(lambda: client(api_key=made.key).auth.v1.tokens.grant())

seen["wrong"] = told(lambda: client(api_key=given["wrong"]).auth.v1.tokens.grant())
seen["weak"] = told(lambda: client(api_key=given["weak"]).auth.v1.tokens.grant())
# Sent as `bearer <token>`.
by_token = client(access_token=usual.access_token)
seen["by_token"] = [told(by_token.auth.v1.tokens.grant), told(by_token.manage.v1.projects.list)]
print(json.dumps(seen))
