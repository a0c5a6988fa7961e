// The example of examples/browser-token in Chromium: the page, its backend and the API as they stand,
// with a key and a client made by the admin API as their README says.
//
// node browser_token.mjs '{"base": "http://127.0.0.1:1234", "key": "<owner key>", "packages": "…", "example": "…"}'

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { createServer } from 'node:http'
import { join } from 'node:path'

const settings = JSON.parse(process.argv[2])
const { chromium } = createRequire(join(settings.packages, 'package.json'))('playwright-core')
const AUDIENCE = 'https://reports.example.com'
const FLAGS = '--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync'

async function admin(path, body) {
  const answer = await fetch(`${settings.base}/admin/v1/${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${settings.key}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  const text = await answer.text()
  assert.equal(answer.status, 201, `${path}: ${text}`)
  return JSON.parse(text)
}

const children = []
// Starts a program of the example; answers the URL that it prints.
function start(program, env) {
  const child = spawn(process.execPath, [join(settings.example, program)], {
    env: { PATH: process.env.PATH, GRANTD_URL: settings.base, PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  children.push(child)
  return new Promise((resolve, reject) => {
    child.once('exit', (status) => reject(new Error(`${program} ended with status ${status}`)))
    child.stdout.on('data', (text) => {
      const url = /http:\S+/.exec(text)?.[0]
      if (url) resolve(url)
    })
  })
}

// The page names the API and the API the page: the API's port is taken first.
async function freePort() {
  const server = createServer().listen(0, 'localhost')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address()
  await new Promise((resolve) => server.close(resolve))
  return String(port)
}

const { key } = await admin('api-keys', { name: 'reports page', role: 'member', scope: 'reports:read', audience: [AUDIENCE], max_ttl: 60 })
const client = await admin('providers/default/clients', {
  client_name: 'reports API',
  grant_types: [],
  resource_server: true,
  resources: [AUDIENCE],
})

const introspected = async (token) => {
  const answer = await fetch(`${settings.base}/oauth2/introspect`, {
    method: 'POST',
    headers: { authorization: `Bearer ${settings.key}` },
    body: new URLSearchParams({ token }),
  })
  return answer.json()
}

let browser
try {
  const port = await freePort()
  const page = await start('backend.mjs', { GRANTD_API_KEY: key, AUDIENCE, API_URL: `http://localhost:${port}` })
  const api = await start('api.mjs', { CLIENT_ID: client.client_id, CLIENT_SECRET: client.client_secret, PAGE_ORIGIN: page, PORT: port })
  browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    headless: true,
    args: FLAGS.split(' '),
    env: { HOME: process.env.HOME ?? '/', PATH: process.env.PATH },
  })
  const tab = await browser.newPage()
  const [faults, tokens, bodies, reports, arriving] = [[], [], [], [], []]
  tab.on('console', (message) => {
    const refused = /the server responded with a status of 401/.test(message.text())
    if (['error', 'warning'].includes(message.type()) && !refused) faults.push(message.text())
  })
  tab.on('pageerror', (error) => faults.push(String(error)))
  const note = async (url, response) => {
    const body = await response.text()
    bodies.push(body)
    if (url.pathname === '/token') tokens.push(JSON.parse(body))
  }
  tab.on('response', (response) => {
    const url = new URL(response.url())
    if (url.protocol === 'data:' || response.request().method() === 'OPTIONS') return
    if (url.pathname === '/report') reports.push(response.status())
    arriving.push(note(url, response))
  })
  const shows = (text) => tab.waitForFunction((text) => document.getElementById('answer').value.startsWith(text), text)

  await tab.goto(page)
  assert.equal(await tab.isDisabled('#again'), true)
  for (let round = 0; round < 3; round += 1) {
    await tab.click('#load')
    await shows('200 All quiet.')
    await tab.click('#again')
    await shows('401 the token is not valid')
  }
  await Promise.all(arriving)
  assert.deepEqual(reports, [200, 401, 200, 401, 200, 401])
  assert.equal(tokens.length, 3)
  assert.equal(new Set(tokens.map(({ token }) => token)).size, 3)
  for (const { token, expires_in } of tokens) {
    assert.match(token, /^ga_/)
    assert.ok(expires_in >= 1 && expires_in <= 30, `${expires_in}`)
    assert.deepEqual(await introspected(token), { active: false })
  }
  for (const secret of [key, settings.key, client.client_secret]) {
    assert.ok(!bodies.some((body) => body.includes(secret)), 'a secret reached the browser')
  }
  assert.deepEqual(faults, [])

  // Not from our page: no token.
  for (const headers of [{}, { origin: 'https://evil.example' }, { origin: 'null' }]) {
    const answer = await fetch(`${page}/token`, { method: 'POST', headers })
    assert.equal(answer.status, 403, JSON.stringify(headers))
  }
  // The API by itself: no token, and one that is not for it.
  assert.equal((await fetch(`${api}/report`)).status, 401)
  assert.equal((await fetch(`${api}/report`, { headers: { authorization: `Bearer ${key}` } })).status, 401)
  console.log('done')
} finally {
  await browser?.close()
  for (const child of children) {
    child.removeAllListeners('exit')
    child.kill()
  }
}
