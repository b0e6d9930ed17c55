import { describe, expect, test } from '@jest/globals'
import { encodeLanes, HEADER_LANES } from '#aggregation/vector.ts'
import type { Bytes } from '#protocol/ids.ts'
import { StorageFull } from '#protocol/ports.ts'
import { cohortOf } from '#test/cohort.ts'
import { invite, OTHER_RUN, seated } from './bench.ts'
import { DEADLINES, Host } from './host.ts'
import { agreed, confirmed, dealt, quiet, submitted, unmasked } from './stages.ts'
import { plainUpdate, plainVector } from './vectors.ts'

const layers = [{ layer: 'dense', name: 'out', units: 1, activation: 'linear' }] as const
const PARAMETERS = 41
const host = (change: ConstructorParameters<typeof Host>[1] = {}) =>
  new Host(4, { architecture: { v: 1, input: [PARAMETERS - 1], layers }, ...change })

const hexOf = (bytes: Bytes) => Buffer.from(bytes).toString('hex')

/** Everything that ever left the node's process: frames, uploads, and what lies in its state folder. */
async function emitted(of: Host, seat: number): Promise<readonly Bytes[]> {
  const found = of.lives(seat).flatMap(({ frames, stored }) => [...frames, ...stored])
  const { journal } = of.node(seat).kept
  for await (const stream of journal.streams('')) for await (const entry of journal.read(stream)) found.push(entry)
  return found
}

/** Two coordinates side by side, of the vector and of the delta it was made of, wherever they begin. */
async function secretsOf(of: Host, seat: number): Promise<readonly string[]> {
  const lanes = await plainVector(of, seat)
  const payload = encodeLanes(lanes.subarray(HEADER_LANES, HEADER_LANES + PARAMETERS))
  const { delta } = await plainUpdate(of, seat)
  const bytes = new Uint8Array(delta.buffer, delta.byteOffset, delta.byteLength)
  return [payload, bytes].flatMap((plain) => {
    const pairs: string[] = []
    for (let at = 0; at + 8 <= Math.min(plain.length, 4 * PARAMETERS); at += 4)
      pairs.push(hexOf(plain.subarray(at, at + 8)))
    return pairs
  })
}

async function expectNothingPlain(of: Host): Promise<void> {
  await quiet(of)
  for (const seat of of.seats) {
    const secrets = await secretsOf(of, seat)
    expect(secrets.length).toBeGreaterThan(PARAMETERS)
    for (const bytes of await emitted(of, seat)) {
      const text = hexOf(bytes)
      expect(secrets.filter((secret) => text.includes(secret))).toEqual([])
    }
  }
}

describe('of a node’s update nothing leaves but under masks', () => {
  test('and the search would find it: a plain round’s report holds it', async () => {
    const of = host()
    await of.open(1, { masking: 'none', secure: null })
    const node = of.node(0)
    node.say(invite(of.plan))
    await node.heard()
    node.say(seated(of.plan))
    expect(await node.heard()).toMatchObject({ kind: 'report' })
    await expect(expectNothingPlain(of)).rejects.toThrow()
  })

  test.each([PARAMETERS - 1, 16_000])(
    'in a whole round of vectors of %i inputs, attached or uploaded',
    async (inputs) => {
      const of = host({ architecture: { v: 1, input: [inputs], layers } })
      await unmasked(of)
      await expectNothingPlain(of)
    },
  )

  test('whenever the round is given up', async () => {
    for (const stage of [dealt, agreed, submitted, confirmed, unmasked]) {
      const of = host()
      await stage(of)
      // Each node believes what it is told.
      for (const seat of of.seats) of.end(seat, seat % 2 === 0 ? 'aborted' : 'closed')
      await of.clock.advance(DEADLINES[3])
      await expectNothingPlain(of)
    }
  })

  test('whenever the process ends and another begins', async () => {
    for (const stage of [dealt, agreed, submitted, confirmed]) {
      const of = host()
      const { roster } = await stage(of)
      const shared = await of.shared(roster)
      for (const seat of of.seats) {
        of.restart(seat)
        of.sit(seat, roster)
        of.share(seat, shared)
        of.mask(seat, shared)
      }
      await expectNothingPlain(of)
    }
  })

  test('when its disk is full, at any piece of the vector', async () => {
    const of = host()
    const { shared } = await agreed(of)
    const { outbox } = of.node(0).kept
    const put = outbox.put.bind(outbox)
    outbox.put = async (...args) => {
      await put(...args)
      throw new StorageFull('the disk is full')
    }
    of.mask(0, shared)
    expect((await of.hear(0, 'leave')).message.reason).toBe('fault')
    await expectNothingPlain(of)
  })

  test('when its upload fails', async () => {
    const of = host({ architecture: { v: 1, input: [20_000], layers } })
    const { shared } = await agreed(of)
    of.blobs.put = () => Promise.reject(new StorageFull('there is no room for it now'))
    of.mask(0, shared)
    expect((await of.hear(0, 'leave')).message.reason).toBe('fault')
    await expectNothingPlain(of)
  })

  test('when the roster is a lie', async () => {
    const of = host()
    await of.open()
    await of.join()
    of.sit(0, await of.roster({ params: { q: 2 } }))
    of.say(1, { kind: 'seated', plan: of.plan, seat: 1, endsAt: DEADLINES[1], ticket: 't', roster: null })
    await of.hear(0, 'leave')
    await of.hear(1, 'leave')
    await expectNothingPlain(of)
  })

  test('when the coordinator calls the very round a plain one, before or after it left, or restarted', async () => {
    const of = host()
    const { roster } = await dealt(of)
    const masked = of.plan
    const plain = await of.node(0).plan({ cohort: cohortOf({ min: 3, max: 4, quorum: 3 }) })
    for (const seat of [0, 1]) of.node(seat).say(seated(plain, seat))
    expect((await of.hear(0, 'leave')).message.reason).toBe('foreign-plan')
    expect((await of.hear(1, 'leave')).message.reason).toBe('foreign-plan')
    of.node(0).say(seated(plain))
    expect((await of.hear(0, 'leave')).message.reason).toBe('masking-required')
    of.restart(1)
    of.node(1).say(seated(plain, 1))
    expect((await of.hear(1, 'leave')).message.reason).toBe('masking-required')
    of.node(1).say(invite(plain))
    expect((await of.hear(1, 'decline')).message.reason).toBe('masking-required')
    expect(roster.body.specCid).toBe(masked)
    await expectNothingPlain(of)
  })

  test('when a plain run asks for the same again: what was given under masks is not given without', async () => {
    const of = host()
    await unmasked(of)
    const node = of.node(0)
    for (const seat of of.seats) of.end(seat, 'closed')
    const cohort = cohortOf({ min: 3, max: 4, quorum: 3 })
    node.say(invite(await node.plan({ run: OTHER_RUN, cohort }), 1, OTHER_RUN))
    expect((await of.hear(0, 'decline')).message.reason).toBe('input-spent')
    node.say(seated(await node.plan({ run: OTHER_RUN, cohort }), 0, OTHER_RUN))
    expect((await of.hear(0, 'leave')).message.reason).toBe('input-spent')
    await expectNothingPlain(of)
  })
})
