const api = document.body.dataset.api
const [load, again, answer] = ['load', 'again', 'answer'].map((id) => document.getElementById(id))
// Only for the second button: a page has no reason to keep a token.
let last

async function freshToken() {
  const response = await fetch('/token', { method: 'POST' })
  if (!response.ok) throw new Error(`no token: ${response.status}`)
  return (await response.json()).token
}

async function show(token) {
  const response = await fetch(`${api}/report`, { headers: { authorization: `Bearer ${token}` } })
  const body = await response.json()
  answer.value = response.ok ? `${response.status} ${body.report}` : `${response.status} ${body.error}`
}

async function click(action) {
  answer.value = '…'
  try {
    await action()
  } catch (error) {
    answer.value = String(error)
  }
}

load.addEventListener('click', () =>
  click(async () => {
    last = await freshToken()
    again.disabled = false
    await show(last)
  }),
)
again.addEventListener('click', () => click(() => show(last)))
