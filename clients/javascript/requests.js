// Sends requests: with a deadline, again after `Retry-After`, and never with a token elsewhere.

const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS'])

/** An answer of the service that is no success. `code` is stable; `message` is for people. */
export class CounterfoilError extends Error {
  constructor(status, code, message, retryAfterSeconds, { mfa_token, methods } = {}) {
    super(message)
    this.name = 'CounterfoilError'
    this.status = status
    this.code = code
    this.retryAfterSeconds = retryAfterSeconds
    this.mfaToken = mfa_token
    this.methods = methods
  }

  static async from(response) {
    const body = await response.json().catch(() => ({}))
    const text = body.detail ?? body.error_description ?? `status ${response.status}`
    return new CounterfoilError(
      response.status,
      body.code ?? body.error ?? 'unknown',
      text,
      secondsToWait(response),
      body,
    )
  }
}

/** Seconds, or undefined. A date is ignored: it would have to be compared with our own clock. */
export function secondsToWait(response) {
  const value = response.headers.get('Retry-After')
  return value !== null && /^\d+$/.test(value) ? Number(value) : undefined
}

/** What fetch is given, as a function that makes it anew for each attempt with another token. */
export function prepare(input, init = {}) {
  const body = init.body ?? null
  const isRequest = input instanceof Request
  const method = (init.method ?? (isRequest ? input.method : 'GET')).toUpperCase()
  const redirect = init.redirect ?? (isRequest ? input.redirect : undefined)
  return {
    url: isRequest ? input.url : String(input),
    method,
    signal: init.signal ?? (isRequest ? input.signal : undefined),
    isSafe: SAFE_METHODS.has(method),
    // A stream has been read once it is sent. A Request is cloned, and so can be sent again.
    isRepeatable: !isStream(body),
    make(url, token) {
      const headers = new Headers(init.headers ?? (isRequest ? input.headers : undefined))
      if (token) headers.set('Authorization', `Bearer ${token}`)
      // A cookie of the service would be a second credential.
      const options = { credentials: 'omit', ...init, headers, redirect: safe(redirect) }
      return [isRequest ? input.clone() : url, options]
    },
  }
}

/** A redirect could lead to another origin, and not every platform drops the token on the way. */
function safe(redirect) {
  return redirect === 'manual' ? 'manual' : 'error'
}

function isStream(body) {
  return typeof body === 'object' && body !== null && ('getReader' in body || Symbol.asyncIterator in body)
}

/** Whether the access token was rejected, as opposed to what it may do. */
export async function isInvalidToken(response) {
  if (response.status !== 401) return false
  const challenge = response.headers.get('WWW-Authenticate')
  if (challenge !== null) return challenge.includes('error="invalid_token"')
  // An application of another origin may not expose the header.
  const body = await response.clone().json().catch(() => null)
  return body?.code === 'invalid_token'
}

/** Resolves after so many seconds; rejects as soon as the signal aborts. */
export function sleep(seconds, signal) {
  let timer
  const slept = new Promise((resolve) => {
    timer = setTimeout(resolve, seconds * 1000)
  })
  return unlessAborted(slept, signal).finally(() => clearTimeout(timer))
}

/** The promise's result, or a rejection as soon as the signal aborts. The work itself goes on. */
export function unlessAborted(promise, signal) {
  if (!signal) return promise
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason)
    if (signal.aborted) abort()
    signal.addEventListener('abort', abort)
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}

/** What `run` returns, which is given a signal that aborts after so many seconds. */
export async function withDeadline(seconds, run) {
  // Not AbortSignal.timeout(), which not every phone has.
  const controller = new AbortController()
  const timer = setTimeout(() => controller.abort(new Error('the service did not answer in time')), seconds * 1000)
  try {
    return await run(controller.signal)
  } finally {
    clearTimeout(timer)
  }
}
