// Logs in with AppAuth-JS as a public client, and prints what came of each step as JSON. Arguments
// as in oauth4webapi_code.mjs, with an empty secret.

import { register } from 'node:module'
import { createInterface } from 'node:readline'

// It is written for bundlers: its imports have no file extensions.
register('data:text/javascript,' + encodeURIComponent(`
export const resolve = (name, context, next) =>
  next(/^[.][^]*[/][^.]*$/.test(name) ? name + '.js' : name, context)`))

const [folder, address, id, , redirect] = process.argv.slice(2)
const appauth = await import(`${folder}/@openid/appauth/built/src/index.js`)
const node = await import(`${folder}/@openid/appauth/built/src/node_support/index.js`)
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const visit = async (url) => {
  console.log(String(url))
  return (await lines.next()).value
}

// It looks for its endpoints where OpenID Connect has them, so it is told.
const configuration = new appauth.AuthorizationServiceConfiguration({
  authorization_endpoint: `${address}/authorize`,
  token_endpoint: `${address}/token`,
  revocation_endpoint: `${address}/revoke`,
})

class Handler extends appauth.AuthorizationRequestHandler {
  address(request) {
    return this.buildRequestUrl(configuration, request)
  }
}

const request = new appauth.AuthorizationRequest({
  client_id: id, redirect_uri: redirect, scope: 'account',
  response_type: appauth.AuthorizationRequest.RESPONSE_TYPE_CODE,
}, new node.NodeCrypto())
await request.setupCodeVerifier()
const handler = new Handler(new appauth.BasicQueryStringUtils(), new node.NodeCrypto())
const arrived = new URL(await visit(handler.address(request))).searchParams
if (arrived.get('state') !== request.state) throw new Error('another state')

const tokens = new appauth.BaseTokenRequestHandler(new node.NodeRequestor())
const ask = (grant) => tokens.performTokenRequest(configuration, new appauth.TokenRequest({
  client_id: id, redirect_uri: redirect, ...grant }))
const first = await ask({
  grant_type: appauth.GRANT_TYPE_AUTHORIZATION_CODE, code: arrived.get('code'),
  extras: { code_verifier: request.internal.code_verifier },
})
const second = await ask({
  grant_type: appauth.GRANT_TYPE_REFRESH_TOKEN, refresh_token: first.refreshToken })
const call = async (token) =>
  (await fetch(`${address}/users/me`, { headers: { Authorization: `Bearer ${token}` } })).status
const status = await call(second.accessToken)
await tokens.performRevokeTokenRequest(configuration, new appauth.RevokeTokenRequest({
  client_id: id, token: second.refreshToken, token_type_hint: 'refresh_token' }))

console.log(JSON.stringify({ status, revoked: await call(second.accessToken) }))
process.exit(0)
