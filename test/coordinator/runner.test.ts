import { describe, expect, test } from '@jest/globals'
import type { Unstamped } from '#coordinator/live.ts'
import { obligations } from '#coordinator/obligations.ts'
import { patrol } from '#coordinator/patrol.ts'
import type { RunRefusal } from '#coordinator/run.ts'
import { decodeEvent } from '#coordinator/run-events.ts'
import { type Advanced, type Job, Runner } from '#coordinator/runner.ts'
import { sha256 } from '#crypto'
import { utf8 } from '#protocol/bytes.ts'
import { type Bytes, nodeIdOf } from '#protocol/ids.ts'
import type { EventLog, Queue } from '#protocol/ports.ts'
import type { Result } from '#protocol/result.ts'
import { virtualClock } from '#sim/virtual-clock.ts'
import { openMemoryLog } from '#storage/logs/memory.ts'
import { openMemorySnapshots } from '#storage/snapshots/memory.ts'
import { cid, happens, maskedSpecOf, node, RUN, specOf } from './fixture.ts'
import { answerTo, speeches, stamp } from './histories.ts'

/** A log that says what is appended, and waits for `release` before it appends when told to hold. */
class WatchedLog implements EventLog {
  readonly #log: EventLog
  readonly appends: { readonly position: number; readonly kinds: readonly string[] }[] = []
  entriesRead = 0
  #held: PromiseWithResolvers<void> | undefined
  #fault: Error | undefined

  constructor(log: EventLog) {
    this.#log = log
  }

  hold(): void {
    this.#held = Promise.withResolvers()
  }

  release(fault?: Error): void {
    this.#fault = fault
    this.#held?.resolve()
    this.#held = undefined
  }

  async append(stream: string, position: number, entries: readonly Bytes[]): Promise<'appended' | 'conflict'> {
    this.appends.push({ position, kinds: entries.map((entry) => decodeEvent(entry).kind) })
    await this.#held?.promise
    if (this.#fault) throw this.#fault
    return this.#log.append(stream, position, entries)
  }

  async *read(stream: string, from?: number): AsyncIterable<Bytes> {
    for await (const entry of this.#log.read(stream, from)) {
      this.entriesRead++
      yield entry
    }
  }

  head(stream: string): Promise<number> {
    return this.#log.head(stream)
  }

  streams(prefix: string): AsyncIterable<string> {
    return this.#log.streams(prefix)
  }
}

/** A run with its first round open, over a log and a queue that remember. */
async function opened(log: EventLog = openMemoryLog(), spec = specOf()) {
  const watched = new WatchedLog(log)
  const pushed: string[] = []
  const away = { queue: false }
  const queue: Queue<Job> = {
    async push(id, { owed }) {
      if (away.queue) throw new Error('the queue is away')
      pushed.push(`${id.slice(RUN.length + 1)} ${owed.kind}`)
    },
    work: () => ({ async [Symbol.asyncDispose]() {} }),
  }
  const clock = virtualClock(1000)
  const faults: unknown[] = []
  const runner = new Runner({ log: watched, queue, clock, snapshots: openMemorySnapshots() }, (cause) =>
    faults.push(cause),
  )
  const told: Advanced[] = []
  runner.subscribe((advanced) => told.push(advanced))
  for (const made of [
    await runner.create(spec),
    await runner.advance(RUN, { kind: 'held' }),
    await runner.advance(RUN, { kind: 'opened', round: 1, plan: cid('plan'), invited: 3 }),
  ])
    expect(made.ok).toBe(true)
  watched.appends.length = 0
  told.length = 0
  return { runner, log: watched, pushed, told, clock, faults, away }
}

const joined = (index: number): Unstamped => ({ ...happens.join(index), round: 1 })
const reported = (index: number): Unstamped => ({ ...happens.report(index), round: 1 })
const refusalOf = (answer: Result<unknown, RunRefusal>) => (answer.ok ? null : answer.refusal)
const turn = () => new Promise((resolve) => setImmediate(resolve))

describe('the runner', () => {
  test('a burst is one append, in the order it came, and each is answered for itself', async () => {
    const { runner, log, told } = await opened()
    const events = [joined(1), joined(0), joined(1), { ...joined(2), round: 7 } as Unstamped, reported(0)]
    const answers = await Promise.all(events.map((event) => runner.advance(RUN, event)))
    expect(answers.map(refusalOf)).toEqual([null, null, 'already-joined', 'future-round', 'wrong-phase'])
    expect(log.appends).toEqual([{ position: 3, kinds: ['joined', 'joined'] }])
    expect(told.map(({ event, position }) => [position, 'node' in event && event.node])).toEqual([
      [3, node(1)],
      [4, node(0)],
    ])
  })

  test('what comes while an append is under way waits, and shares the next one', async () => {
    const { runner, log } = await opened()
    log.hold()
    const first = runner.advance(RUN, joined(0))
    while (log.appends.length === 0) await turn()
    const rest = [joined(1), joined(0), joined(2), reported(1)].map((event) => runner.advance(RUN, event))
    await turn()
    log.release()
    expect((await first).ok).toBe(true)
    expect((await Promise.all(rest)).map(refusalOf)).toEqual([null, 'already-joined', null, null])
    expect(log.appends).toEqual([
      { position: 3, kinds: ['joined'] },
      { position: 4, kinds: ['joined', 'joined', 'reported'] },
    ])
  })

  test('nobody is answered and nobody is told before it is durable, nor is one refused for what is not', async () => {
    const { runner, log, told } = await opened()
    log.hold()
    const answered: string[] = []
    const all = [joined(0), joined(0), joined(1)].map((event, index) =>
      runner.advance(RUN, event).finally(() => answered.push(`${index}`)),
    )
    while (log.appends.length === 0) await turn()
    await turn()
    expect([answered, told, runner.position(RUN)]).toEqual([[], [], 3])
    log.release(new Error('the disk is away'))
    expect((await Promise.allSettled(all)).map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
    expect([told, runner.position(RUN)]).toEqual([[], 3])
    log.release()
    expect(refusalOf(await runner.advance(RUN, joined(0)))).toBeNull()
  })

  test('of two writers one is fenced, reads what the other wrote, and judges its whole batch again', async () => {
    const shared = openMemoryLog()
    const { runner: first } = await opened(shared)
    const second = new Runner(
      {
        log: shared,
        queue: { push: async () => {}, work: () => ({ async [Symbol.asyncDispose]() {} }) },
        clock: virtualClock(1000),
        snapshots: openMemorySnapshots(),
      },
      () => undefined,
    )
    await second.recover()
    await Promise.all([joined(0), joined(1)].map((event) => first.advance(RUN, event)))
    const answers = await Promise.all([joined(1), joined(2), reported(0)].map((event) => second.advance(RUN, event)))
    expect(answers.map(refusalOf)).toEqual(['already-joined', null, null])
    expect(second.run(RUN)?.round).toMatchObject({ phase: 'reporting', reported: 1, waiting: 2 })
    expect((await first.advance(RUN, { kind: 'left', round: 1, node: node(2), reason: 'link-lost' })).ok).toBe(true)
    expect(first.run(RUN)?.round).toMatchObject({ phase: 'reporting', reported: 1, waiting: 1 })
  })

  test('consequences of a batch are pushed under the place of the event that owes them', async () => {
    const { runner, pushed } = await opened()
    expect(pushed).toEqual(['0-0 hold', '1-0 open'])
    await Promise.all([0, 1, 2].map((index) => runner.advance(RUN, joined(index))))
    await Promise.all([reported(0), reported(0), reported(1), reported(2)].map((event) => runner.advance(RUN, event)))
    expect(pushed).toEqual(['0-0 hold', '1-0 open', '8-0 aggregate'])
  })

  test('what the coordinator says in a session is owed one after another, and pushed once however many confirm', async () => {
    const { runner, pushed } = await opened(openMemoryLog(), maskedSpecOf(3))
    for (let run = runner.run(RUN); run?.round; run = runner.run(RUN)) {
      const here = run
      const words = speeches(here).map(({ says }) => stamp(here, says))
      const [owed] = obligations(here)
      const events = owed ? [answerTo(here, owed), answerTo(here, owed)] : [...words, ...words]
      const answers = await Promise.all(events.map((event) => runner.advance(RUN, event)))
      expect(answers.filter(({ ok }) => ok)).toHaveLength(events.length / 2)
    }
    const kinds = ['hold', 'open', 'enrol', 'share', 'survey', 'certify', 'aggregate', 'settle', 'open']
    expect(pushed.map((job) => job.split(' ')[1])).toEqual(kinds)
  })

  test('a burst of more than one append holds is several, and loses nothing', async () => {
    const { runner, log } = await opened()
    const busy = { kind: 'declined', round: 1, reason: 'busy' } as const
    const answers = await Promise.all(
      Array.from({ length: 600 }, (_, index) =>
        runner.advance(RUN, { ...busy, node: nodeIdOf(sha256(utf8(`busy ${index}`))) }),
      ),
    )
    expect(answers.every(({ ok }) => ok)).toBe(true)
    expect(log.appends.map(({ position, kinds }) => [position, kinds.length])).toEqual([
      [3, 256],
      [259, 256],
      [515, 88],
    ])
  })

  test('a long history is read from its beginning once, while others have their turns, and then from near where it is wanted', async () => {
    const { runner, log } = await opened()
    const busy = { kind: 'declined', round: 1, reason: 'busy' } as const
    const comings = Array.from({ length: 1200 }, (_, index) => nodeIdOf(sha256(utf8(`busy ${index}`))))
    await Promise.all(comings.map((node) => runner.advance(RUN, { ...busy, node })))
    const last = runner.position(RUN) - 1
    let turns = 0
    const ticking = setInterval(() => turns++, 0)
    const read = async (from: number) => {
      log.entriesRead = 0
      for await (const advanced of runner.follow(RUN, from, new AbortController().signal)) {
        expect([advanced.position, advanced.before?.phase]).toEqual([from, 'running'])
        return [
          log.entriesRead,
          JSON.stringify(advanced.after, (_, value) => (typeof value === 'bigint' ? String(value) : value)),
        ]
      }
      throw new Error('it has no such event')
    }
    const first = await read(last)
    clearInterval(ticking)
    expect(first[0]).toBe(last + 1)
    const again = await read(last)
    expect(again[0]).toBeLessThanOrEqual(257)
    expect(again[1]).toBe(first[1])
    expect((await read(700))[0]).toBeLessThanOrEqual(257)
    expect(turns).toBeGreaterThan(0)
  })

  test('an append that was durable though it failed leaves nothing undone', async () => {
    const memory = openMemoryLog()
    let faults = 0
    const ambiguous: EventLog = {
      ...memory,
      async append(...args) {
        const answer = await memory.append(...args)
        if (faults-- > 0) throw new Error('the disk said no after it had said yes')
        return answer
      },
    }
    const { runner, pushed } = await opened(ambiguous)
    await Promise.all([0, 1, 2].map((index) => runner.advance(RUN, joined(index))))
    await Promise.all([reported(0), reported(1)].map((event) => runner.advance(RUN, event)))
    faults = 1
    await expect(runner.advance(RUN, reported(2))).rejects.toThrow('after it had said yes')
    expect(pushed.at(-1)).toBe('1-0 open')
    expect(refusalOf(await runner.advance(RUN, reported(2)))).toBe('wrong-phase')
    expect(pushed.at(-1)).toBe('8-0 aggregate')
  })

  test('a report that came in time is in time, however long the log was away; the deadline waits behind it', async () => {
    const { runner, log, clock } = await opened()
    await Promise.all([0, 1, 2].map((index) => runner.advance(RUN, joined(index))))
    log.hold()
    const answers = [runner.advance(RUN, reported(0))]
    for (const index of [1, 2]) {
      await clock.advance(10)
      answers.push(runner.advance(RUN, reported(index)))
    }
    await clock.advance(1000)
    const late = runner.advance(RUN, { kind: 'left', round: 1, node: node(2), reason: 'link-lost' })
    log.release()
    expect((await Promise.all(answers)).map(refusalOf)).toEqual([null, null, null])
    expect(refusalOf(await late)).toBe('wrong-phase')
    expect(runner.run(RUN)?.round).toMatchObject({ phase: 'aggregation', endsAt: 1220 })
    expect(log.appends.at(-1)?.kinds).toEqual(['reported', 'reported'])
    // The aggregation began when the last report came, and has its time from when that is known.
    await clock.advance(199)
    expect(runner.run(RUN)?.round).toMatchObject({ phase: 'aggregation' })
    await clock.advance(1)
    expect(runner.run(RUN)?.past[0]?.reason).toMatch('aggregation')
  })

  test('a push that fails takes nothing back, and is made again', async () => {
    const timing = { ...specOf().timing, aggregationMillis: 60_000 }
    const { runner, pushed, clock, faults, away } = await opened(openMemoryLog(), specOf({ timing }))
    const end = new AbortController()
    const patrolling = patrol(
      { runner, log: openMemoryLog(), clock, failed: (cause) => faults.push(cause) },
      end.signal,
    )
    await Promise.all([0, 1, 2].map((index) => runner.advance(RUN, joined(index))))
    away.queue = true
    const answers = await Promise.all([0, 1, 2].map((index) => runner.advance(RUN, reported(index))))
    expect(answers.map(refusalOf)).toEqual([null, null, null])
    expect([pushed.at(-1), faults.length]).toEqual(['1-0 open', 1])
    away.queue = false
    await clock.advance(10_000)
    expect(pushed.at(-1)).toBe('8-0 aggregate')
    end.abort()
    await patrolling
  })

  test('a paused run is paused after a restart, owes nothing, and goes on when it is resumed', async () => {
    const shared = openMemoryLog()
    const { runner, clock } = await opened(shared, specOf({ failuresMax: 1, onFailures: 'pause' }))
    await clock.advance(100)
    expect(refusalOf(await runner.advance(RUN, { kind: 'recounted', round: 1, record: cid('record') }))).toBeNull()
    const pushed: Job[] = []
    const queue: Queue<Job> = {
      push: async (_, job) => void pushed.push(job),
      work: () => ({ async [Symbol.asyncDispose]() {} }),
    }
    const second = new Runner({ log: shared, queue, clock, snapshots: openMemorySnapshots() }, () => undefined)
    await second.recover()
    expect([second.run(RUN)?.phase, pushed]).toEqual(['paused', []])
    await clock.advance(1_000_000)
    expect(second.run(RUN)?.phase).toBe('paused')
    expect(refusalOf(await second.advance(RUN, { kind: 'resumed' }))).toBeNull()
    expect(pushed).toEqual([{ run: RUN, owed: { kind: 'open', round: 2 } }])
  })

  test('a log that reports a conflict and shows no entry is a fault, not a loop', async () => {
    const memory = openMemoryLog()
    let torn = false
    const restored: EventLog = { ...memory, append: async (...args) => (torn ? 'conflict' : memory.append(...args)) }
    const { runner } = await opened(restored)
    torn = true
    await expect(runner.advance(RUN, joined(0))).rejects.toThrow('conflict')
  })
})
