"""Every call comes from another address, behind the proxy that the server trusts: else the first wrong keys of the
run would be throttled, and nothing after them be tested. Below schemathesis, so that it judges its own headers only."""

import itertools

import requests

calls = itertools.count(1)
send = requests.Session.send


def send_from_elsewhere(session, request, **how):
    call = next(calls)
    request.headers["X-Forwarded-For"] = f"10.{call >> 16 & 255}.{call >> 8 & 255}.{call & 255}"
    return send(session, request, **how)


requests.Session.send = send_from_elsewhere
