// Compiled against the types that openapi-typescript generates; each wrong line must be an error.
import type { components, operations, paths } from './api'

type TokenForm = NonNullable<
  paths['/token']['post']['requestBody']
>['content']['application/x-www-form-urlencoded']

export const login: TokenForm = { grant_type: 'password', username: 'ada', password: 'secret' }
export const refresh: TokenForm = { grant_type: 'refresh_token', refresh_token: 'cfr_...' }
// @ts-expect-error: a refresh has a token
export const withoutToken: TokenForm = { grant_type: 'refresh_token', scope: 'account' }
// @ts-expect-error: there is no such grant
export const unknownGrant: TokenForm = { grant_type: 'implicit', username: 'a', password: 'b' }

export function explain(problem: components['schemas']['Problem']): string {
  switch (problem.code) {
    case 'invalid_token':
    case 'not_authenticated':
      return 'Log in again.'
    // @ts-expect-error: there is no such code
    case 'invalid_tokn':
      return 'A misspelling.'
    default:
      return problem.detail
  }
}

export const event: components['schemas']['EventName'] = 'session.revoked'

type Me = operations['users_read_me']['responses'][200]['content']['application/json']
export const name = (me: Me): string => `${me.name} ${me.surname ?? ''} ${me.id.toFixed()}`

type SessionPage =
  paths['/admin/sessions']['get']['responses'][200]['content']['application/json']
export const next = (page: SessionPage): string | null => page.next_cursor
