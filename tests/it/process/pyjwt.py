"""PyJWT verifies a token by the JWKS URL: JWKS_URL ISSUER AUDIENCE ALGORITHM TOKEN. Prints the claims."""
import json
import sys

import jwt

url, issuer, audience, algorithm, token = sys.argv[1:]
try:
    key = jwt.PyJWKClient(url).get_signing_key_from_jwt(token)
    required = {"require": ["exp", "iat", "iss", "sub", "aud", "jti"]}
    claims = jwt.decode(token, key.key, algorithms=[algorithm], audience=audience, issuer=issuer, options=required)
    said = {"claims": claims, "header": jwt.get_unverified_header(token)}
except Exception as error:
    said = {"error": type(error).__name__, "message": str(error)}
print(json.dumps(said))
