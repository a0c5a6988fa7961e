// The least of a browser: redirects, cookies of one host, and forms without script.

export class Browser {
  #cookies = new Map()

  // Follows redirects until they leave the server's origin; answers the URL it would leave for.
  async follow(url, init = {}) {
    const origin = new URL(url).origin
    let next = new URL(url)
    let request = init
    for (let hops = 0; hops < 10; hops += 1) {
      const answer = await this.#send(next, request)
      const to = answer.headers.get('location')
      if (!to) return { page: await answer.text(), url: next, status: answer.status, toString: () => String(next) }
      next = new URL(to, next)
      if (next.origin !== origin) return next
      request = {}
    }
    throw new Error('too many redirects')
  }

  // Asks for authorization and fills in the login form; answers the URL with the code.
  async logIn(url, { username, password }) {
    const login = await this.follow(url)
    if (!login.page) return login
    return this.follow(...this.#filled(login, { username, password }))
  }

  #filled({ page, url }, values) {
    const form = /<form[^>]*>[\s\S]*?<\/form>/.exec(page)?.[0]
    if (!form) throw new Error(`no form in ${page}`)
    const action = decoded(/<form[^>]*\saction="([^"]*)"/.exec(form)?.[1] ?? '')
    const fields = new URLSearchParams()
    for (const [input] of form.matchAll(/<input[^>]*>/g)) {
      const name = /\sname="([^"]*)"/.exec(input)?.[1]
      const value = /\svalue="([^"]*)"/.exec(input)?.[1] ?? ''
      if (name) fields.set(name, decoded(value))
    }
    for (const [name, value] of Object.entries(values)) fields.set(name, value)
    return [new URL(action || url, url), { method: 'POST', body: fields }]
  }

  async #send(url, request) {
    const headers = {}
    if (this.#cookies.size > 0) {
      headers.cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    }
    const answer = await fetch(url, { ...request, headers, redirect: 'manual' })
    for (const line of answer.headers.getSetCookie()) {
      const [name, value] = line.split(';', 1)[0].split(/=(.*)/s)
      if (/max-age=0/i.test(line)) this.#cookies.delete(name)
      else this.#cookies.set(name, value)
    }
    return answer
  }
}

function decoded(text) {
  return text
    .replaceAll('&#x2f;', '/')
    .replaceAll('&#x3d;', '=')
    .replaceAll('&quot;', '"')
    .replaceAll('&#34;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&#60;', '<')
    .replaceAll('&#62;', '>')
    .replaceAll('&#38;', '&')
    .replaceAll('&amp;', '&')
}
