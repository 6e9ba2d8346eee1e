// The authorization code flow with PKCE (RFC 6749, 4.1; RFC 7636) of an application in a browser.

const KEY = 'counterfoil.sign-in'

/** Makes the address at which the user signs in, and remembers what belongs to its answer. */
export async function begin({ url, clientId, redirectUri, scope, pending }) {
  const verifier = random()
  const state = random()
  pending.setItem(KEY, JSON.stringify({ verifier, state, redirectUri }))
  const address = new URL(`${url}/authorize`)
  const parameters = {
    response_type: 'code',
    client_id: clientId,
    redirect_uri: redirectUri,
    state,
    code_challenge: await challengeOf(verifier),
    code_challenge_method: 'S256',
    ...(scope ? { scope } : {}),
  }
  for (const [name, value] of Object.entries(parameters)) address.searchParams.set(name, value)
  return address.href
}

/**
 * The form that exchanges the code in the address of this page, or null if the page is no answer.
 * What was remembered is used once: a code must not be sent twice.
 */
export function read({ url, clientId, address, pending }) {
  const answer = new URL(address).searchParams
  if (!answer.has('code') && !answer.has('error')) return null
  const remembered = JSON.parse(pending.getItem(KEY) ?? 'null')
  pending.removeItem(KEY)
  if (!remembered || answer.get('state') !== remembered.state) {
    return { error: 'invalid_state', description: 'This sign-in was not begun here.' }
  }
  // An answer of another service must not be sent to this one (RFC 9207).
  if (answer.get('iss') !== url) {
    return { error: 'invalid_issuer', description: 'Another service has answered.' }
  }
  if (answer.has('error')) {
    return { error: answer.get('error'), description: answer.get('error_description') ?? '' }
  }
  const form = new URLSearchParams({
    grant_type: 'authorization_code',
    code: answer.get('code'),
    redirect_uri: remembered.redirectUri,
    client_id: clientId,
    code_verifier: remembered.verifier,
  })
  return { form }
}

function random() {
  return base64url(crypto.getRandomValues(new Uint8Array(32)))
}

async function challengeOf(verifier) {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(verifier))
  return base64url(new Uint8Array(digest))
}

function base64url(bytes) {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '')
}
