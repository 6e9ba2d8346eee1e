// Gets tokens with oauth4webapi in each way that there is, and prints what came of it as JSON.
// Arguments: the packages' folder, the issuer, a confidential client, its secret, the redirect
// address. Prints addresses for a browser, and reads the one at which it arrives.

import { createInterface } from 'node:readline'

const [folder, address, id, secret, redirect] = process.argv.slice(2)
const oauth = await import(`${folder}/oauth4webapi/build/index.js`)
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const visit = async (url) => {
  console.log(String(url))
  return (await lines.next()).value
}

const insecure = { [oauth.allowInsecureRequests]: true }
const client = { client_id: id }
const issuer = new URL(address)
const found = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure })
const server = await oauth.processDiscoveryResponse(issuer, found)
const proof = oauth.ClientSecretBasic(secret)

async function logIn() {
  const verifier = oauth.generateRandomCodeVerifier()
  const state = oauth.generateRandomState()
  const url = new URL(server.authorization_endpoint)
  url.search = new URLSearchParams({
    client_id: id, redirect_uri: redirect, response_type: 'code', scope: 'account', state,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  })
  const parameters = oauth.validateAuthResponse(
    server, client, new URL(await visit(url)), state)
  const redeem = async () => oauth.processAuthorizationCodeResponse(
    server, client, await oauth.authorizationCodeGrantRequest(
      server, client, proof, parameters, redirect, verifier, insecure))
  return { tokens: await redeem(), redeem }
}

async function connect() {
  const begun = await oauth.processDeviceAuthorizationResponse(
    server, client, await oauth.deviceAuthorizationRequest(
      server, client, proof, new URLSearchParams({ scope: 'account' }), insecure))
  const poll = async () => oauth.processDeviceCodeResponse(
    server, client,
    await oauth.deviceCodeGrantRequest(server, client, proof, begun.device_code, insecure))
  const pending = await errorOf(poll())
  await visit(begun.verification_uri_complete)
  return { pending, tokens: await poll() }
}

async function refresh(token) {
  return oauth.processRefreshTokenResponse(server, client,
    await oauth.refreshTokenGrantRequest(server, client, proof, token, insecure))
}

async function introspect(token) {
  return oauth.processIntrospectionResponse(server, client,
    await oauth.introspectionRequest(server, client, proof, token, insecure))
}

async function call(token) {
  const answer = await oauth.protectedResourceRequest(
    token, 'GET', new URL(`${address}/users/me`), undefined, undefined, insecure)
  return (await answer.json()).email
}

async function errorOf(promise) {
  try {
    await promise
  } catch (error) {
    return error.error ?? String(error)
  }
}

const { tokens, redeem } = await logIn()
const refreshed = await refresh(tokens.refresh_token)
const me = await call(refreshed.access_token)
const active = (await introspect(refreshed.access_token)).active
await oauth.processRevocationResponse(await oauth.revocationRequest(
  server, client, proof, refreshed.refresh_token, insecure))
const revoked = (await introspect(refreshed.access_token)).active
const second = await logIn()
const replayed = await errorOf(second.redeem())
const device = await connect()
const own = await oauth.processClientCredentialsResponse(server, client,
  await oauth.clientCredentialsGrantRequest(server, client, proof, new URLSearchParams(), insecure))

console.log(JSON.stringify({
  me, active, revoked, replayed,
  after_replay: (await introspect(second.tokens.access_token)).active,
  pending: device.pending,
  device: await call(device.tokens.access_token),
  own: own.scope,
}))
process.exit(0)
