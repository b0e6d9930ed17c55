import * as dagCbor from '@ipld/dag-cbor'
import { describe, expect, test } from '@jest/globals'
import * as fc from 'fast-check'
import { Federations } from '#coordinator/federations.ts'
import { decodeEvent, encodeEvent } from '#coordinator/run-events.ts'
import type { FederationId, NodeId } from '#protocol/ids.ts'
import { codeHash, STATEMENT_MILLIS_MAX } from '#protocol/invite.ts'
import { virtualClock } from '#sim/virtual-clock.ts'
import { openMemoryLog } from '#storage/logs/memory.ts'
import { specOf } from './fixture.ts'
import { signer } from './live.ts'

const NOW = 1_800_000_000_000
const DAY = 86_400_000
const coordinator = signer('coordinator').id
const ids = ['01ARZ3NDEKTSV4RRFFQ69G5FAV', '01BX5ZZKBKACTAV9WEVGEMMVRZ'] as const
const [FED, OTHER] = ids.map((id) => `fed_${id}`) as [FederationId, FederationId]
const named = { name: 'cardio', description: null }
const node = (name: string) => signer(name).id

type Shared = { readonly log: ReturnType<typeof openMemoryLog>; readonly clock: ReturnType<typeof virtualClock> }

function shared(): Shared {
  return { log: openMemoryLog(), clock: virtualClock(NOW) }
}
/** A process of the coordinator. */
const processOver = (doors: Shared, bounds?: ConstructorParameters<typeof Federations>[1]) =>
  new Federations({ ...doors, secret: new Uint8Array(32) }, bounds)

const terms = (at: number, change: object = {}) => {
  const invite = `inv_01ARZ3NDEKTSV4RRFFQ69G5${String(at).padStart(3, '0')}`
  return { invite, operator: 'st-elsewhere', uses: 1, expiresAt: null, ...change }
}

/** A federation with one invite, and somebody to take it. */
async function invited(change: object = {}) {
  const doors = shared()
  const federations = processOver(doors)
  await federations.found(FED, named, null)
  const made = await federations.invite(FED, terms(1, change), null)
  if (!made.ok) throw new Error(made.refusal)
  const { code } = made.value
  const said = (name: string, at = doors.clock.now(), to = coordinator, of = code) => {
    return { node: node(name), to, code: codeHash(of), at }
  }
  const take = (name: string, by = federations) => by.take(code, said(name), coordinator)
  return { ...doors, federations, code, said, take }
}

describe('federations', () => {
  test('are what was done, in whatever order and by whichever processes, at all of them and after a restart', async () => {
    const nodes = ['a', 'b', 'c'].map(node)
    const act = fc.oneof(
      fc.record({ kind: fc.constantFrom('found', 'dissolve', 'amend'), on: fc.constantFrom(FED, OTHER) }),
      fc.record({ kind: fc.constantFrom('add', 'remove', 'take'), on: fc.constantFrom(FED, OTHER), who: fc.nat(2) }),
      fc.record({ kind: fc.constantFrom('invite', 'revoke'), on: fc.constantFrom(FED, OTHER), which: fc.nat(2) }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(act, fc.nat(2)), { maxLength: 40 }), async (acts) => {
        const doors = shared()
        const processes = [0, 1, 2].map(() => processOver(doors))
        const codes: string[] = []
        const perform = async ([one, by]: (typeof acts)[number]) => {
          const at = processes[by] as Federations
          const who = nodes['who' in one ? one.who : 0] as NodeId
          const which = terms('which' in one ? one.which : 0, { uses: 2 })
          if (one.kind === 'found') return at.found(one.on, named, null)
          if (one.kind === 'dissolve') return at.dissolve(one.on)
          if (one.kind === 'amend') return at.amend(one.on, { description: String(by) }, () => true)
          if (one.kind === 'add') return at.add(one.on, who, null)
          if (one.kind === 'remove') return at.remove(one.on, who)
          if (one.kind === 'revoke') return at.revoke(one.on, which.invite)
          if (one.kind === 'invite') {
            const made = await at.invite(one.on, which, null)
            if (made.ok) codes.push(made.value.code)
            return made
          }
          const code = codes[by] ?? codes[0]
          if (!code) return undefined
          return at.take(code, { node: who, to: coordinator, code: codeHash(code), at: NOW }, coordinator)
        }
        // All at once: the stream alone decides who was first.
        await Promise.all(acts.map(perform))
        const told = async (one: Federations) => [
          await one.all(),
          ...(await Promise.all([FED, OTHER].flatMap((id) => [one.members(id), one.invites(id)]))),
        ]
        const answers = await Promise.all([...processes, processOver(doors)].map(told))
        for (const answer of answers) expect(answer).toEqual(answers[0])
        for (const { id, members } of await (processes[0] as Federations).all())
          expect((await processes[1]?.members(id))?.length).toBe(members)
        for (const invite of (await processes[2]?.invites(FED)) ?? [])
          expect(invite.takers.size).toBeLessThanOrEqual(invite.uses)
      }),
      { numRuns: 60 },
    )
  })

  test('are made once for one request, and amended by whoever has seen the last version', async () => {
    const federations = processOver(shared())
    const once = { key: new Uint8Array(32), body: new Uint8Array(32) }
    const first = await federations.found(FED, named, once)
    expect(first).toMatchObject({ ok: true, value: { made: { id: FED }, isReplayed: false } })
    expect(await federations.found(OTHER, named, once)).toMatchObject({
      value: { made: { id: FED }, isReplayed: true },
    })
    const another = { ...once, body: new Uint8Array(32).fill(1) }
    expect(await federations.found(OTHER, named, another)).toMatchObject({ refusal: 'key-reused' })
    const seen = (await federations.get(FED))?.updatedAt
    const amend = (name: string) => federations.amend(FED, { name }, ({ updatedAt }) => updatedAt === seen)
    expect((await Promise.all([amend('x'), amend('y')])).map(({ ok }) => ok)).toEqual([true, false])
    expect(await federations.get(FED)).toMatchObject({ name: 'x', description: null })
  })

  test('keep no more than is set aside for them, and forget spent invites before they refuse one', async () => {
    const doors = shared()
    const federations = processOver(doors, { federations: 1, members: 2, invites: 2, entries: 12 })
    await federations.found(FED, named, null)
    expect(await federations.found(OTHER, named, null)).toMatchObject({ refusal: 'too-many' })
    for (const name of ['a', 'b']) expect((await federations.add(FED, node(name), null)).ok).toBe(true)
    expect(await federations.add(FED, node('c'), null)).toMatchObject({ refusal: 'too-many' })
    for (const at of [1, 2]) await federations.invite(FED, terms(at), null)
    expect(await federations.invite(FED, terms(3), null)).toMatchObject({ refusal: 'too-many' })
    await federations.revoke(FED, terms(1).invite)
    expect((await federations.invite(FED, terms(3), null)).ok).toBe(true)
    expect((await federations.invites(FED))?.map(({ id }) => id)).toEqual([terms(3).invite, terms(2).invite])
    for (let name = 0; (await federations.amend(FED, { name: String(name) }, () => true)).ok; name++);
    expect(await doors.log.head('federations')).toBe(12)
  })
})

describe('an invite', () => {
  test('makes its taker a member, once, with the operator it is for; said again it changes nothing', async () => {
    const { take, federations, log } = await invited()
    const answer = { ok: true, value: { federation: FED, name: 'cardio', operator: 'st-elsewhere' } }
    expect(await take('ann')).toEqual(answer)
    const head = await log.head('federations')
    expect(await take('ann')).toEqual(answer)
    expect(await log.head('federations')).toBe(head)
    const member = { node: node('ann'), operator: 'st-elsewhere', joinedAt: NOW, via: 'invite' }
    expect(await federations.members(FED)).toEqual([member])
    expect(await take('ben')).toMatchObject({ refusal: 'invite-spent' })
  })

  test('lets in as many as it is for, whichever processes they come to at once', async () => {
    const { take, log, clock, federations } = await invited({ uses: 3 })
    const processes = [0, 1, 2].map(() => processOver({ log, clock }))
    const taken = await Promise.all(Array.from({ length: 9 }, (_, at) => take(`n${at}`, processes[at % 3])))
    expect(taken.filter(({ ok }) => ok)).toHaveLength(3)
    expect((await federations.members(FED))?.length).toBe(3)
  })

  test.each([
    [
      'after it was revoked',
      'invite-revoked',
      async ({ federations }: Awaited<ReturnType<typeof invited>>) =>
        void (await federations.revoke(FED, terms(1).invite)),
    ],
    ['after its time', 'invite-expired', async ({ clock }) => clock.advance(DAY)],
    [
      'of a federation that is dissolved',
      'no-invite',
      async ({ federations }) => void (await federations.dissolve(FED)),
    ],
  ])('lets nobody in %s', async (_when, refusal, happens) => {
    const at = await invited({ expiresAt: NOW + DAY })
    await happens(at)
    expect(await at.take('ann')).toMatchObject({ refusal })
  })

  test('takes a statement for this coordinator, about this code, of this time', async () => {
    const { federations, code, said } = await invited()
    const take = (statement: ReturnType<typeof said>) => federations.take(code, statement, coordinator)
    expect(await take(said('ann', NOW, node('elsewhere')))).toMatchObject({ refusal: 'wrong-coordinator' })
    expect(await take(said('ann', NOW, coordinator, '0000-0000-0000-0000'))).toMatchObject({ refusal: 'another-code' })
    for (const apart of [-1, 1])
      expect(await take(said('ann', NOW + apart * (STATEMENT_MILLIS_MAX + 1)))).toMatchObject({
        refusal: 'statement-stale',
      })
    expect(await take(said('ann', NOW + STATEMENT_MILLIS_MAX))).toMatchObject({ ok: true })
  })

  test('brings nobody back who was removed: neither the statement, said again, nor a new one', async () => {
    const { federations, take } = await invited({ uses: 5 })
    await take('ann')
    await federations.remove(FED, node('ann'))
    expect(await take('ann')).toMatchObject({ refusal: 'invite-taken' })
    expect(await federations.members(FED)).toEqual([])
    // Whoever is asked in anew is.
    const again = await federations.invite(FED, terms(2), null)
    const code = again.ok ? again.value.code : ''
    const statement = { node: node('ann'), to: coordinator, code: codeHash(code), at: NOW }
    expect(await federations.take(code, statement, coordinator)).toMatchObject({ ok: true })
  })

  test('is kept as a hash: nobody who reads the log can use it', async () => {
    const { log, code } = await invited()
    for await (const entry of log.read('federations')) {
      const text = Buffer.from(entry).toString('latin1')
      expect(text.includes(code) || text.includes(code.replaceAll('-', ''))).toBe(false)
    }
  })

  test('has one code for one request, and another for every other', async () => {
    const { federations, code } = await invited()
    const once = { key: new Uint8Array(32), body: new Uint8Array(32) }
    const one = await federations.invite(FED, terms(2), once)
    const same = await federations.invite(FED, terms(3), once)
    const codes = [one, same].map((made) => made.ok && made.value.code)
    expect(codes[0]).toBe(codes[1])
    expect(codes[0]).not.toBe(code)
    expect(same).toMatchObject({ value: { isReplayed: true, made: { id: terms(2).invite } } })
  })
})

test('a run that was made before there were federations is of none', () => {
  const created = encodeEvent({ kind: 'created', at: NOW, spec: specOf() })
  const { spec, ...event } = dagCbor.decode<{ spec: Record<string, unknown> }>(created)
  const { federation, ...before } = spec
  expect(federation).toBeNull()
  const read = decodeEvent(dagCbor.encode({ ...event, spec: before }))
  expect(read).toEqual({ kind: 'created', at: NOW, spec: specOf() })
})
