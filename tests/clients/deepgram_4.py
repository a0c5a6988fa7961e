"""deepgram-sdk 4 and 3, unmodified: granted tokens, keys and projects against a running grantd.

argv[1]: JSON {base, key, weak, wrong}: an admin key, one of role default, one that is none. Prints what
it saw as JSON.
"""
import inspect
import json
import sys

from deepgram import DeepgramApiError, DeepgramClient, DeepgramClientOptions

given = json.loads(sys.argv[1])


def client(api_key=None, access_token=None):
    if access_token is None:
        return DeepgramClient(api_key, DeepgramClientOptions(url=given["base"]))
    options = DeepgramClientOptions(url=given["base"], access_token=access_token)
    return DeepgramClient(access_token=access_token, config=options)


def auth(key):
    found = client(key).auth
    return found.v("1") if hasattr(found, "v") else found


def told(call):
    try:
        call()
    except DeepgramApiError as error:
        body = json.loads(error.original_error)
        return {
            "status": int(error.status),
            "code": body["err_code"],
            "message": error.message,
            "id": body["request_id"],
        }
    return {"status": 200}


def granted(key, *seconds):
    answer = auth(key).grant_token(*seconds)
    return {"access_token": answer.access_token, "expires_in": answer.expires_in}


seen = {"usual": granted(given["key"])}
takes_seconds = "ttl_seconds" in inspect.signature(auth(given["key"]).grant_token).parameters
if takes_seconds:
    seen["lifetimes"] = [granted(given["key"], seconds)["expires_in"] for seconds in (1, 60, 3600)]

manage = client(given["key"]).manage.v("1")
project = manage.list_projects().projects[0].project_id
fields = {"comment": "made by the SDK", "scopes": ["member"], "time_to_live_in_seconds": 600}
made = manage.create_key(project, fields)
seen["made"] = {"api_key_id": made.api_key_id, "key": made.key, "comment": made.comment, "scopes": made.scopes}


def listed():
    return [key.api_key.api_key_id for key in manage.list_keys(project).api_keys]


seen["listed"] = listed()
read = manage.get_key(project, made.api_key_id).api_key
seen["read"] = {"api_key_id": read.api_key_id, "comment": read.comment, "scopes": read.scopes}
seen["used"] = granted(made.key)
manage.delete_key(project, made.api_key_id)
seen["left"] = listed()
seen["after"] = told(lambda: granted(made.key))

seen["wrong"] = told(lambda: granted(given["wrong"]))
seen["weak"] = told(lambda: granted(given["weak"]))
if takes_seconds:
    seen["by_token"] = [told(client(access_token=seen["usual"]["access_token"]).manage.v("1").list_projects)]
print(json.dumps(seen))
