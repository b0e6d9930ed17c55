import { describe, expect, test } from '@jest/globals'
import * as fc from 'fast-check'
import {
  decodeEvent,
  encodeEvent,
  failure,
  nextDeadline,
  type Obligation,
  obligations,
  type Run,
  type RunEvent,
  type RunSpec,
  seedOf,
  stepRun,
} from '#coordinator/run.ts'
import { askSeed } from '#protocol/seeds.ts'
import { cid, EVALUATION, happens, maskedSpecOf, specOf } from './fixture.ts'
import {
  accepted,
  acts,
  askSpecs,
  eventOf,
  maskedSpecs,
  moveOn,
  plainSpecs,
  stamp,
  started,
  until,
} from './histories.ts'

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
const joins = (round: number): Said[] => [0, 1, 2].map((index) => ({ ...happens.join(index), round }))
const reports = (round: number): Said[] => [0, 1, 2].map((index) => ({ ...happens.report(index), round }))
const aggregated = (round: number): Said => ({
  ...{ ...happens.aggregate(3), kind: 'aggregated', memory: cid('memory'), evaluation: EVALUATION, reports: 3 },
  ...{ round, manifest: cid(`manifest ${round}`), model: cid(`model ${round}`) },
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

const ASK = {
  ...maskedSpecOf(3),
  purpose: 'ask',
  planned: 1,
  budget: 0n,
  genesis: cid('task'),
  failuresMax: 3,
} as const
/** A question's round, by everybody, and the sum of it. */
const answered = (run: Run, round: number): Run => {
  const summed = until(
    accepted(run, { kind: 'opened', at: run.at, round, plan: cid(`plan ${round}`), invited: 3 }),
    'settlement',
  )
  return accepted(summed, { kind: 'settled', at: summed.at, round, receipts: null })
}

describe('a run that asks', () => {
  test('is over when a round closes: nobody is paid, nothing is evaluated, and its question stands in for a model', () => {
    const run = answered(started(ASK), 1)
    expect(run).toMatchObject({ phase: 'finishing', model: cid('task'), evaluation: null, owing: [] })
    expect(run.past).toMatchObject([{ purpose: 'ask', manifest: cid('manifest 1'), receipts: null }])
    expect([obligations(run), failure(run)]).toEqual([[{ kind: 'finish' }], null])
  })

  test('asks again after a round that came to nothing, owing nothing for it', () => {
    const run = empty(started(ASK), 1)
    expect(obligations(run)).toEqual([{ kind: 'open', round: 2 }])
    expect(answered(run, 2)).toMatchObject({ phase: 'finishing', parent: cid('manifest 2') })
  })

  test('fails after as many such rounds as it was given', () => {
    const run = [1, 2, 3].reduce(empty, started(ASK))
    expect([run.phase, obligations(run)]).toEqual(['finishing', [{ kind: 'finish' }]])
    expect(failure(run)).toMatch(/^3 rounds in a row were aborted/)
  })

  test('draws its cohort by the one seed of all questions, whatever the round', () => {
    const run = started({ ...ASK, taskSeed: askSeed() })
    expect([seedOf(run, 1), seedOf(run, 2)]).toEqual([askSeed(), askSeed()])
  })
})

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

describe.each([
  ['plain', plainSpecs],
  ['masked', maskedSpecs],
  ['asking', askSpecs],
])('whatever comes, in whatever order, a %s run', (_, specs) => {
  const histories = (maxLength: number) => fc.tuple(specs, fc.array(acts, { maxLength, size: 'max' }))

  test('never breaks an invariant, and a refused event changes nothing', () => {
    fc.assert(
      fc.property(histories(120), ([spec, history]) => {
        let run = started(spec)
        let text = textOf(run)
        for (const act of history) {
          const next = stepRun(run, eventOf(run, act))
          expect(textOf(run)).toBe(text)
          if (!next.ok) continue
          run = next.value
          text = textOf(run)
        }
      }),
      { numRuns: 300 },
    )
  })

  test('is the same when the log as it is stored is replayed', () => {
    fc.assert(
      fc.property(histories(120), ([spec, history]) => {
        let live = started(spec)
        const log: Uint8Array[] = []
        for (const act of history) {
          const event = eventOf(live, act)
          const next = stepRun(live, event)
          if (!next.ok) continue
          log.push(encodeEvent(event))
          live = next.value
        }
        const replayed = log.reduce<Run>((run, entry) => accepted(run, decodeEvent(entry)), started(spec))
        expect(replayed).toEqual(live)
        expect(obligations(replayed)).toEqual(obligations(live))
      }),
      { numRuns: 100 },
    )
  })

  test('ends from any state: what is owed is answered, time passes, nobody else says a word', () => {
    fc.assert(
      fc.property(histories(120), ([spec, history]) => {
        let run = history.reduce((state, act) => stepOr(state, eventOf(state, act)), started(spec))
        for (let step = 0; run.phase !== 'ended'; step++) {
          if (step > 100) throw new Error(`stuck in ${run.phase} ${run.round?.phase}`)
          run = moveOn(run)
        }
      }),
      { numRuns: 200 },
    )
  })

  test('has every round over by its last deadline, also when nobody does what is owed', () => {
    fc.assert(
      fc.property(histories(120), ([spec, history]) => {
        let run = started(spec)
        const check = () => {
          if (run.round) expect(nextDeadline(run)).toBeLessThanOrEqual(run.round.openedAt + longest(spec))
        }
        for (const act of history) {
          const event = eventOf(run, act)
          // A clock that works: whatever is due by then has been ticked.
          for (let due = nextDeadline(run); due !== undefined && due <= event.at; due = nextDeadline(run)) {
            run = accepted(run, stamp(run, happens.tick(), { at: due }))
            check()
          }
          run = stepOr(run, event)
          check()
        }
        for (let due = nextDeadline(run); due !== undefined; due = nextDeadline(run)) {
          expect(due).toBeGreaterThan(run.at)
          run = accepted(run, stamp(run, happens.tick(), { at: due }))
          check()
        }
        expect(run.round).toBeUndefined()
      }),
      { numRuns: 200 },
    )
  })

  test('owes each thing once, one thing a round, and says when a round is over why it came to nothing', () => {
    fc.assert(
      fc.property(histories(120), ([spec, history]) => {
        let run = started(spec)
        const answered = new Set<string>()
        for (const act of history) {
          const before = obligations(run)
          run = stepOr(run, eventOf(run, act))
          const owed = obligations(run).map(nameOf)
          for (const one of before.map(nameOf)) if (!owed.includes(one)) answered.add(one)
          for (const one of owed) expect(answered).not.toContain(one)
          const open = run.round?.round
          expect(obligations(run).filter((one) => 'round' in one && one.round === open).length).toBeLessThanOrEqual(1)
        }
        for (const { manifest, reason } of run.past) expect(manifest ? [null] : REASONS).toContain(reason)
      }),
      { numRuns: 200 },
    )
  })
})

/** Every way in which a round may come to nothing; `spoiled` brings its own. */
const REASONS = [
  ...['too-few-nodes', 'too-few-members', 'thresholds-out-of-order', 'enrolling-late', 'too-few-keys', 'sharing-late'],
  ...['judging-late', 'keys-late', 'too-few-reports', 'too-few-confirmations', 'certificate-late', 'too-few-shares'],
  ...['aggregation-late', 'sum-bad-header'],
]

const nameOf = (owed: Obligation) => ('round' in owed ? `${owed.kind} ${owed.round}` : owed.kind)
const textOf = (run: Run) => JSON.stringify(run, (_, value) => (typeof value === 'bigint' ? String(value) : value))

function stepOr(run: Run, event: RunEvent): Run {
  const next = stepRun(run, event)
  return next.ok ? next.value : run
}

/** The longest that a round can take: what its phases may, one after another. */
function longest({ timing }: RunSpec): number {
  const { selectionMillis, keysMillis, reportingMillis, consistencyMillis, unmaskingMillis } = timing
  const { aggregationMillis, settlementMillis } = timing
  // Dealing, U2, agreeing and the second U2 each have their time; inputs are due when two of these and training are over.
  const inputs = Math.max(4 * keysMillis, 2 * keysMillis + reportingMillis)
  const sums = 2 * unmaskingMillis + aggregationMillis + settlementMillis
  return selectionMillis + inputs + consistencyMillis + sums
}
