import { describe, expect, test } from '@jest/globals'
import { clearEffect } from '#coordinator/effects/clear.ts'
import { expiry } from '#coordinator/expiry.ts'
import type { Unstamped } from '#coordinator/live.ts'
import { Needs } from '#coordinator/needs.ts'
import { blockOf } from '#coordinator/record.ts'
import { keepVectors } from '#coordinator/retention.ts'
import { isOver, type Run } from '#coordinator/run.ts'
import { type Job, Runner } from '#coordinator/runner.ts'
import { once, utf8 } from '#protocol/bytes.ts'
import { cidOf, RAW } from '#protocol/cid.ts'
import type { Cid, RunId } from '#protocol/ids.ts'
import { modelSchema } from '#protocol/manifest.ts'
import type { BlobStore, Queue } from '#protocol/ports.ts'
import { keepSealed } from '#protocol/sealed.ts'
import { taskSchema } from '#protocol/task.ts'
import { TOY_TASK } from '#sim/toy.ts'
import { virtualClock } from '#sim/virtual-clock.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { openMemoryLog } from '#storage/logs/memory.ts'
import { openMemorySnapshots } from '#storage/snapshots/memory.ts'
import { cohortOf } from '#test/cohort.ts'
import { cid, EVALUATION, type Happening, happens, specOf } from './fixture.ts'
import { signer } from './live.ts'

const DAY = 86_400_000
const [A, B] = ['run_01ARZ3NDEKTSV4RRFFQ69G5FAV', 'run_01ARZ3NDEKTSV4RRFFQ69G5FAW'] as [RunId, RunId]

/** Takes what is pushed, and gives it to nobody. */
function idleQueue(pushed: Job[] = []): Queue<Job> {
  return { push: async (_, job) => void pushed.push(job), work: () => ({ async [Symbol.asyncDispose]() {} }) }
}

/** A coordinator's runs and stores, in which nothing is done but what a test does. */
function coordinator({ days = 30, pinned = new Set(), publicTable }: Setting = {}) {
  const [log, blobs, withheld, clock] = [openMemoryLog(), openMemoryBlobs(), openMemoryBlobs(), virtualClock(1_000_000)]
  /** Another process of it. */
  const another = (queue = idleQueue()) =>
    new Runner({ log, queue, clock, snapshots: openMemorySnapshots() }, (cause) => {
      throw cause
    })
  const runner = another()
  const pinnedAmong = async (cids: Iterable<Cid>) => new Set([...cids].filter((one) => pinned.has(one)))
  const clear = clearEffect({
    ...{ log, blobs, withheld, pinnedAmong, needs: new Needs({ log, blobs }), runs: () => runner.runs() },
  })
  const { signal } = new AbortController()
  const look = (by = runner) => expiry({ runner: by, clock, retention: keepVectors(days), pinnedAmong }).perform(signal)

  const advance = async (run: RunId, ...events: readonly Unstamped[]) => {
    for (const event of events) {
      const next = await runner.advance(run, event)
      if (!next.ok) throw new Error(`${event.kind} was refused: ${next.refusal}`)
    }
    return runner.run(run) as Run
  }
  /** A run of one round, in which these vectors were reported. */
  const reported = async (run: RunId, ...vectors: readonly Cid[]) => {
    const genesis = blockOf(modelSchema, {
      ...{ architecture: cid('architecture'), tensors: [], weights: await put(blobs, 'weights') },
    })
    const task = taskOf(genesis.cid, publicTable)
    await blobs.putBlocks([genesis, task])
    const cohort = cohortOf({ min: 2, max: 2, quorum: 2 })
    await runner.create(specOf({ run, task: task.cid, genesis: genesis.cid, failuresMax: 1, planned: 1, cohort }))
    await advance(run, { kind: 'held' }, { kind: 'opened', round: 1, plan: cid('plan'), invited: 2 })
    const says = vectors.map((vector, index) => ({ ...happens.report(index), vector }))
    await advance(run, ...[...vectors.map((_, index) => happens.join(index)), ...says].map(inRoundOne))
    return genesis.cid
  }
  return {
    ...{ log, blobs, clock, runner, another, advance, look },
    /** Deletes what is owed, and says so. */
    async clear(run: RunId) {
      const now = runner.run(run) as Run
      return advance(run, await clear(now, { kind: 'clear', round: now.expired }, signal))
    },
    /** A run that came to nothing over these vectors. */
    async failed(run: RunId, ...vectors: readonly Cid[]) {
      await reported(run, ...vectors)
      await advance(run, inRoundOne(happens.spoil()), { kind: 'recounted', round: 1, record: cid('record') }, finished)
    },
    /** A run whose round closed with this sum of them. */
    async closed(run: RunId, aggregate: Cid, ...vectors: readonly Cid[]) {
      const model = await reported(run, ...vectors)
      const manifest = await keepSealed(blobs, signer('coordinator'), 'round', {
        ...{ v: 1, run, round: 1, purpose: 'train', parent: null, plan: cid('plan'), selection: cid('selection') },
        ...{ seats: cid('seats'), session: null, aggregate, memory: cid('memory'), model, evaluation: EVALUATION },
      })
      const made = { ...happens.aggregate(2), manifest, model } as Happening
      await advance(run, ...[made, happens.settle()].map(inRoundOne), { kind: 'stopped', reason: 'enough' }, finished)
    },
  }
}
type Setting = {
  readonly days?: number | 'forever'
  readonly pinned?: ReadonlySet<Cid>
  /** That the runs' tasks let anybody train on. */
  readonly publicTable?: Cid
}

function taskOf(genesis: Cid, table: Cid | undefined) {
  const { seed: _seed, architecture: _layers, ...rest } = TOY_TASK
  const publicData = table && ({ kind: 'csv', table } as const)
  const task = { v: 1, ...rest, seed: new Uint8Array(32), architecture: cid('architecture'), genesis } as const
  return blockOf(taskSchema, { ...task, ...(publicData && { publicData }) })
}

function inRoundOne(happening: Happening): Unstamped {
  return { ...happening, round: 1 } as Unstamped
}

const finished = { kind: 'finished', manifest: cid('run'), paid: 0n, released: 1000n, reason: null } as const

function put(blobs: BlobStore, name: string): Promise<Cid> {
  return blobs.put(once(utf8(name)), 1000)
}

describe('the vectors of a run', () => {
  test('expire so long after its end, are deleted, and are then done with', async () => {
    const { blobs, clock, look, clear, failed, runner } = coordinator()
    const vectors = [await put(blobs, 'one'), await put(blobs, 'two')]
    await failed(A, ...vectors)
    await clock.advance(30 * DAY - 1)
    await look()
    expect(runner.run(A)).toMatchObject({ expired: 0 })
    await clock.advance(1)
    await look()
    expect(runner.run(A)).toMatchObject({ expired: 1, cleared: 0 })
    expect(await blobs.has(vectors[0] as Cid)).toBe(true)
    expect(isOver(await clear(A))).toBe(true)
    for (const vector of vectors) expect(await blobs.has(vector)).toBe(false)
    const { expired, cleared } = runner.run(A) as Run
    await look()
    expect(runner.run(A)).toMatchObject({ expired, cleared })
  })

  test('are owed to be deleted until that is in the log, whoever reads it', async () => {
    const { blobs, clock, look, clear, failed, another } = coordinator()
    await failed(A, await put(blobs, 'one'), await put(blobs, 'two'))
    await clock.advance(31 * DAY)
    await look()
    const owedAfterRestart = async () => {
      const pushed: Job[] = []
      await another(idleQueue(pushed)).recover()
      return pushed
    }
    expect(await owedAfterRestart()).toEqual([{ run: A, owed: { kind: 'clear', round: 1 } }])
    await clear(A)
    expect(await owedAfterRestart()).toEqual([])
  })

  test('never expire where they are kept for ever, nor while the run goes on', async () => {
    const always = coordinator({ days: 'forever' })
    await always.failed(A, await put(always.blobs, 'one'), await put(always.blobs, 'two'))
    await always.clock.advance(1000 * DAY)
    await always.look()
    expect(always.runner.run(A)).toMatchObject({ expired: 0 })
    const { runner, advance, look, clock } = coordinator({ days: 0 })
    await runner.create(specOf({ run: A }))
    await advance(A, { kind: 'held' })
    await clock.advance(1000 * DAY)
    await look()
    expect(runner.run(A)).toMatchObject({ phase: 'running', expired: 0 })
  })

  test('expire once, though every process says so', async () => {
    const { blobs, clock, look, failed, another, runner } = coordinator({ days: 1 })
    await failed(A, await put(blobs, 'one'), await put(blobs, 'two'))
    const other = another()
    await other.recover()
    await clock.advance(DAY)
    await look()
    await look(other)
    expect(other.position(A)).toBe(runner.position(A))
    expect(other.run(A)).toEqual(runner.run(A))
  })

  test('of a run whose record somebody has pinned do not expire, and a pinned vector is not deleted', async () => {
    const pinned = new Set([cid('run')])
    const { blobs, clock, look, clear, failed, runner } = coordinator({ pinned })
    const [one, two] = [await put(blobs, 'one'), await put(blobs, 'two')]
    await failed(A, one, two)
    await clock.advance(31 * DAY)
    await look()
    expect(runner.run(A)).toMatchObject({ expired: 0 })
    pinned.clear()
    pinned.add(one)
    await look()
    await clear(A)
    expect([await blobs.has(one), await blobs.has(two)]).toEqual([true, false])
  })

  test('that another run has as well stay until it needs them no longer', async () => {
    const { blobs, clock, look, clear, failed } = coordinator()
    const [one, two, three] = [await put(blobs, 'one'), await put(blobs, 'two'), await put(blobs, 'three')]
    await failed(A, one, two)
    await clock.advance(DAY)
    await failed(B, two, three)
    await clock.advance(29 * DAY)
    await look()
    await clear(A)
    expect([await blobs.has(one), await blobs.has(two), await blobs.has(three)]).toEqual([false, true, true])
    await clock.advance(DAY)
    await look()
    await clear(B)
    expect([await blobs.has(two), await blobs.has(three)]).toEqual([false, false])
  })

  test('that are files of a record, of another run or their own, stay for ever', async () => {
    const { blobs, clock, look, clear, failed, closed } = coordinator()
    const [sum, weights, one] = [await put(blobs, 'sum'), await put(blobs, 'weights'), await put(blobs, 'one')]
    await closed(A, sum, one, sum)
    await failed(B, sum, weights)
    await clock.advance(31 * DAY)
    await look()
    await clear(A)
    await clear(B)
    expect([await blobs.has(sum), await blobs.has(weights), await blobs.has(one)]).toEqual([true, true, false])
  })

  test('that are what a task lets anybody train on stay for ever', async () => {
    const publicTable = cidOf(RAW, utf8('table'))
    const { blobs, clock, look, clear, failed } = coordinator({ publicTable })
    const [table, one] = [await put(blobs, 'table'), await put(blobs, 'one')]
    expect(table).toBe(publicTable)
    await failed(A, table, one)
    await clock.advance(31 * DAY)
    await look()
    await clear(A)
    expect([await blobs.has(table), await blobs.has(one)]).toEqual([true, false])
  })
})
