// A client of Counterfoil for browsers, Node.js and phones, without dependencies.

import * as codeFlow from './code_flow.js'
import {
  CounterfoilError,
  isInvalidToken,
  prepare,
  secondsToWait,
  sleep,
  unlessAborted,
  withDeadline,
} from './requests.js'
import { memoryStorage } from './storage.js'
import { Events, Turns } from './tabs.js'

export { memoryStorage, webStorage } from './storage.js'
export { CounterfoilError } from './requests.js'

// An access token that ends this soon is refreshed before it is used.
const EARLY_SECONDS = 5
const MAX_RETRIES = 2
const PAUSE_SECONDS = 0.3
// How long an exchange may take where a second attempt would not be accepted.
const LONGEST_ATTEMPT_SECONDS = 10

/** Creates a client. index.d.ts describes the options. */
export function createClient(options) {
  return new Client(options)
}

class Client {
  #url
  #origins
  #storage
  #clientId
  #fetch
  #graceSeconds
  #maxRetryAfterSeconds
  #turns
  #events
  // Tokens that the storage did not take, with the refresh token that it still has.
  #unsaved = null
  // When to refresh the access token, by the monotonic clock of this tab. It is only a hint.
  #hint = { accessToken: null, endsAt: 0 }
  #refreshing = null
  #pending
  // What became of each answer of the service: frameworks may call an effect twice.
  #completing = new Map()

  constructor({
    url,
    origins = [],
    storage = memoryStorage(),
    clientId,
    name = 'counterfoil',
    fetch = globalThis.fetch.bind(globalThis),
    graceSeconds = 10,
    maxRetryAfterSeconds = 5,
    pending = globalThis.sessionStorage,
  }) {
    this.#url = absolute(url).replace(/\/+$/, '')
    this.#origins = new Set([url, ...origins].map((one) => new URL(absolute(one)).origin))
    this.#storage = storage
    this.#clientId = clientId
    this.#fetch = fetch
    this.#graceSeconds = graceSeconds
    this.#maxRetryAfterSeconds = maxRetryAfterSeconds
    this.#pending = pending
    this.#turns = new Turns(name, storage.isShared)
    this.#events = new Events(name, storage.isShared)
  }

  async logIn({ username, password, scope, signal }) {
    const body = JSON.stringify({ username, password, scope, client_id: this.#clientId })
    await this.#begin('/login', body, signal)
  }

  async completeLogIn(mfaToken, { signal, ...factor }) {
    const body = JSON.stringify({ mfa_token: mfaToken, ...factor })
    await this.#begin('/login/second-factor', body, signal)
  }

  async #begin(path, body, signal) {
    const response = await this.#post(path, body, 'application/json', { signal })
    if (!response.ok) throw await CounterfoilError.from(response)
    const former = await this.#replace(await response.json())
    // Nobody has its tokens any more. If this fails, it expires by itself.
    if (former) await this.#endSession(former).catch(() => {})
  }

  async signInAddress({ redirectUri, scope }) {
    const clientId = this.#clientId
    return codeFlow.begin({ url: this.#url, clientId, redirectUri, scope, pending: this.#pending })
  }

  completeSignIn(address = globalThis.location.href) {
    if (!this.#completing.has(address)) {
      this.#completing.set(address, this.#completeSignIn(address))
    }
    return this.#completing.get(address)
  }

  async #completeSignIn(address) {
    const found = codeFlow.read({
      url: this.#url,
      clientId: this.#clientId,
      address,
      pending: this.#pending,
    })
    if (!found) return false
    if (found.error) throw new CounterfoilError(400, found.error, found.description)
    const response = await this.#post('/token', found.form)
    if (!response.ok) throw await CounterfoilError.from(response)
    const former = await this.#replace(await response.json())
    if (former) await this.#endSession(former).catch(() => {})
    return true
  }

  async setTokens(answer) {
    await this.#replace(answer)
  }

  async isLoggedIn() {
    return (await this.#load()) !== null
  }

  async fetch(input, init) {
    const request = prepare(input, init)
    const url = this.#urlOf(request.url)
    let tokens = await this.#load()
    if (tokens && this.#isAboutToEnd(tokens)) tokens = await this.#refreshed(tokens, request.signal)
    let response = await this.#send(request, url, tokens)
    if (tokens && (await isInvalidToken(response))) {
      const renewed = await this.#refreshed(tokens, request.signal)
      // Without a body to send again, the caller has to: the next attempt has the new token.
      if (renewed && request.isRepeatable) {
        await response.body?.cancel()
        response = await this.#send(request, url, renewed)
      }
    }
    return response
  }

  async logOut() {
    const tokens = await this.#turns.take(async () => {
      const found = await this.#load()
      await this.#forget()
      return found
    })
    this.#events.emit({ type: 'logout', reason: 'logged-out', isFromThisTab: true })
    if (tokens) await this.#endSession(tokens)
  }

  on(type, listener) {
    return this.#events.on(type, listener)
  }

  close() {
    this.#events.close()
  }

  /** Stores the tokens of a login, and returns those that were there before. */
  async #replace(answer) {
    const former = await this.#turns.take(async () => {
      const stored = await this.#load()
      await this.#save(answer, stored)
      return stored
    })
    this.#events.emit({ type: 'login', isFromThisTab: true })
    return former
  }

  #urlOf(address) {
    const url = new URL(absolute(address, `${this.#url}/`))
    if (!this.#origins.has(url.origin)) {
      throw new TypeError(`${url.origin} is not one of the origins that get the token`)
    }
    return url.href
  }

  /** Sends it, and again if the answer says when. What may have been carried out is sent once. */
  async #send(request, url, tokens) {
    for (let retries = 0; ; retries++) {
      const response = await this.#fetch(...request.make(url, tokens?.accessToken))
      const isRefused = response.status === 429 || (response.status === 503 && request.isSafe)
      const seconds = secondsToWait(response)
      if (!isRefused || !request.isRepeatable || retries === MAX_RETRIES) return response
      if (seconds === undefined || seconds > this.#maxRetryAfterSeconds) return response
      await response.body?.cancel()
      await sleep(seconds, request.signal)
    }
  }

  /** New tokens in place of these, or null if the session has ended. */
  #refreshed(old, signal) {
    this.#refreshing ??= this.#turns
      .take(() => this.#refresh(old))
      .finally(() => {
        this.#refreshing = null
      })
    return unlessAborted(this.#refreshing, signal)
  }

  async #refresh(old) {
    const stored = await this.#load()
    // Another tab has refreshed meanwhile, or somebody has logged in or out.
    if (stored?.accessToken !== old.accessToken) return stored
    const response = await this.#exchange(stored)
    if (response.ok) {
      const tokens = await this.#save(response.body, stored)
      this.#events.emit({ type: 'refresh', isFromThisTab: true })
      return tokens
    }
    if (response.error.code !== 'invalid_grant') throw response.error
    await this.#forget()
    this.#events.emit({ type: 'logout', reason: 'session-ended', isFromThisTab: true })
    return null
  }

  /**
   * Exchanges the refresh token. An answer may be lost after the service has used the token; within
   * the grace it is accepted again, and later it would look like a theft and end the session.
   */
  async #exchange(tokens) {
    const form = new URLSearchParams({
      grant_type: 'refresh_token',
      refresh_token: tokens.refreshToken,
    })
    if (this.#clientId) form.set('client_id', this.#clientId)
    // With a margin, as an answer may take longer than the one that was lost.
    const isInGrace = within(this.#graceSeconds * 0.8)
    for (;;) {
      const answer = await this.#attempt(form)
      if (!answer.mayRetry) return answer
      if (!isInGrace(answer.waitSeconds)) throw answer.error
      await sleep(answer.waitSeconds)
    }
  }

  async #attempt(form) {
    const seconds = this.#graceSeconds > 0 ? this.#graceSeconds * 0.4 : LONGEST_ATTEMPT_SECONDS
    try {
      return await withDeadline(seconds, (signal) => this.#exchangeOnce(form, signal))
    } catch (error) {
      // No answer, or one that was cut off.
      return { ok: false, error, mayRetry: true, waitSeconds: PAUSE_SECONDS }
    }
  }

  async #exchangeOnce(form, signal) {
    const response = await this.#post('/token', form, undefined, { signal })
    if (response.ok) return { ok: true, body: await response.json() }
    const error = await CounterfoilError.from(response)
    const isTemporary = response.status === 429 || response.status >= 500
    const waitSeconds = error.retryAfterSeconds ?? PAUSE_SECONDS
    const mayRetry = isTemporary && waitSeconds <= this.#maxRetryAfterSeconds
    return { ok: false, error, mayRetry, waitSeconds }
  }

  /** Revokes the session. A refresh token does so whether or not the access token has expired. */
  async #endSession(tokens) {
    for (let retries = 0; ; retries++) {
      const { error, waitSeconds } = await this.#endSessionOnce(tokens)
      if (!error) return
      if (retries === MAX_RETRIES) throw error
      await sleep(Math.min(waitSeconds, this.#maxRetryAfterSeconds))
    }
  }

  async #endSessionOnce(tokens) {
    const headers = { Authorization: `Bearer ${tokens.refreshToken}` }
    try {
      const response = await withDeadline(LONGEST_ATTEMPT_SECONDS, (signal) =>
        this.#post('/logout', null, undefined, { headers, signal }),
      )
      // 401: it has ended already.
      if (response.ok || response.status === 401) return {}
      const error = await CounterfoilError.from(response)
      return { error, waitSeconds: error.retryAfterSeconds ?? PAUSE_SECONDS }
    } catch (error) {
      return { error, waitSeconds: PAUSE_SECONDS }
    }
  }

  #post(path, body, type, { headers = {}, signal } = {}) {
    const typed = type ? { ...headers, 'Content-Type': type } : headers
    const options = { method: 'POST', body, headers: typed, signal }
    return this.#fetch(this.#url + path, { ...options, credentials: 'omit', redirect: 'error' })
  }

  async #load() {
    const stored = (await this.#storage.load()) ?? null
    const unsaved = this.#unsaved
    const isNewer = unsaved && unsaved.replaces === (stored?.refreshToken ?? null)
    return isNewer ? unsaved.tokens : stored
  }

  /** Stores new tokens. If the storage fails, the old ones stay in it, and this tab has the new. */
  async #save(answer, old) {
    const tokens = { accessToken: answer.access_token, refreshToken: answer.refresh_token }
    const now = performance.now()
    const seconds = answer.expires_in - Math.min(EARLY_SECONDS, answer.expires_in / 10)
    this.#hint = { accessToken: tokens.accessToken, endsAt: now + seconds * 1000 }
    const replaces = this.#unsaved?.replaces ?? old?.refreshToken ?? null
    this.#unsaved = { tokens, replaces }
    try {
      await this.#storage.save(tokens)
      this.#unsaved = null
    } catch (error) {
      this.#events.emit({ type: 'storage-error', error, isFromThisTab: true })
    }
    return tokens
  }

  async #forget() {
    this.#unsaved = null
    await this.#storage.remove()
  }

  #isAboutToEnd(tokens) {
    const { accessToken, endsAt } = this.#hint
    return tokens.accessToken === accessToken && performance.now() > endsAt
  }
}

/** The address as fetch reads it: in a page, relative to the page. */
function absolute(address, base) {
  return new URL(address, globalThis.document?.baseURI ?? base).href
}

/** A function that says whether a wait of so many seconds ends before these seconds have passed. */
function within(seconds) {
  const end = performance.now() + seconds * 1000
  return (wait) => performance.now() + wait * 1000 < end
}
