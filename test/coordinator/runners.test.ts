import { describe, expect, test } from '@jest/globals'
import { type Run, stepRun } from '#coordinator/run.ts'
import { decodeEvent, encodeEvent } from '#coordinator/run-events.ts'
import type { RunSpec } from '#coordinator/run-spec.ts'
import { cohortOf } from '#test/cohort.ts'
import { maskedSpecOf, RUN, specOf } from './fixture.ts'
import { type Blow, openShared, Process, play, type Shared } from './processes.ts'

const HOUR = 3_600_000
/** So long that no deadline helps: what is not done by somebody is not done. */
const patient = {
  ...{ selectionMillis: HOUR, keysMillis: HOUR, reportingMillis: HOUR, consistencyMillis: HOUR },
  ...{ unmaskingMillis: HOUR, aggregationMillis: HOUR, settlementMillis: HOUR },
  ...{ stragglerMillis: null, learned: false },
}
const plain = specOf({ timing: patient, cohort: cohortOf({ min: 3, max: 3, quorum: 2 }), planned: 1 })
const masked = maskedSpecOf(3, 1, { timing: patient, planned: 1 })

async function replayed({ log }: Shared): Promise<{ readonly run: Run | undefined; readonly kinds: string[] }> {
  let run: Run | undefined
  const kinds: string[] = []
  for await (const entry of log.read(RUN)) {
    const event = decodeEvent(entry)
    const next = stepRun(run, event)
    if (!next.ok) throw new Error(`replay refuses ${event.kind}: ${next.refusal}`)
    run = next.value
    kinds.push(`${event.kind}${'round' in event ? ` ${event.round}` : ''}${'node' in event ? ` ${event.node}` : ''}`)
  }
  return { run, kinds }
}

/** Two processes, one of which may be struck. @returns what both of them have in common in the end */
async function twoPlay(spec: RunSpec, blow?: Blow) {
  const shared = openShared()
  const first = await new Process(shared, blow).start()
  const second = await new Process(shared).start()
  const millis = await play(shared, [first, second], spec)
  // Whoever lags has heard of the end by now.
  await shared.clock.advance(10)
  const { run, kinds } = await replayed(shared)
  for (const { told, runner, isDead } of [first, second]) {
    expect(told.map(({ position }) => position)).toEqual(told.map((_, index) => index))
    if (!isDead) expect([runner.run(RUN), told.length]).toEqual([run, kinds.length])
  }
  first.die()
  second.die()
  return { millis, run, kinds, counts: first.counts, died: first.isDead }
}

describe('two runners over one log', () => {
  test.each([
    ['plain', plain],
    ['masked', masked],
  ])('have one history, which each is told of once and in order: a %s run', async (_name, spec) => {
    const { run, kinds, millis } = await twoPlay(spec)
    expect(run).toMatchObject({ phase: 'ended' })
    expect(new Set(kinds).size).toBe(kinds.length)
    expect(millis).toBeLessThan(2000)
  })

  test.each([
    ['plain', plain, 1],
    ['masked', masked, 3],
  ])('lose nothing and repeat nothing, wherever one of them dies: a %s run', async (_name, spec, stride) => {
    const calm = await twoPlay(spec)
    const sorted = calm.kinds.toSorted()
    let blows = 0
    // As far as the one that is struck comes; it appends about half of all there is.
    for (const at of ['append', 'push'] as const)
      for (const when of ['before', 'after'] as const)
        for (let n = 1; ; n += stride) {
          const { run, kinds, millis, counts } = await twoPlay(spec, { at, n, when })
          if (counts[at] < n) break
          blows++
          expect(run).toMatchObject({ phase: 'ended' })
          expect(kinds.toSorted()).toEqual(sorted)
          // What the dead one owed is taken up within two rounds of the patrol.
          expect({ at, when, n, late: millis > 7000 }).toEqual({ at, when, n, late: false })
        }
    expect(blows).toBeGreaterThan(20)
  })

  test('push one job under one name, whoever pushes it', async () => {
    const shared = openShared()
    const names = new Set<string>()
    const recording: Shared = {
      ...shared,
      queue: { ...shared.queue, push: (id, job) => shared.queue.push(names.add(id) && id, job) },
    }
    const processes = [await new Process(recording).start(), await new Process(recording).start()]
    await play(recording, processes, plain)
    const late = await new Process(recording).start()
    await shared.clock.advance(60_000)
    for (const process of [...processes, late]) process.die()
    expect([...names].map((name) => name.slice(RUN.length + 1))).toHaveLength(names.size)
    const { kinds } = await replayed(shared)
    // One for each answer that the world gave.
    const answers = kinds.filter((kind) => /^(held|opened|aggregated|settled|released|finished)/.test(kind))
    expect(names.size).toBe(answers.length)
  })

  test('a job about what has not been read yet is done all the same', async () => {
    const shared = openShared()
    const deaf: Shared = { ...shared, log: { ...shared.log, news: async function* () {} } }
    const worker = await new Process(deaf).start()
    const event = { kind: 'created', at: shared.clock.now(), spec: plain } as const
    expect(await shared.log.append(RUN, 0, [encodeEvent(event)])).toBe('appended')
    expect(worker.runner.run(RUN)).toBeUndefined()
    await shared.queue.push(`${RUN}-0-0`, { run: RUN, owed: { kind: 'hold' } })
    await shared.clock.advance(1)
    expect(worker.runner.run(RUN)).toMatchObject({ phase: 'running' })
    worker.die()
  })
})
