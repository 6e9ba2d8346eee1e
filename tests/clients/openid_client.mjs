// Logs in with openid-client, and prints what came of each step as JSON. Arguments as in
// oauth4webapi_code.mjs.

import { createInterface } from 'node:readline'

const [folder, address, id, secret, redirect] = process.argv.slice(2)
const client = await import(`${folder}/openid-client/build/index.js`)
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const visit = async (url) => {
  console.log(String(url))
  return (await lines.next()).value
}

const config = await client.discovery(
  new URL(address), id, undefined, client.ClientSecretPost(secret),
  { algorithm: 'oauth2', execute: [client.allowInsecureRequests] })
const verifier = client.randomPKCECodeVerifier()
const state = client.randomState()
const url = client.buildAuthorizationUrl(config, {
  redirect_uri: redirect, scope: 'account', state,
  code_challenge: await client.calculatePKCECodeChallenge(verifier),
  code_challenge_method: 'S256',
})
const arrived = new URL(await visit(url))
const tokens = await client.authorizationCodeGrant(
  config, arrived, { pkceCodeVerifier: verifier, expectedState: state })
const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token)
const me = await client.fetchProtectedResource(
  config, refreshed.access_token, new URL(`${address}/users/me`), 'GET')
await client.tokenRevocation(config, refreshed.refresh_token)
const begun = await client.initiateDeviceAuthorization(config, { scope: 'account' })
await visit(begun.verification_uri_complete)
const device = await client.pollDeviceAuthorizationGrant(config, { ...begun, interval: 0 })

console.log(JSON.stringify({
  me: (await me.json()).email,
  revoked: (await client.tokenIntrospection(config, refreshed.access_token)).active,
  device: device.scope,
  own: (await client.clientCredentialsGrant(config)).scope,
}))
process.exit(0)
