// The page's own backend. It holds the API key, and turns it into a token that a browser may hold:
// half a minute long, for one scope, to read only, good for one use.
//
// GRANTD_URL      http://localhost:8080
// GRANTD_API_KEY  an API key of role member whose scope has reports:read and whose audience has AUDIENCE
// AUDIENCE        what the API calls itself (https://reports.example.com)
// API_URL         where the page reaches the API (http://localhost:9000)
// PORT            3000

import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'

const {
  GRANTD_URL = 'http://localhost:8080',
  GRANTD_API_KEY,
  AUDIENCE = 'https://reports.example.com',
  API_URL = 'http://localhost:9000',
  PORT = '3000',
} = process.env
if (!GRANTD_API_KEY) throw new Error('GRANTD_API_KEY is not set')

const page = (await readFile(new URL('page.html', import.meta.url), 'utf8')).replaceAll('API_URL', API_URL)
const script = await readFile(new URL('page.js', import.meta.url))

async function mint() {
  const answer = await fetch(`${GRANTD_URL}/oauth2/mint`, {
    method: 'POST',
    headers: { authorization: `Bearer ${GRANTD_API_KEY}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      ttl_seconds: 30,
      scope: 'reports:read',
      audience: AUDIENCE,
      access: 'readonly',
      one_time: true,
    }),
    signal: AbortSignal.timeout(5000),
  })
  if (!answer.ok) throw new Error(`minting failed: ${answer.status} ${await answer.text()}`)
  const { access_token, expires_in } = await answer.json()
  return { token: access_token, expires_in }
}

// A script of another site may send this request too, in this browser. It would come without our
// page's origin.
function isOfOurPage(request) {
  const { origin, host } = request.headers
  return origin !== undefined && URL.canParse(origin) && new URL(origin).host === host
}

const json = (response, status, body) => {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' })
  response.end(JSON.stringify(body))
}

const server = createServer(async (request, response) => {
  try {
    const { method, url } = request
    if (method === 'GET' && url === '/') {
      response.writeHead(200, {
        'content-type': 'text/html; charset=utf-8',
        'content-security-policy': `default-src 'none'; script-src 'self'; connect-src 'self' ${API_URL}; img-src data:`,
      })
      response.end(page)
    } else if (method === 'GET' && url === '/page.js') {
      response.writeHead(200, { 'content-type': 'text/javascript; charset=utf-8' })
      response.end(script)
    } else if (method === 'POST' && url === '/token') {
      // Here your application looks at its own session: who may not see reports gets no token.
      if (!isOfOurPage(request)) json(response, 403, { error: 'not from our page' })
      else json(response, 200, await mint())
    } else {
      json(response, 404, { error: 'not found' })
    }
  } catch (error) {
    // Why is for the log; the browser learns nothing of the key or of grantd.
    console.error(error)
    json(response, 502, { error: 'no token right now' })
  }
})
server.listen(Number(PORT), 'localhost', () => console.log(`page on http://localhost:${server.address().port}`))
