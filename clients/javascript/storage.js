// Where tokens are kept between requests. A storage has `load`, `save` and `remove`, which may be
// asynchronous; `isShared` says whether other tabs see the same tokens.

/** Tokens that are gone with the page: each tab has a session of its own. */
export function memoryStorage() {
  let kept = null
  return {
    isShared: false,
    load: () => kept,
    save: (tokens) => {
      kept = tokens
    },
    remove: () => {
      kept = null
    },
  }
}

/** Tokens in `localStorage`, which every tab and every script of the origin can read. */
export function webStorage(storage = globalThis.localStorage, key = 'counterfoil') {
  return {
    isShared: true,
    load: () => parse(storage.getItem(key)),
    save: (tokens) => storage.setItem(key, JSON.stringify(tokens)),
    remove: () => storage.removeItem(key),
  }
}

/** Null for what is not there, and for what something else has written. */
function parse(text) {
  try {
    const tokens = JSON.parse(text)
    return tokens?.accessToken && tokens.refreshToken ? tokens : null
  } catch {
    return null
  }
}
