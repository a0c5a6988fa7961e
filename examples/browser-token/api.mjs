// The protected API. It asks grantd what each token is worth; asking spends a one-time token, so the
// same token never opens it twice.
//
// GRANTD_URL     http://localhost:8080
// CLIENT_ID      a client of grantd with "resource_server": true and the API's name in "resources"
// CLIENT_SECRET  its secret
// PAGE_ORIGIN    whose page may call it (http://localhost:3000)
// PORT           9000

import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'

const {
  GRANTD_URL = 'http://localhost:8080',
  CLIENT_ID,
  CLIENT_SECRET,
  PAGE_ORIGIN = 'http://localhost:3000',
  PORT = '9000',
} = process.env
if (!CLIENT_ID || !CLIENT_SECRET) throw new Error('CLIENT_ID and CLIENT_SECRET are not set')

const encoded = (text) => new URLSearchParams({ text }).toString().slice('text='.length)
const basic = Buffer.from(`${encoded(CLIENT_ID)}:${encoded(CLIENT_SECRET)}`).toString('base64')

// What grantd says of the token. The first try may have spent it although its answer was lost: with
// the same use_id, our own and new for every request, a second try within ten seconds gets the same
// answer.
async function introspect(token) {
  const body = new URLSearchParams({ token, use_id: randomUUID() })
  const ask = () =>
    fetch(`${GRANTD_URL}/oauth2/introspect`, {
      method: 'POST',
      headers: { authorization: `Basic ${basic}` },
      body,
      signal: AbortSignal.timeout(3000),
    })
  const answer = await ask().catch(ask)
  if (!answer.ok) throw new Error(`introspection failed: ${answer.status} ${await answer.text()}`)
  return answer.json()
}

function send(response, status, body, headers = {}) {
  response.writeHead(status, {
    'access-control-allow-origin': PAGE_ORIGIN,
    'access-control-expose-headers': 'WWW-Authenticate',
    vary: 'origin',
    'cache-control': 'no-store',
    ...(body && { 'content-type': 'application/json' }),
    ...headers,
  })
  response.end(body && JSON.stringify(body))
}

async function report(request, response) {
  const token = /^bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1]
  if (!token) return send(response, 401, { error: 'a token is needed' }, { 'www-authenticate': 'Bearer' })
  const said = await introspect(token)
  if (!said.active) {
    const challenge = 'Bearer error="invalid_token"'
    return send(response, 401, { error: 'the token is not valid (any more)' }, { 'www-authenticate': challenge })
  }
  if (!said.scope?.split(' ').includes('reports:read')) {
    const challenge = 'Bearer error="insufficient_scope", scope="reports:read"'
    return send(response, 403, { error: 'the token is not for reports' }, { 'www-authenticate': challenge })
  }
  return send(response, 200, { report: 'All quiet.', read_by: said.sub, by_token: said.jti })
}

const server = createServer(async (request, response) => {
  try {
    const { method, url } = request
    if (method === 'OPTIONS') {
      send(response, 204, undefined, {
        'access-control-allow-methods': 'GET',
        'access-control-allow-headers': 'authorization',
        'access-control-max-age': '600',
      })
    } else if (method === 'GET' && url === '/report') {
      await report(request, response)
    } else {
      send(response, 404, { error: 'not found' })
    }
  } catch (error) {
    console.error(error)
    send(response, 503, { error: 'cannot tell right now' }, { 'retry-after': '1' })
  }
})
server.listen(Number(PORT), 'localhost', () => console.log(`API on http://localhost:${server.address().port}`))
