import { describe, expect, test } from '@jest/globals'
import * as fc from 'fast-check'
import { type Standing, standingAfter } from '#coordinator/live.ts'
import { obligations } from '#coordinator/obligations.ts'
import { nextDeadline, type Run, stepRun } from '#coordinator/run.ts'
import type { RunEvent } from '#coordinator/run-events.ts'
import { type Advanced, type Job, Runner } from '#coordinator/runner.ts'
import { decodeStanding, encodeStanding, SNAPSHOT_FORMAT } from '#coordinator/snapshot.ts'
import { sha256 } from '#crypto'
import { toHex, utf8 } from '#protocol/bytes.ts'
import { isBytes } from '#protocol/codec.ts'
import type { Queue, Snapshots } from '#protocol/ports.ts'
import { virtualClock } from '#sim/virtual-clock.ts'
import { openMemoryLog } from '#storage/logs/memory.ts'
import { openMemorySnapshots } from '#storage/snapshots/memory.ts'
import { cohortOf } from '#test/cohort.ts'
import { happens, maskedSpecOf, RUN, specOf } from './fixture.ts'
import {
  accepted,
  acts,
  answerTo,
  askSpecs,
  eventOf,
  maskedSpecs,
  plainSpecs,
  speeches,
  stamp,
  started,
} from './histories.ts'

/** The standing after each event of a history, the one before the first event left out. */
function standings(events: readonly RunEvent[], from?: { readonly standing: Standing; readonly position: number }) {
  let { run, owing } = from?.standing ?? { run: undefined as Run | undefined, owing: [] }
  return events.slice(from?.position ?? 0).map((event, index) => {
    const next = standingAfter(owing, accepted(run, event), (from?.position ?? 0) + index)
    run = next.run
    owing = next.owing
    return next
  })
}

/** A history of this spec: acts as they come, as far as they are accepted. */
function historyOf(
  spec: Parameters<typeof started>[0],
  list: readonly Parameters<typeof eventOf>[1][],
): readonly RunEvent[] {
  const events: RunEvent[] = [
    { kind: 'created', at: 0, spec },
    { kind: 'held', at: 0 },
  ]
  let run = started(spec)
  for (const act of list) {
    const event = eventOf(run, act)
    const next = stepRun(run, event)
    if (!next.ok) continue
    run = next.value
    events.push(event)
  }
  return events
}

const histories = fc
  .tuple(fc.oneof(plainSpecs, maskedSpecs, askSpecs), fc.array(acts, { minLength: 40, maxLength: 200 }))
  .map(([spec, list]) => historyOf(spec, list))

/** A run to its end, everybody doing what is due. */
function calmHistory(spec: Parameters<typeof started>[0]): readonly RunEvent[] {
  const events: RunEvent[] = [{ kind: 'created', at: 0, spec }]
  let run = accepted(undefined, events[0] as RunEvent)
  while (run.phase !== 'ended') {
    const here = run
    const [owed] = obligations(run)
    const next = owed ? [answerTo(run, owed)] : speeches(run).map(({ says }) => stamp(here, says))
    for (const event of next.length > 0 ? next : [stamp(run, happens.tick(), { at: nextDeadline(run) ?? run.at })]) {
      const after = stepRun(run, event)
      if (!after.ok) continue
      run = after.value
      events.push(event)
    }
  }
  return events
}

describe('a snapshot', () => {
  test('and the tail behind it are the whole history, wherever it was made', () => {
    fc.assert(
      fc.property(histories, fc.nat(), (events, pick) => {
        const whole = standings(events)
        const position = 1 + (pick % events.length)
        const bytes = encodeStanding(whole[position - 1] as Standing)
        const standing = bytes && decodeStanding(bytes)
        if (!standing) throw new Error('a standing is read back')
        const tail = standings(events, { standing, position })
        expect([standing, ...tail]).toEqual(whole.slice(position - 1))
        expect(nextDeadline(standing.run)).toBe(nextDeadline((whole[position - 1] as Standing).run))
      }),
      { numRuns: 30 },
    )
  })

  test('of another format, or broken, is as good as none', () => {
    const bytes = encodeStanding(standings(calmHistory(specOf())).at(-1) as Standing)
    if (!bytes) throw new Error('it fits')
    expect(decodeStanding(bytes)).toBeDefined()
    for (const broken of [new Uint8Array(0), bytes.slice(0, 50), utf8('nonsense'), bytes.map((byte) => byte ^ 1)])
      expect(decodeStanding(broken)).toBeUndefined()
  })

  test('has another format when the state has another shape', () => {
    const paths = new Set<string>()
    const specs = [
      specOf(),
      maskedSpecOf(3),
      maskedSpecOf(4, 1, { purpose: 'ask', planned: 1, budget: 0n, genesis: specOf().task }),
    ]
    for (const spec of specs)
      for (const events of [calmHistory(spec), abandonedHistory(spec)])
        for (const { run, owing } of standings(events)) if (!run.round) shapeOf({ run, owing }, '', paths)
    const digest = toHex(sha256(utf8([...paths].sort().join('\n')))).slice(0, 16)
    // Where this fails: raise SNAPSHOT_FORMAT, and put both down here.
    expect([SNAPSHOT_FORMAT, digest]).toEqual([7, '81dc06b10b292ce5'])
  })
})

/** Rounds that come to nothing: everybody joins and does a few things, and then time alone passes. */
function abandonedHistory(spec: Parameters<typeof started>[0]): readonly RunEvent[] {
  const events = [...calmHistory(spec)].slice(0, 14)
  let run = events.reduce<Run | undefined>(accepted, undefined) as Run
  for (let step = 0; run.phase !== 'ended' && step < 200; step++) {
    const before = run
    const [owed] = obligations(before)
    const event = owed
      ? answerTo(before, owed)
      : stamp(before, happens.tick(), { at: nextDeadline(before) ?? before.at })
    run = accepted(run, event)
    events.push(event)
  }
  return events
}

/** Names and kinds of everything in a value; of a list, or what is kept by node, those of whatever is in it. */
function shapeOf(value: unknown, path: string, into: Set<string>): void {
  if (value === null || typeof value !== 'object' || isBytes(value))
    return void into.add(`${path}: ${value === null ? 'null' : typeof value}`)
  const list = Array.isArray(value)
  for (const [name, item] of Object.entries(value))
    shapeOf(item, `${path}.${list || name.startsWith('z6Mk') ? '*' : name}`, into)
}

/** A runner over what is there, which pushes nothing. @returns how many entries of the log it read */
async function restarted(log: ReturnType<typeof openMemoryLog>, snapshots: Snapshots) {
  let read = 0
  const counting: typeof log = {
    ...log,
    async *read(stream, from) {
      for await (const entry of log.read(stream, from)) {
        read++
        yield entry
      }
    },
  }
  const idle: Queue<Job> = { push: async () => undefined, work: () => ({ async [Symbol.asyncDispose]() {} }) }
  const runner = new Runner({ log: counting, queue: idle, clock: virtualClock(0), snapshots }, (cause) => {
    throw cause
  })
  await runner.recover()
  return { runner, recovered: read, read: () => read }
}

describe('a restart', () => {
  const long = specOf({ planned: 30, cohort: cohortOf({ min: 3, max: 3, quorum: 2 }) })

  async function lived() {
    const [log, snapshots] = [openMemoryLog(), openMemorySnapshots()]
    const { runner } = await restarted(log, snapshots)
    const events = calmHistory(long)
    expect((await runner.create(long)).ok).toBe(true)
    for (const event of events.slice(1)) expect((await runner.advance(RUN, event)).ok).toBe(true)
    await runner[Symbol.asyncDispose]()
    return { log, snapshots, run: runner.run(RUN), length: events.length }
  }

  test('reads the snapshot of a run that has ended, and nothing of its log', async () => {
    const { log, snapshots, run, length } = await lived()
    const again = await restarted(log, snapshots)
    expect(length).toBeGreaterThan(260)
    expect([again.recovered, again.runner.run(RUN)]).toEqual([0, run])
    const without = await restarted(log, openMemorySnapshots())
    expect([without.recovered, without.runner.run(RUN)]).toEqual([length, run])
  })

  test('still tells the whole history from any position', async () => {
    const { log, snapshots, length } = await lived()
    const whole = await toldFrom((await restarted(log, openMemorySnapshots())).runner, 0)
    for (const from of [0, 1, 256, length - 1, length]) {
      const { runner } = await restarted(log, snapshots)
      const told = await toldFrom(runner, from)
      expect(told.map(({ position, event }) => [position, event.kind])).toEqual(
        whole.slice(from).map(({ position, event }) => [position, event.kind]),
      )
      expect(told[0]).toEqual(whole[from])
    }
  })
})

async function toldFrom(runner: Runner, from: number): Promise<readonly Advanced[]> {
  const told: Advanced[] = []
  for await (const advanced of runner.follow(RUN, from, new AbortController().signal)) told.push(advanced)
  return told
}
