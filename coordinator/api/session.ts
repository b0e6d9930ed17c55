import { z } from 'zod'
import { SIGNED_IN_MILLIS } from '../sign-ins.ts'
import { record } from './audit.ts'
import type { ApiDoors } from './doors.ts'
import { COOKIE, type Gate, signInOf } from './gate.ts'
import { whoamiOf, whoamiView } from './keys.ts'
import { inTime } from './problems.ts'
import { problems, type Routes } from './runs.ts'
import { text } from './schemas.ts'

const SESSION = '/v1/session'

const signInSchema = z
  .strictObject({ key: z.string().min(1).max(500) })
  .meta({ id: 'SignIn', examples: [{ key: 'ck_0123456789abcdef0123456789abcdef0123456789abcdef' }] })

const sessionView = whoamiView
  .extend({
    csrf: text('what changes by cookie send as x-csrf-token; null where a key was sent instead').nullable(),
  })
  .meta({
    id: 'Session',
    examples: [{ id: 'root', name: 'root', scopes: ['runs:read'], federation: null, expires_at: null, csrf: 'f00d' }],
  })

/** How a browser signs in: it shows a key once, and keeps a cookie that no script of its can read. */
export function signInRoute(
  open: Routes,
  doors: ApiDoors,
  { gate, isTls }: { readonly gate: Gate; readonly isTls: boolean },
): void {
  open.post(
    SESSION,
    {
      schema: {
        security: [],
        summary: 'Sign a browser in with a key',
        description: 'The cookie is good for 12 hours at every process, and no longer than its key.',
        body: signInSchema,
        response: { 204: z.undefined(), ...problems },
      },
    },
    async (request, reply) => {
      const { caller, cookie } = await gate.signIn(request.body.key, request, reply)
      void reply.code(204).header('set-cookie', cookieOf(cookie, SIGNED_IN_MILLIS / 1000, isTls))
      await record(doors, request, reply, caller)
      return reply.send(undefined)
    },
  )
}

/** What a browser that is signed in knows of itself, and how it signs out. */
export function sessionRoutes(
  routes: Routes,
  { signIns, signOuts, clock }: ApiDoors,
  { isTls }: { readonly isTls: boolean },
): void {
  routes.get(
    SESSION,
    {
      config: { scope: 'any' },
      schema: { summary: 'Who is signed in', response: { 200: sessionView, ...problems } },
    },
    async (request) => {
      const signIn = signInOf(request)
      return { ...whoamiOf(request.caller), csrf: signIn ? signIns.tokenOf(signIn) : null }
    },
  )

  routes.delete(
    SESSION,
    {
      config: { scope: 'any' },
      schema: {
        summary: 'Sign out',
        description:
          'The cookie is good no more, at any process, nor is any copy of it; event streams that it opened end within seconds. With a key instead of a cookie nothing is ended.',
        response: { 204: z.undefined(), ...problems },
      },
    },
    async (request, reply) => {
      const signIn = signInOf(request)
      if (signIn) await inTime(clock, signOuts.end(signIn), 'this browser may still be signed in: sign out again')
      return reply
        .code(204)
        .header('set-cookie', cookieOf('', 0, isTls))
        .send(undefined)
    },
  )
}

function cookieOf(value: string, seconds: number, isTls: boolean): string {
  return `${COOKIE}=${value}; Path=/; Max-Age=${seconds}; HttpOnly; SameSite=Strict${isTls ? '; Secure' : ''}`
}
