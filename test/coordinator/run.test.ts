import { describe, expect, test } from '@jest/globals'
import * as fc from 'fast-check'
import {
  decodeEvent,
  encodeEvent,
  failure,
  nextDeadline,
  obligations,
  type Run,
  type RunEvent,
  stepRun,
} from '#coordinator/run.ts'
import type { Cid } from '#protocol/ids.ts'
import { cid, EVALUATION, NODES, node, specOf } from './fixture.ts'

type Said = RunEvent extends infer E ? (E extends RunEvent ? Omit<E, 'at'> & { at?: number } : never) : never

function play(run: Run | undefined, ...events: readonly Said[]): Run {
  const end = events.reduce<Run | undefined>((state, event) => {
    const next = stepRun(state, { at: state?.at ?? 0, ...event } as RunEvent)
    if (!next.ok) throw new Error(`${event.kind} was refused: ${next.refusal}`)
    return next.value
  }, run)
  if (!end) throw new Error('nothing was played')
  return end
}

const created = (change = {}): Said => ({ kind: 'created', spec: specOf(change) })
const opened = (round: number): Said => ({ kind: 'opened', round, plan: cid(`plan ${round}`), invited: 3 })
const joins = (round: number): Said[] => [0, 1, 2].map((index) => ({ kind: 'joined', round, node: node(index) }))
const reports = (round: number): Said[] =>
  [0, 1, 2].map((index) => ({
    kind: 'reported',
    round,
    node: node(index),
    update: cid(`${round} ${index}`),
    trainMillis: 1,
  }))
const aggregated = (round: number): Said => ({
  kind: 'aggregated',
  round,
  ...{ manifest: cid(`manifest ${round}`), model: cid(`model ${round}`), memory: cid('memory') },
  ...{ evaluation: EVALUATION, reports: 3 },
})
const settled = (round: number): Said => ({ kind: 'settled', round, receipts: cid(`receipts ${round}`) })
const whole = (round: number): Said[] => [
  opened(round),
  ...joins(round),
  ...reports(round),
  aggregated(round),
  settled(round),
]
/** Nobody joins. */
const empty = (run: Run, round: number): Run => {
  const open = play(run, opened(round))
  return play(open, { kind: 'ticked', round, at: nextDeadline(open) ?? 0 })
}
const finished: Said = { kind: 'finished', manifest: cid('run'), paid: 1000n, released: 0n, reason: null }

describe('a run', () => {
  test('trains its rounds, evaluates the last model, and is sealed', () => {
    const run = play(undefined, created(), { kind: 'held' }, ...whole(1), ...whole(2), ...whole(3), ...whole(4))
    expect(run).toMatchObject({
      phase: 'finishing',
      model: cid('model 4'),
      parent: cid('manifest 4'),
      evaluation: EVALUATION,
    })
    expect(run.past.map(({ purpose }) => purpose)).toEqual(['train', 'train', 'train', 'evaluate'])
    expect(obligations(run)).toEqual([{ kind: 'finish' }])
    expect(play(run, finished)).toMatchObject({ phase: 'ended', manifest: cid('run'), paid: 1000n })
  })

  test('owes one thing at a time, each answered by one event', () => {
    const owed = (run: Run) => obligations(run).map((one) => ('round' in one ? `${one.kind} ${one.round}` : one.kind))
    let run = play(undefined, created())
    const seen = [owed(run)]
    for (const event of [{ kind: 'held' } as const, ...whole(1)]) {
      run = play(run, event as Said)
      seen.push(owed(run))
    }
    expect(seen).toEqual([['hold'], ['open 1'], ...Array(6).fill([]), ['aggregate 1'], ['settle 1'], ['open 2']])
  })

  test('a round that came to nothing gives its part back, and the next starts from the same model', () => {
    const run = empty(play(undefined, created(), { kind: 'held' }, ...whole(1)), 2)
    expect(run).toMatchObject({ phase: 'running', model: cid('model 1'), parent: cid('manifest 1') })
    expect(obligations(run)).toEqual([
      { kind: 'release', round: 2 },
      { kind: 'open', round: 3 },
    ])
    expect(obligations(play(run, { kind: 'released', round: 2 }))).toEqual([{ kind: 'open', round: 3 }])
    expect(
      stepRun(play(run, { kind: 'released', round: 2 }), { kind: 'released', round: 2, at: run.at }),
    ).toMatchObject({
      ok: false,
      refusal: 'not-owed',
    })
  })

  test('gives up after so many aborted rounds in a row, with the reason', () => {
    const run = empty(empty(play(undefined, created(), { kind: 'held' }), 1), 2)
    expect(run.phase).toBe('finishing')
    expect(failure(run)).toBe('2 rounds in a row were aborted, the last one: too-few-nodes')
    expect(obligations(run).map(({ kind }) => kind)).toEqual(['release', 'release'])
    const released = play(run, { kind: 'released', round: 1 }, { kind: 'released', round: 2 })
    expect(obligations(released)).toEqual([{ kind: 'finish' }])
  })

  test('an overdue settlement holds the record, not the training', () => {
    const summed = play(undefined, created({ planned: 1 }), { kind: 'held' }, ...whole(1).slice(0, -1))
    const overdue = play(summed, { kind: 'ticked', round: 1, at: nextDeadline(summed) ?? 0 })
    expect(obligations(overdue)).toEqual([
      { kind: 'settle', round: 1 },
      { kind: 'open', round: 2 },
    ])
    const evaluated = play(overdue, ...whole(2))
    expect(obligations(evaluated)).toEqual([{ kind: 'settle', round: 1 }])
    expect(obligations(play(evaluated, settled(1)))).toEqual([{ kind: 'finish' }])
  })

  test('refuses what it does not owe: a round out of turn, a second hold, a record too early', () => {
    const run = play(undefined, created(), { kind: 'held' })
    for (const event of [opened(2), { kind: 'held' }, finished, { kind: 'released', round: 1 }, settled(1)] as Said[])
      expect(stepRun(run, { at: 0, ...event } as RunEvent).ok).toBe(false)
  })
})

/** Any event, most of them about the open round, at any later time. */
const anyEvent = fc.record({
  kind: fc.constantFrom(
    'opened',
    'joined',
    'declined',
    'reported',
    'left',
    'ticked',
    'ticked',
    'aggregated',
    'spoiled',
    'settled',
    'released',
    'finished',
    'held',
  ),
  skew: fc.constantFrom(0, 0, 0, 0, -1, 1),
  node: fc.nat(5),
  wait: fc.constantFrom(0, 1, 5, 120, 1100),
})

function eventFor(run: Run, any: { kind: string; skew: number; node: number; wait: number }): RunEvent {
  const round = Math.max(1, (run.round?.round ?? run.past.length + 1) + any.skew)
  const all = {
    ...{
      at: run.at + any.wait,
      round,
      node: NODES[any.node],
      reason: 'why',
      update: cid(`${round} ${any.node}`),
      trainMillis: 1,
    },
    ...{ plan: cid(`plan ${round}`), invited: 4, manifest: cid(`manifest ${round}`), model: cid(`model ${round}`) },
    ...{
      memory: cid('memory'),
      evaluation: EVALUATION,
      reports: 3,
      receipts: cid(`receipts ${round}`) as Cid | null,
      paid: 0n,
      released: 0n,
    },
  }
  const fields: Record<string, readonly string[]> = {
    held: [],
    opened: ['round', 'plan', 'invited'],
    joined: ['round', 'node'],
    declined: ['round', 'node', 'reason'],
    left: ['round', 'node', 'reason'],
    reported: ['round', 'node', 'update', 'trainMillis'],
    ticked: ['round'],
    aggregated: ['round', 'manifest', 'model', 'memory', 'evaluation', 'reports'],
    spoiled: ['round', 'reason'],
    settled: ['round', 'receipts'],
    released: ['round'],
    finished: ['manifest', 'paid', 'released', 'reason'],
  }
  const picked = (fields[any.kind] ?? []).map((name) => [name, all[name as keyof typeof all]])
  return { kind: any.kind, at: all.at, ...Object.fromEntries(picked) } as RunEvent
}

describe('whatever comes, in whatever order', () => {
  const start = play(undefined, created(), { kind: 'held' })

  test('the run never breaks an invariant, and a refused event changes nothing', () => {
    fc.assert(
      fc.property(fc.array(anyEvent, { maxLength: 120 }), (events) => {
        let run = start
        for (const any of events) {
          const before = JSON.stringify(run, (_, value) => (typeof value === 'bigint' ? String(value) : value))
          const next = stepRun(run, eventFor(run, any))
          expect(JSON.stringify(run, (_, value) => (typeof value === 'bigint' ? String(value) : value))).toBe(before)
          if (next.ok) run = next.value
        }
      }),
      { numRuns: 300 },
    )
  })

  test('replay of the log as it is stored equals the live state', () => {
    fc.assert(
      fc.property(fc.array(anyEvent, { maxLength: 80 }), (events) => {
        let live = start
        const log: Uint8Array[] = []
        for (const any of events) {
          const event = eventFor(live, any)
          const next = stepRun(live, event)
          if (!next.ok) continue
          log.push(encodeEvent(event))
          live = next.value
        }
        const replayed = log.reduce<Run>((run, entry) => {
          const next = stepRun(run, decodeEvent(entry))
          if (!next.ok) throw new Error(next.refusal)
          return next.value
        }, start)
        expect(replayed).toEqual(live)
        expect(obligations(replayed)).toEqual(obligations(live))
      }),
      { numRuns: 100 },
    )
  })

  test('every round ends by its last deadline: ticking and answering what is owed ends the run from any state', () => {
    fc.assert(
      fc.property(fc.array(anyEvent, { maxLength: 60 }), (events) => {
        let run = start
        for (const any of events) {
          const next = stepRun(run, eventFor(run, any))
          if (next.ok) run = next.value
        }
        for (let step = 0; run.phase !== 'ended'; step++) {
          if (step > 100) throw new Error(`stuck in ${run.phase} ${run.round?.phase}`)
          const owed = obligations(run)[0]
          const deadline = nextDeadline(run)
          const answers = {
            hold: 'held',
            open: 'opened',
            aggregate: 'aggregated',
            settle: 'settled',
            release: 'released',
            finish: 'finished',
          }
          const base = { skew: 0, node: 0, wait: 0 }
          let event = owed ? eventFor(run, { ...base, kind: answers[owed.kind] }) : undefined
          if (event && owed && 'round' in owed) event = { ...event, round: owed.round } as RunEvent
          if (!event)
            event = { ...eventFor(run, { ...base, kind: 'ticked' }), at: Math.max(run.at, deadline ?? 0) } as RunEvent
          const next = stepRun(run, event)
          if (!next.ok) throw new Error(`${event.kind}: ${next.refusal}`)
          run = next.value
        }
      }),
      { numRuns: 200 },
    )
  })
})
