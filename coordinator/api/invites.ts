import { Allowance, type Rate } from '#protocol/allowance.ts'
import { fingerprintOf } from '#protocol/fingerprint.ts'
import { parseCode, readAcceptance } from '#protocol/invite.ts'
import { holderOf } from '#protocol/places.ts'
import type { InviteRefusal } from '../federations.ts'
import { Recent } from '../recent.ts'
import type { ApiDoors } from './doors.ts'
import { acceptedView, acceptInviteSchema, coordinatorView } from './federation-schemas.ts'
import { inTime, later, Problem } from './problems.ts'
import { problems, type Routes } from './runs.ts'
import { problemView } from './schemas.ts'

/** Acceptances from one address, which may be that of a whole hospital; and of all, each of which costs a signature's check. */
const EACH: Rate = { perSecond: 0.2, burst: 20 }
const ALL: Rate = { perSecond: 20, burst: 200 }
const ADDRESSES_MAX = 10_000
/** A code and a statement. */
const BODY_BYTES_MAX = 4096

/** What a node that is asked in needs before it has a key to anything: whom it speaks with, and to take its invite. */
export function inviteRoutes(routes: Routes, { federations, clock, coordinator, counters }: ApiDoors): void {
  const everybody = new Allowance(ALL, performance.now())
  const addresses = new Recent<string, Allowance>(ADDRESSES_MAX)
  const isTooOften = (address: string | undefined): boolean => {
    const now = performance.now()
    const holder = holderOf(address)
    const known = addresses.get(holder)
    const allowance = known ?? new Allowance(EACH, now)
    if (!known) addresses.set(holder, allowance)
    return !allowance.take(now) || !everybody.take(now)
  }

  routes.get(
    '/v1/coordinator',
    {
      schema: {
        security: [],
        summary: 'The key of this coordinator, and its fingerprint',
        description: 'Anybody on the way can answer this: compare the fingerprint with whoever runs the coordinator.',
        response: { 200: coordinatorView },
      },
    },
    async () => ({ id: coordinator, fingerprint: fingerprintOf(coordinator) }),
  )

  routes.post(
    '/v1/invites/accept',
    {
      bodyLimit: BODY_BYTES_MAX,
      schema: {
        security: [],
        summary: 'Take an invite',
        description:
          'Needs no API key: the statement is signed by the node. Said again it changes nothing and is answered as it was.',
        body: acceptInviteSchema,
        response: { 200: acceptedView, ...problems, 410: problemView },
      },
    },
    async ({ body, raw }) => {
      if (isTooOften(raw.socket.remoteAddress))
        throw later(429, 'too_many_acceptances', 'at most so many from one place', { seconds: 5 })
      const code = parseCode(body.code)
      if (!code.ok) throw new Problem(422, 'bad_code', 'This is no invite code', code.detail ?? code.refusal)
      const statement = readAcceptance(new Uint8Array(Buffer.from(body.statement, 'base64')))
      if (!statement.ok) throw badStatement(statement.detail ?? statement.refusal)
      const taken = await inTime(clock, federations.take(code.value, statement.value, coordinator), REPEATABLE)
      if (taken.ok) return taken.value
      counters.count('requests_refused', taken.refusal)
      throw refused(taken.refusal, taken.detail ?? taken.refusal)
    },
  )
}

const REPEATABLE = 'it may still be taken: send it again, which changes nothing where it was'

function badStatement(detail: string): Problem {
  return new Problem(422, 'bad_statement', 'The statement does not say that', detail)
}

function refused(refusal: InviteRefusal, detail: string): Problem {
  switch (refusal) {
    case 'wrong-coordinator':
    case 'another-code':
    case 'statement-stale':
      return badStatement(detail)
    case 'no-invite':
      return new Problem(404, 'no_invite', 'There is no such invite', detail)
    case 'invite-expired':
    case 'invite-revoked':
    case 'invite-spent':
      return new Problem(410, refusal.replace('-', '_'), 'The invite is over', `${detail}: ask for another one`)
    case 'invite-taken':
      return new Problem(409, 'invite_taken', 'The invite was taken before', `${detail}: ask for another one`)
    case 'too-many':
      return new Problem(409, 'too_many', 'No more members are taken', detail)
  }
}
