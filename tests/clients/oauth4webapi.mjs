// Walks through the life of a session with oauth4webapi, and prints what came of each step as JSON.
// Arguments: the package's folder, the issuer, the e-mail, the password, an API key.

const [folder, address, username, password, key] = process.argv.slice(2)
const oauth = await import(`${folder}/build/index.js`)

const insecure = { [oauth.allowInsecureRequests]: true }
const client = { client_id: 'oauth4webapi' }
const issuer = new URL(address)

const found = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure })
const server = await oauth.processDiscoveryResponse(issuer, found)

async function logIn() {
  const form = new URLSearchParams({ username, password, scope: 'account' })
  const answer = await oauth.genericTokenEndpointRequest(
    server, client, oauth.None(), 'password', form, insecure)
  return oauth.processGenericTokenEndpointResponse(server, client, answer)
}

async function refresh(token) {
  const answer = await oauth.refreshTokenGrantRequest(server, client, oauth.None(), token, insecure)
  return oauth.processRefreshTokenResponse(server, client, answer)
}

async function introspect(token, secret = key) {
  const authentication = oauth.ClientSecretBasic(secret)
  const answer = await oauth.introspectionRequest(server, client, authentication, token, insecure)
  return oauth.processIntrospectionResponse(server, client, answer)
}

async function revoke(token) {
  const answer = await oauth.revocationRequest(server, client, oauth.None(), token, insecure)
  return oauth.processRevocationResponse(answer)
}

async function errorOf(promise) {
  try {
    await promise
  } catch (error) {
    return error.error ?? error.cause?.[0]?.scheme ?? String(error)
  }
}

const first = await logIn()
const second = await refresh(first.refresh_token)
const live = await introspect(second.access_token)
const protectedResource = await oauth.protectedResourceRequest(
  second.access_token, 'GET', new URL(`${address}/users/me`), undefined, undefined, insecure)
const stranger = await errorOf(introspect(second.access_token, 'nonsense'))
await revoke(second.refresh_token)

console.log(JSON.stringify({
  issuer: server.issuer,
  scope: first.scope,
  live,
  me: (await protectedResource.json()).email,
  stranger,
  revoked: await introspect(second.access_token),
  refreshed: await errorOf(refresh(second.refresh_token)),
}))
