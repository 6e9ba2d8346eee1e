// Compiled by a test: what the types allow, and what they reject.
import { createClient, memoryStorage, webStorage, CounterfoilError } from 'counterfoil-client'
import type { Storage, Tokens } from 'counterfoil-client'

const keychain: Storage = {
  isShared: false,
  load: async (): Promise<Tokens | null> => null,
  save: async () => {},
  remove: async () => {},
}
const client = createClient({ url: 'https://auth.example.org', storage: keychain })
createClient({ url: '/auth', storage: webStorage(sessionStorage), origins: ['https://api.example.org'] })
createClient({ url: '/auth', storage: memoryStorage(), clientId: 'web', graceSeconds: 0 })
// @ts-expect-error: the address of the service is required
createClient({})

export async function run(): Promise<string> {
  const stop = client.on('logout', ({ reason, isFromThisTab }) => {
    if (reason === 'session-ended' && !isFromThisTab) location.reload()
    // @ts-expect-error: there is no such reason
    if (reason === 'expired') stop()
  })
  // @ts-expect-error: there is no such event
  client.on('logged-out', () => {})
  try {
    await client.logIn({ username: 'ada', password: 'secret', signal: AbortSignal.timeout(5000) })
  } catch (error) {
    if (error instanceof CounterfoilError && error.mfaToken) {
      await client.completeLogIn(error.mfaToken, { code: '492039' })
      // @ts-expect-error: there is no such factor
      await client.completeLogIn(error.mfaToken, { password: 'secret' })
    }
    if (error instanceof CounterfoilError) return error.code
  }
  location.assign(await client.signInAddress({ redirectUri: 'https://app.example.org/' }))
  if (await client.completeSignIn()) history.replaceState(null, '', '/')
  // @ts-expect-error: the service has to know where to go back to
  await client.signInAddress({})
  const response: Response = await client.fetch(new Request('/users/me'), { method: 'GET' })
  await client.logOut()
  return response.text()
}
