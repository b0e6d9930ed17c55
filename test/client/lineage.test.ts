import { describe, expect, test } from '@jest/globals'
import { Journal } from '#client/journal.ts'
import { checkLineage } from '#client/lineage.ts'
import type { Told } from '#client/progress.ts'
import { type SiteTerms, siteTerms } from '#client/site.ts'
import { once } from '#protocol/bytes.ts'
import { cidOf, codecOf, RAW } from '#protocol/cid.ts'
import type { Cid, Round } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import type { Plan, Secure } from '#protocol/plan.ts'
import { BlobMissing, type BlobStore, type EventLog } from '#protocol/ports.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { openMemoryLog } from '#storage/logs/memory.ts'
import { type RecordedRun, recordRun, type Shape } from '#test/verify/fixture.ts'
import { MEMBERSHIP_LIES } from '#test/verify/masked-lies.ts'
import { ENDING_LIES, SUM_LIES } from '#test/verify/sum-lies.ts'
import { PUBLIC } from '#test/verify/telling.ts'

const HIDDEN: Secure = { ...PUBLIC, publish: 'commit-only' }
/** Three training rounds with members lost in two of them. */
const ROUGH: Shape = { nodes: 6, planned: 3, losses: { 1: { share: [6], mask: [2] }, 2: { mask: [1], confirm: [4] } } }

/** A run as its coordinator published it, and the plans that invited to its rounds. */
async function played(shape: Shape): Promise<{ readonly run: RecordedRun; readonly plans: readonly Plan[] }> {
  const plans: Plan[] = []
  const plan = (honest: Plan): Plan => {
    const told = shape.hooks?.plan?.(honest) ?? honest
    plans.push(told)
    return told
  }
  return { run: await recordRun({ ...shape, hooks: { ...shape.hooks, plan } }), plans }
}

/** One node on a disk, before the coordinator's two stores. */
async function nodeBefore(
  run: RecordedRun,
  { log = openMemoryLog(), ...terms }: Partial<SiteTerms> & { readonly log?: EventLog } = {},
) {
  const [blobs, withheld] = [openMemoryBlobs(), openMemoryBlobs()]
  await blobs.putBlocks([...run.blocks].map(([cid, bytes]) => ({ cid, bytes })))
  for (const bytes of run.hidden.values()) await withheld.put(once(bytes), bytes.length)
  const told: Told[] = []
  /** Files that it read, by their first blocks. */
  const read: Cid[] = []
  const counted: BlobStore = {
    ...blobs,
    getBlock(cid, limit) {
      if (codecOf(cid) === RAW) read.push(cid)
      return blobs.getBlock(cid, limit)
    },
  }
  const doors = {
    ...{ blobs, uncached: counted, withheld, journal: new Journal(log), coordinator: run.coordinator.id },
    ...{ site: { ...siteTerms('open', 'open'), ...terms }, tell: (made: Told) => void told.push(made) },
  }
  const signal = new AbortController().signal
  return {
    ...{ doors, told, read, log },
    check: (plan: Plan | undefined) => checkLineage(doors, plan as Plan, signal),
    pasts: () => told.map((made) => made.kind === 'recomputed' && made.past),
  }
}

const KNOWN = { ok: true, value: undefined }

describe('a node that was given a plan over the model of earlier rounds', () => {
  test.each([
    ['whose vectors are public', { ...ROUGH, secure: PUBLIC }],
    ['in suite 2, with ciphertexts for those who were lost', { ...ROUGH, secure: { ...PUBLIC, suite: 2 } }],
    ['whose vectors only members read', { ...ROUGH, secure: HIDDEN }],
    ['between which others came to nothing', { secure: PUBLIC, planned: 5, fates: { 2: 'abandoned', 4: 'certified' } }],
  ] as const)('redoes all of them, %s', async (_, shape) => {
    const { run, plans } = await played(shape)
    const node = await nodeBefore(run)
    expect(await node.check(plans.at(-1))).toEqual(KNOWN)
    const closed = run.manifest.rounds.filter(({ manifest }) => manifest !== null).map(({ round }) => round)
    expect(node.pasts()).toEqual(closed.slice(0, -1))
  })

  test('has nothing to redo before the first round has closed', async () => {
    const { run, plans } = await played({ ...ROUGH, secure: PUBLIC })
    const node = await nodeBefore(run)
    expect(await node.check(plans[0])).toEqual(KNOWN)
    expect(node.told).toEqual([])
  })

  test('redoes each round once, also when its process begins anew on the same disk', async () => {
    const { run, plans } = await played({ ...ROUGH, secure: PUBLIC })
    const first = await nodeBefore(run)
    await first.check(plans[1])
    await first.check(plans[2])
    expect(first.pasts()).toEqual([1, 2])
    const second = await nodeBefore(run, { log: first.log })
    expect(await second.check(plans[2])).toEqual(KNOWN)
    expect(second.told).toEqual([])
    // The model and the strategy's empty memory, and no vector.
    expect(second.read.length).toBeLessThanOrEqual(4)
    expect(await second.check(plans[3])).toEqual(KNOWN)
    expect(second.pasts()).toEqual([3])
  })

  test('goes on after the rounds that it had redone when it stopped in the middle', async () => {
    const { run, plans } = await played({ ...ROUGH, secure: HIDDEN })
    const node = await nodeBefore(run)
    // Twelve vectors of three rounds; the last of them is of the third, before the evaluate round's.
    const third = [...run.hidden.values()].at(-7)
    if (!third) throw new Error('vectors are hidden')
    await node.doors.withheld.delete(cidOf(RAW, third))
    await expect(node.check(plans[3])).rejects.toThrow(BlobMissing)
    expect(node.pasts()).toEqual([1, 2])
    const again = await nodeBefore(run, { log: node.log })
    expect(await again.check(plans[3])).toEqual(KNOWN)
    expect(again.pasts()).toEqual([3])
  })

  test('takes what it redid of another task, or of another run, for nothing', async () => {
    const sum = (lanes: Uint32Array) => lanes.with(9, (lanes[9] as number) + 1)
    const { run, plans } = await played({ secure: PUBLIC, hooks: { sum } })
    const plan = plans[1] as Plan
    const node = await nodeBefore(run)
    const { journal } = node.doors
    await journal.recomputed({ run: plan.run, task: plan.model }, plan.parent as Cid)
    expect(await node.check(plan)).toMatchObject({ ok: false, refusal: 'model-not-recomputed' })
    await journal.recomputed(plan, plan.parent as Cid)
    expect(await node.check(plan)).toEqual(KNOWN)
  })

  test.each(['full', 'commit-only'] as const)('redoes vectors that are larger than a block (%s)', async (publish) => {
    const { run, plans } = await played({ ...LARGE, secure: { ...PUBLIC, publish } })
    const node = await nodeBefore(run)
    expect(await node.check(plans[1])).toEqual(KNOWN)
    expect(node.pasts()).toEqual([1])
  })

  test('is let go when its round is over, though a vector never comes', async () => {
    const { run, plans } = await played({ secure: PUBLIC })
    const { doors } = await nodeBefore(run)
    const round = new AbortController()
    const uncached: BlobStore = { ...doors.blobs, getBlock: () => new Promise(() => undefined) }
    const waiting = checkLineage({ ...doors, uncached }, plans[1] as Plan, round.signal)
    round.abort(new Error('the round is over'))
    await expect(waiting).rejects.toThrow('the round is over')
  })
})

/** A few weights more than a block holds. */
const LARGE: Shape = {
  planned: 1,
  nodes: 3,
  architecture: {
    v: 1,
    input: [4],
    layers: [
      { layer: 'dense', name: 'hidden', units: Math.ceil(BLOCK_BYTES_MAX / 4 / 5), activation: 'relu' },
      { layer: 'dense', name: 'out', units: 1, activation: 'linear' },
    ],
  },
}

describe('a node that was given another model than the rounds before make', () => {
  // The verifier's tests tell every lie; it is the same code, so that one of each step shows that no step is left out.
  const lies = Object.entries({ ...MEMBERSHIP_LIES, ...SUM_LIES, endings: ENDING_LIES }).flatMap(([step, some]) =>
    some.slice(0, 1).map(([what, ...told]) => [step, what, told] as const),
  )
  test.each(lies)('finds at %s: %s', async (step, _, [at, hooks, shape = {}]) => {
    const round = at as Round
    const { run, plans } = await played({ ...shape, hooks, until: round + 1 })
    const node = await nodeBefore(run)
    const found = await node.check(plans.find((plan) => plan.round === round + 1))
    expect(found).toMatchObject({ ok: false, refusal: 'model-not-recomputed' })
    expect(found.ok || found.detail).toMatch(new RegExp(`^${step}: round ${round}: `))
    expect(node.pasts()).not.toContain(round)
  })

  test('finds a sum that only who has the vectors can find', async () => {
    const sum = (lanes: Uint32Array, round: number) => (round === 2 ? lanes.with(9, (lanes[9] as number) + 1) : lanes)
    const { run, plans } = await played({ secure: HIDDEN, hooks: { sum } })
    const found = await (await nodeBefore(run)).check(plans[2])
    expect(found.ok || found.detail).toMatch(/^sum: round 2: /)
  })

  test('finds a plan that names a sound round and not its model', async () => {
    const { run, plans } = await played({ secure: PUBLIC })
    const [first, second] = plans as [Plan, Plan]
    const found = await (await nodeBefore(run)).check({ ...second, model: first.model })
    expect(found).toMatchObject({ ok: false, refusal: 'model-not-recomputed' })
  })
})

describe('a round among others than a site knows', () => {
  test('makes no model that it trains: its members could be the coordinator’s own', async () => {
    const { run, plans } = await played({ secure: PUBLIC })
    const all = run.nodes.map(({ id }) => id)
    expect(await (await nodeBefore(run, { allowed: new Set(all) })).check(plans[1])).toEqual(KNOWN)
    const node = await nodeBefore(run, { allowed: new Set(all.slice(1)) })
    const found = await node.check(plans[1])
    expect(found.ok || found.detail).toBe(`cohort: round 1: ${all[0]} is not on this site's list`)
    expect(await node.doors.journal.recomputations(plans[1] as Plan)).toEqual(new Set())
  })

  test('nor one whose sums bear fewer corrupt members than it asks for', async () => {
    const { run, plans } = await played({ secure: PUBLIC })
    const found = await (await nodeBefore(run, { maxCorrupt: 2 })).check(plans[1])
    expect(found.ok || found.detail).toBe('plan: round 1: bears 1 corrupt nodes of 2')
  })
})
