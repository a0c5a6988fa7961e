// @deepgram/sdk 5, 4 and 3, unmodified: granted tokens, keys and projects against a running grantd.
//
// argv[2]: JSON {packages, base, key, weak, wrong}: an admin key, one of role default, one that is none.
// The last line printed is JSON: what each version saw, by its number.
import { createRequire } from 'node:module'
import { join } from 'node:path'

const given = JSON.parse(process.argv[2])
const require = createRequire(join(given.packages, 'index.js'))

/** Version 5: throws, and knows the request id. */
function five() {
  const { DeepgramClient } = require('@deepgram/sdk')
  const client = (credential) => new DeepgramClient({ ...credential, baseUrl: given.base })
  const told = async (call) => {
    try {
      await call()
      return { status: 200 }
    } catch (error) {
      return { status: error.statusCode, code: error.body?.err_code, message: error.body?.err_msg, id: error.requestId }
    }
  }
  const grants = (credential) => client(credential).auth.v1.tokens
  const keys = (credential) => client(credential).manage.v1.projects.keys
  return {
    told,
    grant: (credential) => grants(credential).grant(),
    grantFor: (credential, seconds) => grants(credential).grant({ ttl_seconds: seconds }),
    projects: (credential) => client(credential).manage.v1.projects.list(),
    create: (credential, project, options) => keys(credential).create(project, options),
    list: (credential, project) => keys(credential).list(project),
    read: async (credential, project, id) => (await keys(credential).get(project, id)).item.member.api_key,
    remove: (credential, project, id) => keys(credential).delete(project, id),
  }
}

/** Versions 4 and 3: the error stands beside the result. */
function before(name) {
  const { createClient } = require(name)
  const options = { global: { fetch: { options: { url: given.base } } } }
  const client = ({ apiKey, accessToken }) =>
    apiKey ? createClient(apiKey, options) : createClient({ accessToken, ...options })
  const done = async (call) => {
    const { result, error } = await call
    if (error) throw error
    return result
  }
  const told = async (call) => {
    try {
      await call()
      return { status: 200 }
    } catch (error) {
      return { status: error.status, message: error.message }
    }
  }
  return {
    told,
    grant: (credential) => done(client(credential).auth.grantToken()),
    grantFor:
      name === 'deepgram-sdk-4'
        ? (credential, seconds) => done(client(credential).auth.grantToken({ ttl_seconds: seconds }))
        : undefined,
    own: (credential) => done(client(credential).manage.getTokenDetails()),
    projects: (credential) => done(client(credential).manage.getProjects()),
    create: (credential, project, key) => done(client(credential).manage.createProjectKey(project, key)),
    list: (credential, project) => done(client(credential).manage.getProjectKeys(project)),
    read: async (credential, project, id) =>
      (await done(client(credential).manage.getProjectKey(project, id))).api_key,
    remove: (credential, project, id) => done(client(credential).manage.deleteProjectKey(project, id)),
  }
}

async function run(sdk) {
  const key = { apiKey: given.key }
  const seen = { usual: await sdk.grant(key) }
  if (sdk.grantFor) {
    seen.lifetimes = []
    for (const seconds of [1, 60.5, 3600]) seen.lifetimes.push((await sdk.grantFor(key, seconds)).expires_in)
    seen.too_long = await sdk.told(() => sdk.grantFor(key, 3601))
  }
  if (sdk.own) seen.own = await sdk.own(key)

  const [project] = (await sdk.projects(key)).projects
  const options = { comment: 'made by the SDK', scopes: ['member'], time_to_live_in_seconds: 600 }
  seen.made = await sdk.create(key, project.project_id, options)
  const listed = async () =>
    (await sdk.list(key, project.project_id)).api_keys.map((one) => one.api_key.api_key_id)
  seen.listed = await listed()
  seen.read = await sdk.read(key, project.project_id, seen.made.api_key_id)
  seen.used = await sdk.grant({ apiKey: seen.made.key })
  await sdk.remove(key, project.project_id, seen.made.api_key_id)
  seen.left = await listed()
  seen.after = await sdk.told(() => sdk.grant({ apiKey: seen.made.key }))

  seen.wrong = await sdk.told(() => sdk.grant({ apiKey: given.wrong }))
  seen.weak = await sdk.told(() => sdk.grant({ apiKey: given.weak }))
  if (sdk.grantFor) {
    const token = { accessToken: seen.usual.access_token }
    seen.by_token = [await sdk.told(() => sdk.grant(token)), await sdk.told(() => sdk.projects(token))]
  }
  return seen
}

const said = {}
for (const [version, sdk] of [['5', five()], ['4', before('deepgram-sdk-4')], ['3', before('deepgram-sdk-3')]]) {
  said[version] = await run(sdk)
}
console.log(JSON.stringify(said))
