"""Authlib, unmodified, against a running grantd: a web application that logs a person in.

argv[1]: JSON {issuer, client_id, client_secret, redirect_uri, username, password}. The last line
printed is JSON of what was seen.
"""

import html
import json
import re
import sys
from urllib.parse import urljoin, urlparse

import requests
from authlib.integrations.requests_client import OAuth2Session
from authlib.jose import JsonWebKey, jwt
from authlib.oidc.core import CodeIDToken

given = json.loads(sys.argv[1])


def plain():
    session = requests.Session()
    session.trust_env = False
    return session


def follow(browser, answer, origin):
    """Follows redirects until they leave the server."""
    while answer.is_redirect:
        to = urljoin(answer.url, answer.headers["location"])
        if urlparse(to).netloc != origin:
            return to, None
        answer = browser.get(to, allow_redirects=False)
    return answer.url, answer


def log_in(url):
    browser = plain()
    origin = urlparse(given["issuer"]).netloc
    at, page = follow(browser, browser.get(url, allow_redirects=False), origin)
    form = re.search(r"<form.*?</form>", page.text, re.S).group(0)
    action = html.unescape(re.search(r'action="([^"]*)"', form).group(1))
    fields = {}
    for field in re.findall(r"<input[^>]*>", form):
        name = re.search(r'\sname="([^"]*)"', field)
        value = re.search(r'\svalue="([^"]*)"', field)
        if name:
            fields[name.group(1)] = html.unescape(value.group(1)) if value else ""
    fields.update(username=given["username"], password=given["password"])
    answer = browser.post(urljoin(at, action), data=fields, allow_redirects=False)
    left, _ = follow(browser, answer, origin)
    return left


metadata = plain().get(given["issuer"] + "/.well-known/openid-configuration").json()
keys = JsonWebKey.import_key_set(plain().get(metadata["jwks_uri"]).json())
client = OAuth2Session(
    given["client_id"],
    given["client_secret"],
    scope="openid profile email",
    redirect_uri=given["redirect_uri"],
    code_challenge_method="S256",
)
client.trust_env = False
verifier = "v" * 64
url, state = client.create_authorization_url(
    metadata["authorization_endpoint"], code_verifier=verifier, nonce="n-0S6_WzA2Mj"
)
left = log_in(url)
token = client.fetch_token(metadata["token_endpoint"], authorization_response=left, code_verifier=verifier, state=state)
claims = jwt.decode(
    token["id_token"],
    keys,
    claims_cls=CodeIDToken,
    claims_options={"iss": {"value": metadata["issuer"]}, "aud": {"value": given["client_id"]}},
    claims_params={
        "nonce": "n-0S6_WzA2Mj",
        "client_id": given["client_id"],
        "access_token": token["access_token"],
    },
)
claims.validate(leeway=5)
userinfo = client.get(metadata["userinfo_endpoint"]).json()
refreshed = client.refresh_token(metadata["token_endpoint"], refresh_token=token["refresh_token"])
introspected = client.introspect_token(
    metadata["introspection_endpoint"], token=refreshed["access_token"], token_type_hint="access_token"
).json()
client.revoke_token(metadata["revocation_endpoint"], token=refreshed["refresh_token"])
after = client.introspect_token(metadata["introspection_endpoint"], token=refreshed["access_token"]).json()
print(
    json.dumps(
        {
            "claims": dict(claims),
            "userinfo": userinfo,
            "rotated": refreshed["refresh_token"] != token["refresh_token"],
            "introspected": introspected,
            "after": after,
        }
    )
)
