// openid-client 6, unmodified, against a running grantd: discovery, code with PKCE, refresh,
// userinfo, introspection, revocation, logout. The login page is filled in as a browser without
// script would: fetch, cookies, and the fields that the form has.
//
// argv[2]: JSON {packages, issuer, client_id, client_secret, redirect_uri, post_logout_redirect_uri,
// username, password}. The last line printed is JSON of what was seen.
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Browser } from './browser.mjs'

const given = JSON.parse(process.argv[2])
const client = await import(pathToFileURL(join(given.packages, 'node_modules/openid-client/build/index.js')))
// client_secret_basic, as it is registered; http because the test's issuer is on loopback.
const proof = client.ClientSecretBasic(given.client_secret)
const config = await client.discovery(new URL(given.issuer), given.client_id, undefined, proof, {
  execute: [client.allowInsecureRequests],
})
const server = config.serverMetadata()
const browser = new Browser()

const verifier = client.randomPKCECodeVerifier()
const state = client.randomState()
const nonce = client.randomNonce()
const asked = client.buildAuthorizationUrl(config, {
  redirect_uri: given.redirect_uri,
  scope: 'openid profile email offline_access',
  code_challenge: await client.calculatePKCECodeChallenge(verifier),
  code_challenge_method: 'S256',
  state,
  nonce,
})
const back = await browser.logIn(asked, given)
const tokens = await client.authorizationCodeGrant(config, back, {
  pkceCodeVerifier: verifier,
  expectedState: state,
  expectedNonce: nonce,
  idTokenExpected: true,
})
const claims = tokens.claims()
const userinfo = await client.fetchUserInfo(config, tokens.access_token, claims.sub)
const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token)
const introspected = await client.tokenIntrospection(config, refreshed.access_token)
await client.tokenRevocation(config, refreshed.refresh_token)
const afterRevocation = await client.tokenIntrospection(config, refreshed.access_token)
let refusedRefresh = null
try {
  await client.refreshTokenGrant(config, refreshed.refresh_token)
} catch (error) {
  refusedRefresh = error.error
}
const end = client.buildEndSessionUrl(config, {
  id_token_hint: tokens.id_token,
  post_logout_redirect_uri: given.post_logout_redirect_uri,
  state: 'bye',
})
const left = await browser.follow(end)
console.log(
  JSON.stringify({
    issuer: server.issuer,
    claims,
    userinfo,
    tokenType: tokens.token_type,
    rotated: refreshed.refresh_token !== tokens.refresh_token,
    refreshedIdToken: Boolean(refreshed.id_token),
    introspected,
    afterRevocation,
    refusedRefresh,
    left: left.toString(),
  }),
)
