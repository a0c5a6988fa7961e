// A client of ours for VocalStack, whose SDK 1.1.0 is in no registry. It sends what the SDK sends and
// judges answers as the SDK does: the version first, then the status, whose reason phrase is the error;
// the body of an error is not read.
//
// argv[2]: JSON list of {base, apiKey | authToken, options, path}. The last line printed is a JSON list
// of results.
const VERSION = '1.1.0'

function parsed(version) {
  const parts = /^(\d+)\.(\d+)\.(\d+)$/.exec(version ?? '')
  return parts && parts.slice(1).map(Number)
}

function versionFault(headers) {
  if (headers.get('X-API-Version-Discontinued') === '1') return 'This version of the SDK is discontinued.'
  const version = headers.get('X-API-Version')
  if (!version) return 'VocalStack API version is missing.'
  const [theirs, ours] = [parsed(version), parsed(VERSION)]
  if (!theirs) return 'VocalStack API version is malformed.'
  const [major, minor, patch] = theirs
  const older = minor < ours[1] || (minor === ours[1] && patch < ours[2])
  return major !== ours[0] || older ? 'VocalStack API version does not fit.' : undefined
}

async function generateToken({ base, apiKey, authToken, options = {}, path = '/security/generate-token' }) {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(options)) {
    if (value !== undefined && value !== null && value !== '') query.append(name, String(value))
  }
  const headers = { 'X-Expected-API-Version': VERSION }
  if (apiKey) headers.authorization = apiKey
  if (authToken) headers.authorization = `Bearer ${authToken}`
  try {
    // Without options the URL ends in `?`.
    const response = await fetch(`${base}${path}?${query}`, { method: 'GET', headers })
    const fault = versionFault(response.headers)
    if (fault) throw new Error(fault)
    if (!response.ok) return { success: false, error: response.statusText, status: response.status }
    const json = await response.json()
    if (json.status === 'error') return { success: false, error: json.error }
    return { success: true, error: undefined, ...json }
  } catch (error) {
    return { success: false, error: String(error) }
  }
}

const results = []
for (const call of JSON.parse(process.argv[2])) results.push(await generateToken(call))
console.log(JSON.stringify(results))
