// Against a running service, whose address and user are in the environment: see tests/clients/.

import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { createServer } from 'node:http'
import { test } from 'node:test'
import { CounterfoilError, createClient, memoryStorage, webStorage } from '../index.js'

const { SERVICE: url, USERNAME: username, PASSWORD: password } = process.env

/** A fetch that notes what is sent, and answers in place of the service where it is told to. */
function recording(answer = () => undefined) {
  const calls = []
  const recorded = async (input, init = {}) => {
    const address = new URL(input instanceof Request ? input.url : input)
    const token = new Headers(init.headers).get('Authorization')
    calls.push({ path: address.pathname, token, init })
    return (await answer(calls.at(-1), calls)) ?? fetch(input, init)
  }
  return Object.assign(recorded, {
    calls,
    to: (path) => calls.filter((call) => call.path === path),
  })
}

/** A client that is logged in, with the tokens that it stores. */
async function loggedIn(options = {}) {
  const storage = options.storage ?? memoryStorage()
  const client = createClient({ url, clientId: 'node', ...options, storage })
  await client.logIn({ username, password })
  return { client, storage }
}

/** Rejects the access token alone, as if it had expired. */
async function expire(storage) {
  const { accessToken } = await storage.load()
  await fetch(`${url}/revoke`, { method: 'POST', body: new URLSearchParams({ token: accessToken }) })
}

const refused = (status, headers = {}) => new Response('{"code": "busy"}', { status, headers })

test('logs in, sends the token, and logs out', async () => {
  const { client, storage } = await loggedIn()
  const { accessToken } = await storage.load()
  const me = await client.fetch(`${url}/users/me`)
  assert.equal((await me.json()).email, username)
  assert.equal(await client.isLoggedIn(), true)

  await client.logOut()

  assert.equal(await client.isLoggedIn(), false)
  const headers = { Authorization: `Bearer ${accessToken}` }
  assert.equal((await fetch(`${url}/users/me`, { headers })).status, 401)
})

test('a wrong password is an error with a code', async () => {
  const client = createClient({ url })
  const failed = client.logIn({ username, password: 'wrong' })
  await assert.rejects(failed, (error) => {
    assert.ok(error instanceof CounterfoilError)
    assert.deepEqual([error.status, error.code], [401, 'invalid_credentials'])
    return true
  })
  assert.equal(await client.isLoggedIn(), false)
})

test('a login that needs a second factor is completed by it', async () => {
  const account = { email: 'mary@example.org', password, name: 'Mary' }
  const headers = { 'Content-Type': 'application/json' }
  await fetch(`${url}/register`, { method: 'POST', headers, body: JSON.stringify(account) })
  const login = { username: account.email, password }
  const first = createClient({ url })
  await first.logIn(login)
  const post = async (path, body) => {
    const answer = await first.fetch(path, { method: 'POST', headers, body: JSON.stringify(body) })
    return answer.json()
  }
  const { secret } = await post('/factors/totp', {})
  const { recovery_codes } = await post('/factors/totp/confirm', { code: codeOf(secret) })

  const client = createClient({ url })
  const { mfaToken, code, methods } = await client.logIn(login).catch((error) => error)
  assert.deepEqual([code, methods], ['second_factor_required', ['code', 'recovery_code']])
  const wrong = client.completeLogIn(mfaToken, { code: '000000' })
  await assert.rejects(wrong, { code: 'invalid_code' })
  assert.equal(await client.isLoggedIn(), false)

  await client.completeLogIn(mfaToken, { recovery_code: recovery_codes[0] })

  assert.equal((await client.fetch('/users/me')).status, 200)
})

/** What an authenticator app shows (RFC 6238). */
function codeOf(secret) {
  const bits = [...secret].map((one) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(one))
  const binary = bits.map((one) => one.toString(2).padStart(5, '0')).join('')
  const key = Buffer.from(binary.match(/.{8}/g).map((byte) => parseInt(byte, 2)))
  const step = Buffer.alloc(8)
  step.writeBigInt64BE(BigInt(Math.floor(Date.now() / 30_000)))
  const hash = createHmac('sha1', key).update(step).digest()
  const number = hash.readUInt32BE(hash.at(-1) & 15) & 0x7fffffff
  return String(number % 1_000_000).padStart(6, '0')
}

test('a second login ends the session of the first', async () => {
  const { client, storage } = await loggedIn()
  const first = await storage.load()
  await client.logIn({ username, password })
  const headers = { Authorization: `Bearer ${first.accessToken}` }
  assert.equal((await fetch(`${url}/users/me`, { headers })).status, 401)
  assert.equal((await client.fetch(`${url}/users/me`)).status, 200)
})

test('ten requests with an expired token refresh it once', async () => {
  const sending = recording()
  const { client, storage } = await loggedIn({ fetch: sending })
  await expire(storage)
  const answers = await Promise.all(
    Array.from({ length: 10 }, () => client.fetch(`${url}/users/me`)),
  )
  assert.deepEqual(answers.map((answer) => answer.status), Array(10).fill(200))
  assert.equal(sending.to('/token').length, 1)
})

test('tokens that another tab has refreshed meanwhile are used, and not refreshed again', async () => {
  const storage = memoryStorage()
  const sending = recording(async (call, calls) => {
    if (call.path !== '/users/me' || calls.filter(({ path }) => path === '/users/me').length > 1) return
    const answer = await fetch(`${url}/users/me`, call.init)
    const other = createClient({ url, clientId: 'node', storage })
    assert.equal((await other.fetch(`${url}/users/me`)).status, 200)
    return answer
  })
  const { client } = await loggedIn({ storage, fetch: sending })
  await expire(storage)
  assert.equal((await client.fetch(`${url}/users/me`)).status, 200)
  assert.equal(sending.to('/token').length, 0)
})

test('a lost answer to a refresh is asked for again, and the old tokens stay until then', async () => {
  let seen
  const sending = recording(async (call, calls) => {
    if (call.path !== '/token' || calls.filter(({ path }) => path === '/token').length > 1) return
    const answer = await fetch(`${url}/token`, call.init)
    assert.equal(answer.status, 200)
    seen = await storage.load()
    throw new TypeError('the answer is lost')
  })
  const { client, storage } = await loggedIn({ fetch: sending })
  const before = await storage.load()
  await expire(storage)
  assert.equal((await client.fetch(`${url}/users/me`)).status, 200)
  assert.deepEqual(seen, before)
  assert.equal(sending.to('/token').length, 2)
  assert.notEqual((await storage.load()).refreshToken, before.refreshToken)
})

test('so is one that is cut off', async () => {
  const sending = recording(async (call, calls) => {
    if (call.path !== '/token' || calls.filter(({ path }) => path === '/token').length > 1) return
    await fetch(`${url}/token`, call.init)
    return new Response('{"access_tok')
  })
  const { client, storage } = await loggedIn({ fetch: sending })
  await expire(storage)
  assert.equal((await client.fetch(`${url}/users/me`)).status, 200)
})

test('past the grace a refresh is not sent again, and nobody is logged out', async () => {
  const sending = recording((call) => {
    if (call.path === '/token') throw new TypeError('no network')
  })
  const { client, storage } = await loggedIn({ fetch: sending, graceSeconds: 0.5 })
  const before = await storage.load()
  await expire(storage)
  await assert.rejects(client.fetch(`${url}/users/me`), /no network/)
  assert.equal(sending.to('/token').length, 2)
  assert.deepEqual(await storage.load(), before)
})

test('without a grace it is sent once, for all that wait for it', async () => {
  const challenge = { 'WWW-Authenticate': 'Bearer error="invalid_token"' }
  const sending = recording(async (call) => {
    if (call.path === '/users/me') return refused(401, challenge)
    if (call.path !== '/token') return
    // Until then all of them have been refused.
    await new Promise(setImmediate)
    throw new TypeError('no network')
  })
  const { client } = await loggedIn({ fetch: sending, graceSeconds: 0 })
  const waiting = Array.from({ length: 3 }, () => client.fetch(`${url}/users/me`))
  for (const { reason } of await Promise.allSettled(waiting)) {
    assert.match(reason.message, /no network/)
  }
  assert.equal(sending.to('/token').length, 1)
})

test('a session that has ended logs out, and says so', async () => {
  const { client, storage } = await loggedIn()
  const events = []
  client.on('logout', (event) => events.push(event))
  const { refreshToken } = await storage.load()
  await fetch(`${url}/revoke`, { method: 'POST', body: new URLSearchParams({ token: refreshToken }) })
  const answer = await client.fetch(`${url}/users/me`)
  assert.equal(answer.status, 401)
  assert.equal((await answer.json()).code, 'invalid_token')
  assert.equal(await storage.load(), null)
  assert.deepEqual(events, [{ type: 'logout', reason: 'session-ended', isFromThisTab: true }])
})

test('logs out with an access token that has expired', async () => {
  const { client, storage } = await loggedIn()
  const { refreshToken } = await storage.load()
  await expire(storage)
  await client.logOut()
  const form = { grant_type: 'refresh_token', refresh_token: refreshToken, client_id: 'node' }
  const again = await fetch(`${url}/token`, { method: 'POST', body: new URLSearchParams(form) })
  assert.equal(again.status, 400)
})

test('a logout that does not reach the service says so, and the tokens are gone', async () => {
  const sending = recording((call) => {
    if (call.path === '/logout') throw new TypeError('no network')
  })
  const { client, storage } = await loggedIn({ fetch: sending })
  await assert.rejects(client.logOut(), /no network/)
  assert.equal(sending.to('/logout').length, 3)
  assert.equal(await storage.load(), null)
})

test('no other origin gets a token, not even by a redirect', async () => {
  const received = []
  const other = createServer((request, response) => {
    received.push(request.headers.authorization)
    response.end()
  }).listen(0, '127.0.0.1')
  const redirecting = createServer((_, response) => {
    response.writeHead(302, { Location: `http://127.0.0.1:${other.address().port}/` }).end()
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => redirecting.once('listening', resolve))
  const [elsewhere, listed] = [other, redirecting].map((one) => `http://127.0.0.1:${one.address().port}`)
  const { client } = await loggedIn({ origins: [listed] })

  await assert.rejects(client.fetch(elsewhere), /not one of the origins/)
  await assert.rejects(client.fetch(new Request(elsewhere)), /not one of the origins/)
  await assert.rejects(client.fetch(listed), TypeError)
  await assert.rejects(client.fetch(listed, { redirect: 'follow' }), TypeError)
  await assert.rejects(client.fetch(new Request(listed, { redirect: 'follow' })), TypeError)
  assert.equal((await client.fetch(listed, { redirect: 'manual' })).status, 302)
  assert.deepEqual(received, [])

  other.close()
  redirecting.close()
})

test('a body is sent again with the new token, and a stream is not', async () => {
  const { client, storage } = await loggedIn()
  const json = { method: 'PATCH', headers: { 'Content-Type': 'application/json' } }
  const body = '{"surname": "Lovelace"}'
  for (const request of [
    [`${url}/users/me`, { ...json, body }],
    [`${url}/users/me`, { ...json, body: new Blob([body]) }],
    [new Request(`${url}/users/me`, { ...json, body })],
  ]) {
    await expire(storage)
    const answer = await client.fetch(...request)
    assert.equal(answer.status, 200)
    assert.equal((await answer.json()).surname, 'Lovelace')
  }
  await expire(storage)
  const stream = () => ({ ...json, body: new Blob([body]).stream(), duplex: 'half' })
  assert.equal((await client.fetch(`${url}/users/me`, stream())).status, 401)
  assert.equal((await client.fetch(`${url}/users/me`, stream())).status, 200)
})

test('a refresh that is refused for a while is sent again, but waits no longer than the bound', async () => {
  for (const [wait, refreshes] of [['0', 2], ['6', 1]]) {
    const sending = recording((call, calls) => {
      const isFirst = calls.filter(({ path }) => path === '/token').length === 1
      if (call.path === '/token' && isFirst) return refused(429, { 'Retry-After': wait })
    })
    const { client, storage } = await loggedIn({ fetch: sending })
    await expire(storage)
    const answer = client.fetch(`${url}/users/me`)
    if (refreshes === 2) assert.equal((await answer).status, 200)
    else await assert.rejects(answer, { status: 429, retryAfterSeconds: 6 })
    assert.equal(sending.to('/token').length, refreshes)
    assert.equal(await client.isLoggedIn(), true)
  }
})

test('requests wait for Retry-After where that repeats nothing', async () => {
  for (const [status, method, wait, sent] of [
    [503, 'GET', '0', 3],
    [429, 'POST', '0', 3],
    // It may have been carried out.
    [503, 'POST', '0', 1],
    [503, 'GET', '6', 1],
    [503, 'GET', 'Fri, 31 Dec 1999 23:59:59 GMT', 1],
  ]) {
    const sending = recording((call) => {
      if (call.path === '/orders') return refused(status, { 'Retry-After': wait })
    })
    const { client } = await loggedIn({ fetch: sending })
    assert.equal((await client.fetch(`${url}/orders`, { method })).status, status)
    assert.equal(sending.to('/orders').length, sent, `${status} ${method} ${wait}`)
  }
})

test('a request that is aborted stops waiting, and the refresh goes on for the others', async () => {
  let release
  const held = new Promise((resolve) => {
    release = resolve
  })
  const sending = recording(async (call) => {
    if (call.path === '/token') await held
  })
  const { client, storage } = await loggedIn({ fetch: sending })
  await expire(storage)
  const controller = new AbortController()
  const aborted = client.fetch(`${url}/users/me`, { signal: controller.signal })
  const other = client.fetch(`${url}/users/me`)
  while (!sending.to('/token').length) await new Promise(setImmediate)
  controller.abort()
  await assert.rejects(aborted, { name: 'AbortError' })
  release()
  assert.equal((await other).status, 200)
  assert.equal(sending.to('/token').length, 1)
})

test('a wrong clock changes nothing', async (context) => {
  context.mock.timers.enable({ apis: ['Date'], now: new Date('1999-12-31') })
  const sending = recording()
  const { client } = await loggedIn({ fetch: sending })
  context.mock.timers.setTime(new Date('2099-12-31').getTime())
  assert.equal((await client.fetch(`${url}/users/me`)).status, 200)
  assert.equal(sending.to('/token').length, 0)
})

test('an access token that is about to end is refreshed before a stream is sent', async () => {
  const sending = recording()
  const { client, storage } = await loggedIn({ fetch: sending })
  const { accessToken, refreshToken } = await storage.load()
  await client.setTokens({ access_token: accessToken, refresh_token: refreshToken, expires_in: 0 })
  const headers = { 'Content-Type': 'application/json' }
  const body = new Blob(['{"surname": "King"}']).stream()
  const answer = await client.fetch(`${url}/users/me`, { method: 'PATCH', headers, body, duplex: 'half' })
  assert.equal(answer.status, 200)
  assert.equal(sending.to('/token').length, 1)
})

test('a storage that fails keeps the old tokens, and this client goes on with the new', async () => {
  const kept = memoryStorage()
  let isBroken = false
  const storage = {
    ...kept,
    isShared: false,
    load: async () => kept.load(),
    save: async (tokens) => {
      if (isBroken) throw new Error('the keychain is locked')
      kept.save(tokens)
    },
  }
  const { client } = await loggedIn({ storage })
  const errors = []
  client.on('storage-error', ({ error }) => errors.push(error.message))
  const before = kept.load()
  await expire(storage)
  isBroken = true
  assert.equal((await client.fetch(`${url}/users/me`)).status, 200)
  assert.equal((await client.fetch(`${url}/users/me`)).status, 200)
  assert.deepEqual(kept.load(), before)
  assert.deepEqual(errors, ['the keychain is locked'])
  isBroken = false
  const { refreshToken } = before
  await client.logOut()
  assert.equal(kept.load(), null)
  assert.ok(refreshToken)
})

/** Storages of two tabs, each of which sees what the other has stored only a moment later. */
function ofTwoTabs() {
  const seen = [null, null]
  const set = (tab, tokens) => {
    seen[tab] = tokens
    setTimeout(() => (seen[1 - tab] = tokens), 15)
  }
  return [0, 1].map((tab) => ({
    isShared: true,
    load: () => seen[tab],
    save: (tokens) => set(tab, tokens),
    remove: () => set(tab, null),
  }))
}

test('two tabs refresh once, though one sees later what the other has stored', async (context) => {
  let last = Promise.resolve()
  const request = (name, run) => (last = last.then(run))
  const before = Object.getOwnPropertyDescriptor(globalThis, 'navigator')
  const navigator = { value: { locks: { request } }, configurable: true }
  Object.defineProperty(globalThis, 'navigator', navigator)
  context.after(() => {
    delete globalThis.navigator
    if (before) Object.defineProperty(globalThis, 'navigator', before)
  })
  const fetch = recording()
  const [storage, other] = ofTwoTabs()
  const { client } = await loggedIn({ storage, fetch })
  const second = createClient({ url, storage: other, fetch })
  context.after(() => [client, second].forEach((tab) => tab.close()))
  await last
  await expire(storage)

  const answers = await Promise.all([client, second].map((tab) => tab.fetch(`${url}/users/me`)))

  assert.deepEqual(answers.map((answer) => answer.status), [200, 200])
  assert.equal(fetch.to('/token').length, 1)
})

test('a missing scope, and no token at all, are answers like others', async () => {
  const sending = recording()
  const { client } = await loggedIn({ fetch: sending })
  assert.equal((await client.fetch(`${url}/admin/users`)).status, 403)
  const anonymous = createClient({ url, fetch: sending })
  assert.equal((await anonymous.fetch(`${url}/users/me`)).status, 401)
  assert.equal(sending.calls.at(-1).token, null)
  assert.equal(sending.to('/token').length, 0)
})

test('a web storage passes over what something else has written', () => {
  const items = new Map()
  const storage = {
    getItem: (key) => items.get(key) ?? null,
    setItem: (key, value) => items.set(key, value),
    removeItem: (key) => items.delete(key),
  }
  const kept = webStorage(storage, 'tokens')
  assert.equal(kept.load(), null)
  for (const text of ['', '{', 'null', '[]', '"cfa_"', '{"accessToken": "cfa_"}']) {
    items.set('tokens', text)
    assert.equal(kept.load(), null)
  }
  const tokens = { accessToken: 'cfa_', refreshToken: 'cfr_' }
  kept.save(tokens)
  assert.deepEqual(kept.load(), tokens)
  kept.remove()
  assert.equal(kept.load(), null)
})

test('a service that does not answer is asked again in time', async () => {
  const sending = recording((call, calls) => {
    if (call.path !== '/token' || calls.filter(({ path }) => path === '/token').length > 1) return
    return new Promise((_, reject) => {
      call.init.signal.addEventListener('abort', () => reject(call.init.signal.reason))
    })
  })
  const { client, storage } = await loggedIn({ fetch: sending, graceSeconds: 2 })
  await expire(storage)
  assert.equal((await client.fetch(`${url}/users/me`)).status, 200)
  assert.equal(sending.to('/token').length, 2)
})

/** Answers in place of the service at /token, and a storage for what belongs to a sign-in. */
function signingIn() {
  const kept = new Map()
  const pending = {
    getItem: (key) => kept.get(key) ?? null,
    setItem: (key, value) => kept.set(key, value),
    removeItem: (key) => kept.delete(key),
  }
  const tokens = { access_token: 'cfa_a', refresh_token: 'cfr_r', expires_in: 60 }
  const fetch = recording(({ path }) => (path === '/token' ? Response.json(tokens) : undefined))
  const client = createClient({ url, clientId: 'web', pending, fetch })
  return { client, fetch }
}

const redirectUri = 'https://app.example.org/'

test('a code is exchanged once, however often the page asks', async () => {
  const { client, fetch } = signingIn()
  const begun = new URL(await client.signInAddress({ redirectUri, scope: 'account' }))
  const { state, code_challenge: challenge, ...rest } = Object.fromEntries(begun.searchParams)
  assert.deepEqual(rest, {
    response_type: 'code',
    client_id: 'web',
    redirect_uri: redirectUri,
    code_challenge_method: 'S256',
    scope: 'account',
  })
  assert.match(challenge, /^[A-Za-z0-9_-]{43}$/)
  const answer = `${redirectUri}?${new URLSearchParams({ code: 'c', state, iss: url })}`
  assert.deepEqual(await Promise.all([client.completeSignIn(answer), client.completeSignIn(answer)]), [
    true,
    true,
  ])
  assert.equal(fetch.to('/token').length, 1)
  const form = Object.fromEntries(fetch.to('/token')[0].init.body)
  assert.match(form.code_verifier, /^[A-Za-z0-9_-]{43}$/)
  assert.equal(await client.isLoggedIn(), true)
})

test('an answer that was not asked for, or of another service, is rejected', async () => {
  const { client, fetch } = signingIn()
  const answer = (fields) => `${redirectUri}?${new URLSearchParams(fields)}`
  const rejected = (fields, code) =>
    assert.rejects(client.completeSignIn(answer(fields)), (error) => error.code === code)
  await rejected({ code: 'c', state: 'made up', iss: url }, 'invalid_state')
  const stateOf = async () =>
    new URL(await client.signInAddress({ redirectUri })).searchParams.get('state')
  const state = await stateOf()
  await rejected({ code: 'c', state, iss: 'https://evil.example' }, 'invalid_issuer')
  // It has been used up.
  await rejected({ code: 'c', state, iss: url }, 'invalid_state')
  await rejected({ error: 'access_denied', state: await stateOf(), iss: url }, 'access_denied')
  assert.equal(await client.completeSignIn(redirectUri), false)
  assert.equal(fetch.to('/token').length, 0)
})
