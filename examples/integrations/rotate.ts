// Shows what an API key may do, and replaces it. Reads COUNTERFOIL_URL, and the key from the file that
// KEY_FILE names, to which the new one is written. It needs nothing but Node.js.
import { readFileSync, renameSync, writeFileSync } from 'node:fs'

interface ApiKey {
  name: string
  expires_at: string | null
}

const url = process.env['COUNTERFOIL_URL'] ?? ''
const keyFile = process.env['KEY_FILE'] ?? ''

// The answer, once there is one: after 429 and 503 the service says when to ask again.
async function call<T>(method: string, path: string, attempts = 3): Promise<T> {
  const headers = { 'X-API-Key': readFileSync(keyFile, 'utf8') }
  const answer = await fetch(url + path, { method, headers, signal: AbortSignal.timeout(10_000) })
  if (answer.ok) return (await answer.json()) as T
  if (![429, 503].includes(answer.status) || attempts === 1) {
    throw new Error(`${answer.status}: ${await answer.text()}`)
  }
  const seconds = Number(answer.headers.get('Retry-After'))
  await new Promise((resolve) => setTimeout(resolve, 1000 * seconds))
  return call(method, path, attempts - 1)
}

const current = await call<ApiKey>('GET', '/api-keys/current')
console.log(`${current.name}, expires: ${(current.expires_at ?? 'never').slice(0, 10)}`)
const { key } = await call<{ key: string }>('POST', '/api-keys/current/rotate')
// Written beside and moved, so that the file never holds half of a key.
writeFileSync(`${keyFile}.new`, key, { mode: 0o600 })
renameSync(`${keyFile}.new`, keyFile)
