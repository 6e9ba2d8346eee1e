/** What is stored: nothing else, and no times, as the clock of a device may be wrong. */
export interface Tokens {
  accessToken: string
  refreshToken: string
}

/**
 * Where tokens are kept. `save` must replace the old tokens in one step, so that either the old or
 * the new ones can be loaded afterwards. On a phone, write one for the Keychain or the Keystore.
 */
export interface Storage {
  /** Whether other tabs see the same tokens. Then they take turns, and hear of each other. */
  readonly isShared: boolean
  load(): Tokens | null | Promise<Tokens | null>
  save(tokens: Tokens): void | Promise<void>
  remove(): void | Promise<void>
}

/** Tokens that are gone with the page: each tab has a session of its own. The default. */
export function memoryStorage(): Storage

/** Tokens in `localStorage`, or in another storage of the Web Storage API. */
export function webStorage(
  storage?: Pick<globalThis.Storage, 'getItem' | 'setItem' | 'removeItem'>,
  key?: string,
): Storage

export interface Options {
  /** The public URL of the service, as COUNTERFOIL_ISSUER names it. */
  url: string
  /** Origins of applications that get the access token, besides that of the service. */
  origins?: readonly string[]
  storage?: Storage
  /** The id of the registered client; or, for `logIn`, a label of the sessions, such as "web". */
  clientId?: string
  /** Names the lock and the channel that tabs share. Default: "counterfoil". */
  name?: string
  fetch?: typeof globalThis.fetch
  /** COUNTERFOIL_REFRESH_GRACE_SECONDS of the service. Default: 10. With 0, nothing is retried. */
  graceSeconds?: number
  /** The longest `Retry-After` that is waited for. Default: 5. */
  maxRetryAfterSeconds?: number
  /** Where a sign-in is remembered until its answer comes. Default: `sessionStorage`. */
  pending?: Pick<globalThis.Storage, 'getItem' | 'setItem' | 'removeItem'>
}

/** The answer of `POST /login`, `POST /token` and `PUT /users/me/password`. */
export interface TokenAnswer {
  access_token: string
  refresh_token: string
  expires_in: number
}

export type ClientEvent =
  | { type: 'login'; isFromThisTab: boolean }
  | { type: 'refresh'; isFromThisTab: boolean }
  | { type: 'logout'; reason: 'logged-out' | 'session-ended'; isFromThisTab: boolean }
  /** New tokens could not be stored. This tab goes on with them; the next page cannot. */
  | { type: 'storage-error'; error: unknown; isFromThisTab: boolean }

/** What a user gives beside the password. */
export type SecondFactor =
  | { code: string }
  | { recovery_code: string }
  /** What `navigator.credentials.get()` returns. */
  | { passkey: unknown }

export interface Client {
  /** Begins a session, and ends the one before. Rejects with CounterfoilError. */
  logIn(login: {
    /** The username or the e-mail address. */
    username: string
    password: string
    scope?: string
    signal?: AbortSignal
  }): Promise<void>

  /**
   * Completes a login that was rejected with the code "second_factor_required": begins the session,
   * and ends the one before. After "invalid_code" it can be called again, with another code.
   */
  completeLogIn(mfaToken: string, factor: SecondFactor & { signal?: AbortSignal }): Promise<void>

  /**
   * The address of the service at which the user signs in. Go there with `location.assign`; the
   * service sends the browser back to `redirectUri`, which has to be registered for the client.
   */
  signInAddress(request: { redirectUri: string; scope?: string }): Promise<string>

  /**
   * Begins a session with the answer in the address of the page. Resolves to false if the page is no
   * answer. A second call with the same address gives the same result, so an effect may run twice.
   * Rejects with CounterfoilError, such as for `access_denied`.
   */
  completeSignIn(address?: string): Promise<boolean>

  /** Stores tokens that came in another way, such as by `PUT /users/me/password`. */
  setTokens(answer: TokenAnswer): Promise<void>

  /** Whether there are tokens. The session may have ended nevertheless: ask the service. */
  isLoggedIn(): Promise<boolean>

  /**
   * Like `fetch`, with the access token, which is refreshed once for all tabs if it is rejected.
   * Without tokens it is sent without. Rejects with TypeError for an origin that is not listed, and
   * for a redirect unless `redirect` is "manual". A stream is not sent twice: on a 401 the tokens
   * are refreshed, and the 401 is returned.
   */
  fetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response>

  /**
   * Removes the tokens in all tabs, and revokes the session. Rejects if the service cannot be
   * reached: then the tokens are gone, but the session lives on until it expires.
   */
  logOut(): Promise<void>

  /** Calls the listener, in every tab, until the function that is returned is called. */
  on<Type extends ClientEvent['type']>(
    type: Type,
    listener: (event: Extract<ClientEvent, { type: Type }>) => void,
  ): () => void

  /** Stops listening to other tabs. */
  close(): void
}

export function createClient(options: Options): Client

/** An answer of the service that is no success. */
export class CounterfoilError extends Error {
  readonly status: number
  /** Stable, for programs: `code`, or `error` of the OAuth endpoints. */
  readonly code: string
  readonly retryAfterSeconds: number | undefined
  /** For `completeLogIn`, and what it takes, with the code "second_factor_required". */
  readonly mfaToken: string | undefined
  readonly methods: readonly string[] | undefined
}
