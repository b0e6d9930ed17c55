import { expect, test } from '@jest/globals'
import { forward } from '#cli/forwarding.ts'
import { webhookSecretOf } from '#coordinator/webhook-signature.ts'
import { verifySignature } from '#sdk/webhook-signature.ts'

const SECRET = webhookSecretOf(new Uint8Array(32).fill(7))
const EVENT = { type: 'run.created', run: 'run_01ARZ3NDEKTSV4RRFFQ69G5FAV', seq: 3, time: '2026-11-22T09:31:04.120Z' }
const AT = Date.UTC(2026, 10, 22, 10)

/** Each answer in turn: a status, or why there is none. */
async function told(answers: readonly (number | string)[]) {
  let now = AT
  const posted: { headers: Readonly<Record<string, string>>; body: string }[] = []
  const doors = {
    now: () => now,
    pause: async (millis: number) => {
      now += millis
    },
    post: async (headers: Readonly<Record<string, string>>, body: string) => {
      const answer = answers[posted.length] ?? 500
      posted.push({ headers, body })
      if (typeof answer === 'number') return answer
      throw new TypeError('fetch failed', { cause: new Error(answer) })
    },
  }
  const tries = []
  for await (const each of forward(EVENT, SECRET, doors, new AbortController().signal)) tries.push(each)
  return { tries, posted, elapsed: now - AT }
}

test('an event is posted as a message that the SDK takes for signed, under one id however often', async () => {
  const { tries, posted } = await told(['connect ECONNREFUSED', 503, 204])
  expect(tries).toMatchObject([
    { attempt: 1, status: null, outcome: 'failed', reason: 'connect ECONNREFUSED' },
    { attempt: 2, status: 503, outcome: 'failed', reason: 'it answered 503' },
    { attempt: 3, status: 204, outcome: 'delivered', reason: null, type: 'run.created', seq: 3, elapsed_ms: 0 },
  ])
  expect(new Set(posted.map(({ headers }) => headers['webhook-id']))).toEqual(
    new Set(['msg_01ARZ3NDEKTSV4RRFFQ69G5FAV_3']),
  )
  for (const { headers, body } of posted)
    expect(await verifySignature({ secret: SECRET, headers, body, now: AT })).toBe(true)
  expect(JSON.parse(posted[0]?.body ?? '')).toEqual({ type: 'run.created', timestamp: EVENT.time, data: EVENT })
})

test('a receiver that fails for good holds up what comes after for fifteen seconds, and no longer', async () => {
  const { tries, elapsed } = await told([])
  expect(tries.map(({ outcome }) => outcome)).toEqual(['failed', 'failed', 'failed', 'failed', 'gave-up'])
  expect(elapsed).toBe(15_000)
})
