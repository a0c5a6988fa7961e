// Drives the pages in Chromium as people do: by keyboard and mouse, in two languages, light and dark,
// on a desk and on a phone. It makes what it needs by the admin API, keeps a picture of every page,
// and fails on any console error, any request to another host, any text that cannot be read.
//
// node pages.mjs '{"base": "http://127.0.0.1:1234", "key": "<owner key>", "folder": "…", "all": true}'

import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { join } from 'node:path'

const settings = JSON.parse(process.argv[2])
// The packages lie beside the checkout's other clients, not beside this file.
const { chromium } = createRequire(join(settings.packages, 'package.json'))('playwright-core')

const DESK = { width: 1280, height: 800 }
const PHONE = { width: 375, height: 740 }
const PASSWORD = 'correct horse battery staple'
const CHALLENGE = 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM'
const VERIFIER = 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk'
const LOGO =
  'data:image/svg+xml;base64,' +
  Buffer.from(
    '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40" viewBox="0 0 40 40"><rect width="40" height="40" rx="10" fill="#0f766e"/><path d="M11 27 20 12l9 15z" fill="none" stroke="#fff" stroke-width="3" stroke-linejoin="round"/></svg>',
  ).toString('base64')

const WORDS = {
  en: {
    wrong: 'The username or password is not right.',
    submit: 'Sign in',
    asks: /asks for access/,
    saved: 'Your profile is saved.',
    changed: /Your password is changed/,
    short: /cannot be used/,
    notRight: 'The current password is not right.',
    ended: 'The session has ended.',
    out: 'You are signed out',
    error: 'This did not work',
  },
  de: {
    wrong: 'Benutzername oder Passwort ist nicht richtig.',
    submit: 'Anmelden',
    asks: /bittet um Zugriff/,
    saved: 'Ihr Profil ist gespeichert.',
    changed: /Ihr Passwort ist geändert/,
    short: /kann nicht verwendet werden/,
    notRight: 'Das bisherige Passwort ist nicht richtig.',
    ended: 'Die Sitzung ist beendet.',
    out: 'Sie sind abgemeldet',
    error: 'Das hat nicht geklappt',
  },
}

async function admin(method, path, body) {
  const answer = await fetch(`${settings.base}/admin/v1${path}`, {
    method,
    headers: { authorization: `Bearer ${settings.key}`, 'content-type': 'application/json' },
    body: body && JSON.stringify(body),
  })
  const text = await answer.text()
  assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`)
  return text ? JSON.parse(text) : undefined
}

// The client's own place: it notes what arrives, and moves the browser on to another origin as many
// applications do.
async function application() {
  const arrived = []
  const server = createServer((request, response) => {
    const url = new URL(request.url, 'http://application.example')
    let body = ''
    request.on('data', (piece) => (body += piece))
    request.on('end', () => {
      response.setHeader('content-type', 'text/html; charset=utf-8')
      const page = '<!doctype html><html lang="en"><title>app</title><link rel="icon" href="data:,"><p>application'
      if (url.pathname === '/cb') {
        arrived.push(new URLSearchParams(request.method === 'POST' ? body : url.search))
        response.statusCode = 303
        response.setHeader('location', `http://localhost:${server.address().port}/home`)
      }
      response.end(page)
    })
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address()
  return { arrived, server, callback: `http://127.0.0.1:${port}/cb`, hosts: [`127.0.0.1:${port}`, `localhost:${port}`], port }
}

class Visitor {
  constructor(world, context, page) {
    Object.assign(this, { world, context, page, said: WORDS[world.language] })
  }

  static async arrive(world, options = {}) {
    const context = await world.browser.newContext({
      locale: world.language === 'de' ? 'de-DE' : 'en-GB',
      viewport: DESK,
      colorScheme: 'light',
      ...options,
    })
    const page = await context.newPage()
    context.on('request', (request) => {
      const url = new URL(request.url())
      const known = [new URL(settings.base).host, ...world.app.hosts]
      if (url.protocol !== 'data:' && !known.includes(url.host)) world.faults.push(`request to ${url}`)
    })
    page.on('console', (message) => {
      // A refused form is an answer of status 400 or 403, which the browser notes as such.
      const refused = /the server responded with a status of 4\d\d/.test(message.text())
      if (['error', 'warning'].includes(message.type()) && !refused) world.faults.push(`console: ${message.text()}`)
    })
    page.on('pageerror', (error) => world.faults.push(`script: ${error}`))
    return new Visitor(world, context, page)
  }

  authorize(client, more = {}) {
    const query = new URLSearchParams({
      client_id: client.client_id,
      response_type: 'code',
      redirect_uri: this.world.app.callback,
      scope: 'openid profile email offline_access',
      state: 's & "t"',
      code_challenge: CHALLENGE,
      code_challenge_method: 'S256',
      ...more,
    })
    return this.go(`/oauth2/authorize?${query}`)
  }

  // On a starved machine the server cannot read its change log for a second and says 503; people ask again.
  async go(path) {
    for (let tries = 1; ; tries += 1) {
      const answer = await this.page.goto(`${this.world.root}${path}`)
      if (answer?.status() !== 503 || tries === 5) return answer
      await this.page.waitForTimeout(1000)
      const noted = this.world.faults.findIndex((fault) => fault.includes('a status of 503'))
      if (noted >= 0) this.world.faults.splice(noted, 1)
    }
  }

  async logIn(username, password = PASSWORD) {
    await this.page.fill('#username', username)
    await this.page.fill('#password', password)
    await this.page.click('#login-submit')
  }

  // What the application was told last, once the browser is at its home.
  async told() {
    await this.page.waitForURL(/\/home$/)
    const last = this.world.app.arrived.at(-1)
    assert.equal(last.get('state'), 's & "t"')
    return last
  }

  async sees(selector, words) {
    const text = (await this.page.textContent(selector)).replaceAll(/[\u2068\u2069]/g, '').trim()
    if (words instanceof RegExp) assert.match(text, words)
    else assert.equal(text, words)
  }

  // Pictures of the page at hand, and what must hold of every page in every palette and width.
  async shot(name) {
    const { page, world } = this
    const file = (kind) => join(settings.folder, `${name}.${world.language}${kind}.png`)
    assert.equal(await page.getAttribute('html', 'lang'), world.language)
    await this.inspect(`${name} light`)
    await page.screenshot({ path: file(''), fullPage: true })
    await page.emulateMedia({ colorScheme: 'dark' })
    await page.setViewportSize(PHONE)
    await this.inspect(`${name} dark`)
    await page.screenshot({ path: file('.dark-phone'), fullPage: true })
    await page.setViewportSize({ width: 320, height: 640 })
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth)
    assert.ok(wide <= 0, `${name} is ${wide} px too wide for a small phone`)
    await page.emulateMedia({ colorScheme: 'light' })
    await page.setViewportSize(DESK)
  }

  async inspect(where) {
    const faults = await this.page.evaluate(() => {
      const faults = []
      const visible = (element) => element.getClientRects().length > 0
      const numbers = (color) => (color.match(/[\d.]+/g) ?? []).map(Number)
      const luminance = ([r, g, b]) => {
        const part = (value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4)
        return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b)
      }
      const contrast = (one, other) => {
        const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b)
        return (high + 0.05) / (low + 0.05)
      }
      const ground = (element) => {
        for (let at = element; at; at = at.parentElement) {
          const color = numbers(getComputedStyle(at).backgroundColor)
          if (color.length === 3 || color[3] === 1) return color
        }
        return [255, 255, 255]
      }
      for (const element of document.querySelectorAll('body *')) {
        if (!visible(element)) continue
        const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim())
        const ratio = contrast(numbers(getComputedStyle(element).color), ground(element))
        if (own && ratio < 4.5) faults.push(`contrast ${ratio.toFixed(2)}: ${element.outerHTML.slice(0, 80)}`)
      }
      for (const element of document.querySelectorAll('button, .button, input:not([type=hidden])')) {
        const { width, height } = element.getBoundingClientRect()
        if (visible(element) && (width < 44 || height < 44)) faults.push(`${width}×${height}: ${element.outerHTML}`)
      }
      for (const input of document.querySelectorAll('input:not([type=hidden])')) {
        if (!visible(input)) continue
        if (input.labels.length === 0) faults.push(`no label: ${input.outerHTML}`)
        const ratio = contrast(numbers(getComputedStyle(input).borderTopColor), ground(input.parentElement))
        if (ratio < 3) faults.push(`edge ${ratio.toFixed(2)}: ${input.outerHTML}`)
      }
      const ids = [...document.querySelectorAll('[id]')].map((element) => element.id)
      if (new Set(ids).size !== ids.length) faults.push('an id stands twice')
      for (const element of document.querySelectorAll('[aria-describedby], [aria-labelledby]')) {
        const named = `${element.getAttribute('aria-describedby') ?? ''} ${element.getAttribute('aria-labelledby') ?? ''}`
        for (const id of named.trim().split(/\s+/)) if (!ids.includes(id)) faults.push(`no element ${id}`)
      }
      if (document.querySelectorAll('h1').length !== 1) faults.push('not one heading')
      if (!document.querySelector('main') || !document.title) faults.push('no main or title')
      return faults
    })
    assert.deepEqual(faults, [], where)
  }

  async leave() {
    await this.context.close()
  }
}

// Login, a wrong password, consent refused and given.
async function flow(world) {
  const visitor = await Visitor.arrive(world)
  const { page, said } = visitor
  await visitor.authorize(world.asking, { login_hint: 'alice' })
  assert.equal(await page.inputValue('#username'), 'alice')
  await page.fill('#username', '')
  await visitor.shot('login')

  await page.focus('#username')
  await page.keyboard.type('alice')
  await page.keyboard.press('Tab')
  await page.keyboard.type('not the password')
  await page.keyboard.press('Tab')
  assert.equal(await page.evaluate(() => document.activeElement.id), 'login-submit')
  assert.notEqual(await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle), 'none')
  await page.keyboard.press('Enter')
  await page.waitForSelector('#login-error')
  await visitor.sees('#login-error', said.wrong)
  await visitor.sees('#login-submit', said.submit)
  assert.equal(await page.inputValue('#username'), 'alice')
  assert.equal(await page.inputValue('#password'), '')
  assert.equal(await page.evaluate(() => document.activeElement.id), 'password')
  await visitor.shot('login-wrong')

  await page.keyboard.type(PASSWORD)
  await page.keyboard.press('Enter')
  await page.waitForSelector('#consent-form')
  await visitor.sees('.lead', said.asks)
  await visitor.shot('consent')
  await page.click('#consent-deny')
  assert.equal((await visitor.told()).get('error'), 'access_denied')

  await visitor.authorize(world.asking)
  await page.click('#consent-allow')
  assert.match((await visitor.told()).get('code'), /^\S+$/)
  // Once allowed it is not asked again; who is logged in is not asked to log in.
  await visitor.authorize(world.asking)
  assert.ok((await visitor.told()).has('code'))
  await visitor.leave()

  const other = await Visitor.arrive(world)
  await other.authorize(world.own)
  await other.page.click('#login-cancel')
  assert.equal((await other.told()).get('error'), 'access_denied')
  await other.leave()
}

// Logout: asked without a hint, at once with one.
async function logout(world) {
  const visitor = await Visitor.arrive(world)
  const { page, said } = visitor
  await visitor.authorize(world.own)
  await visitor.logIn('alice')
  const code = (await visitor.told()).get('code')
  await visitor.go('/oauth2/logout')
  await visitor.shot('logout')
  await page.click('#logout-submit')
  await page.waitForURL(/\/logged-out$/)
  await visitor.sees('h1', said.out)
  await visitor.shot('signed-out')
  await visitor.go('/account')
  await page.waitForSelector('#login-form')

  const { client_id, client_secret } = world.own
  const redeem = new URLSearchParams({
    grant_type: 'authorization_code',
    code,
    redirect_uri: world.app.callback,
    code_verifier: VERIFIER,
  })
  const headers = { authorization: `Basic ${Buffer.from(`${client_id}:${client_secret}`).toString('base64')}` }
  // The first code died with its session; a fresh one gives the hint.
  await fetch(`${world.root}/oauth2/token`, { method: 'POST', headers, body: redeem })
  await visitor.authorize(world.own)
  await visitor.logIn('alice')
  redeem.set('code', (await visitor.told()).get('code'))
  const answer = await fetch(`${world.root}/oauth2/token`, { method: 'POST', headers, body: redeem })
  const tokens = await answer.json()
  assert.ok(tokens.id_token, JSON.stringify(tokens))
  const query = new URLSearchParams({
    id_token_hint: tokens.id_token,
    post_logout_redirect_uri: `http://localhost:${world.app.port}/home`,
  })
  await visitor.go(`/oauth2/logout?${query}`)
  await page.waitForURL(/\/home$/)
  await visitor.go('/account')
  await page.waitForSelector('#login-form')
  await visitor.leave()
}

// One's own account: name, password, sessions.
async function account(world) {
  const visitor = await Visitor.arrive(world)
  const { page, said } = visitor
  await visitor.go('/account')
  await visitor.logIn('bob')
  await page.waitForSelector('#profile-form')
  await page.fill('#name', 'Bob Ødegård')
  await page.click('#profile-submit')
  await visitor.sees('#done', said.saved)
  assert.equal(await page.inputValue('#name'), 'Bob Ødegård')

  const phone = await Visitor.arrive(world, {
    userAgent: 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1 Version/18.0 Mobile Safari/604.1',
  })
  await phone.go('/account')
  await phone.logIn('bob')
  await phone.page.waitForSelector('#sessions')
  await visitor.go('/account')
  assert.match(await page.textContent('#sessions'), /Safari, iPhone/)
  await visitor.shot('account')

  for (const [current, fresh, selector, words] of [
    ['not the password', 'a whole new passphrase', '#current-error', said.notRight],
    [PASSWORD, 'short', '#new-error', said.short],
  ]) {
    await page.fill('#current-password', current)
    await page.fill('#new-password', fresh)
    await page.click('#password-submit')
    await page.waitForSelector(selector)
    await visitor.sees(selector, words)
    assert.equal(await page.inputValue('#current-password'), '')
  }
  await visitor.shot('account-wrong')

  await page.click('.sessions form button')
  await visitor.sees('#done', said.ended)
  await phone.page.reload()
  await phone.page.waitForSelector('#login-form')
  await phone.logIn('bob')
  await phone.page.waitForSelector('#sessions')

  await page.fill('#current-password', PASSWORD)
  await page.fill('#new-password', 'a whole new passphrase')
  await page.click('#password-submit')
  await visitor.sees('#done', said.changed)
  await phone.page.reload()
  await phone.logIn('bob')
  await visitor.sees('#done', said.changed)
  await phone.page.waitForSelector('#login-error')
  await phone.logIn('bob', 'a whole new passphrase')
  await phone.page.waitForSelector('#sessions')
  await phone.page.click('#end-all')
  await phone.page.waitForURL(/\/logged-out$/)
  await page.reload()
  await page.waitForSelector('#login-form')
  await phone.leave()
  await visitor.leave()
}

// Errors, and the page that posts its answer: by itself, and by its button where there is no script.
async function rest(world) {
  const visitor = await Visitor.arrive(world)
  await visitor.authorize({ client_id: 'nobody' })
  await visitor.sees('h1', visitor.said.error)
  await visitor.shot('error')
  await visitor.authorize(world.own, { response_mode: 'form_post' })
  await visitor.logIn('alice')
  assert.ok((await visitor.told()).has('code'))
  await visitor.leave()

  const plain = await Visitor.arrive(world, { javaScriptEnabled: false })
  await plain.authorize(world.own, { response_mode: 'form_post' })
  await plain.logIn('alice')
  await plain.page.waitForSelector('#form-post-continue')
  const file = (kind) => join(settings.folder, `form-post.${world.language}${kind}.png`)
  await plain.page.screenshot({ path: file(''), fullPage: true })
  await plain.page.click('#form-post-continue')
  assert.ok((await plain.told()).has('code'))
  await plain.leave()
}

// A form of another site: the person is logged in all the same.
async function crossSite(world) {
  const visitor = await Visitor.arrive(world)
  await visitor.authorize(world.own)
  await visitor.logIn('alice')
  await visitor.told()
  const before = world.app.arrived.length
  await visitor.page.goto(`http://localhost:${world.app.port}/home`)
  const fields = {
    client_id: world.own.client_id,
    response_type: 'code',
    redirect_uri: world.app.callback,
    scope: 'openid',
    state: 's & "t"',
    code_challenge: CHALLENGE,
    code_challenge_method: 'S256',
  }
  const answered = visitor.page.waitForRequest((request) => new URL(request.url()).pathname === '/cb', { timeout: 10_000 })
  await visitor.page.evaluate(
    ([action, fields]) => {
      const form = Object.assign(document.createElement('form'), { method: 'post', action })
      for (const [name, value] of Object.entries(fields)) {
        form.append(Object.assign(document.createElement('input'), { name, value }))
      }
      document.body.append(form)
      form.submit()
    },
    [`${world.root}/oauth2/authorize`, fields],
  )
  // Else the person is asked to log in again.
  await (await answered).response()
  assert.equal(world.app.arrived.length, before + 1)
  assert.ok((await visitor.told()).has('code'))
  await visitor.leave()
}

async function world(browser, app, language) {
  // German is seen at a provider of its own, with its own colours and below its own path.
  const slug = language === 'de' ? 'nordlicht' : 'default'
  if (slug !== 'default') {
    await admin('POST', '/providers', { slug, name: 'Nordlicht Energie', brand_color: '#0f766e', logo_uri: LOGO })
  } else {
    await admin('PATCH', '/providers/default', { name: 'Example Cloud' })
  }
  const path = `/providers/${slug}`
  for (const username of ['alice', 'bob']) {
    await admin('POST', `${path}/users`, { username, email: `${username}@example.com`, password: PASSWORD })
  }
  const client = (fields) =>
    admin('POST', `${path}/clients`, {
      grant_types: ['authorization_code', 'refresh_token'],
      redirect_uris: [app.callback],
      post_logout_redirect_uris: [`http://localhost:${app.port}/home`],
      scope: 'openid profile email offline_access groups reports:read',
      application_type: 'native',
      ...fields,
    })
  return {
    browser,
    app,
    language,
    faults: [],
    root: slug === 'default' ? settings.base : `${settings.base}/p/${slug}`,
    asking: await client({ client_name: 'Field Reports', require_consent: true }),
    own: await client({ client_name: 'Console', require_consent: false }),
  }
}

const flags = '--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync'
const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  headless: true,
  args: flags.split(' '),
  env: { HOME: process.env.HOME ?? '/', PATH: process.env.PATH },
})
const app = await application()
try {
  await mkdir(settings.folder, { recursive: true })
  for (const language of settings.all ? ['en', 'de'] : ['en']) {
    const here = await world(browser, app, language)
    await flow(here)
    await logout(here)
    await account(here)
    await rest(here)
    await crossSite(here)
    assert.deepEqual(here.faults, [])
  }
  console.log('done')
} catch (error) {
  for (const page of browser.contexts().flatMap((context) => context.pages())) {
    console.log(page.url(), await page.textContent('body').catch(String))
  }
  throw error
} finally {
  await browser.close()
  app.server.close()
  app.server.closeAllConnections()
}
