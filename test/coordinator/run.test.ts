import { describe, expect, test } from '@jest/globals'
import { obligations } from '#coordinator/obligations.ts'
import { outcomeOf, pauseOf } from '#coordinator/outcome.ts'
import { nextDeadline, partOf, purposeOf, type Run, seedOf, stepRun } from '#coordinator/run.ts'
import type { RunEvent } from '#coordinator/run-events.ts'
import { ROUNDS_MAX } from '#protocol/limits.ts'
import { askSeed } from '#protocol/seeds.ts'
import { cid, EVALUATION, happens, maskedSpecOf, specOf } from './fixture.ts'
import { accepted, started, until } from './histories.ts'

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
const recounted = (round: number): Said => ({ kind: 'recounted', round, record: cid(`record ${round}`) })
/** Nobody joins, and that is put down. */
const unrecorded = (run: Run, round: number): Run => {
  const open = play(run, opened(round))
  return play(open, { kind: 'ticked', round, at: nextDeadline(open) ?? 0 })
}
const empty = (run: Run, round: number): Run => play(unrecorded(run, round), recounted(round))
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
    expect([obligations(run), outcomeOf(run)]).toEqual([[{ kind: 'finish' }], { outcome: 'completed', reason: null }])
  })

  test('asks again after a round that came to nothing, owing nothing for it', () => {
    const run = empty(started(ASK), 1)
    expect(obligations(run)).toEqual([{ kind: 'open', round: 2 }])
    expect(answered(run, 2)).toMatchObject({ phase: 'finishing', parent: cid('manifest 2') })
  })

  test('fails after as many such rounds as it was given', () => {
    const run = [1, 2, 3].reduce(empty, started(ASK))
    expect([run.phase, obligations(run)]).toEqual(['finishing', [{ kind: 'finish' }]])
    expect(outcomeOf(run)).toEqual({ outcome: 'failed', reason: expect.stringMatching(/^3 rounds in a row were/) })
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

  test('a round that came to nothing is put down, and tried again under the next number from the same model', () => {
    const run = unrecorded(play(undefined, created(), { kind: 'held' }, ...whole(1)), 2)
    expect(run).toMatchObject({ phase: 'running', model: cid('model 1'), parent: cid('manifest 1'), trained: 1 })
    expect(obligations(run)).toEqual([{ kind: 'recount', round: 2 }])
    expect(stepRun(run, { ...opened(3), at: run.at } as RunEvent)).toMatchObject({ refusal: 'not-owed' })
    const recorded = play(run, recounted(2))
    expect(recorded.past[1]).toMatchObject({ manifest: null, aborted: cid('record 2'), reason: 'too-few-nodes' })
    expect(obligations(recorded)).toEqual([{ kind: 'open', round: 3 }])
    expect(stepRun(recorded, { ...recounted(2), at: run.at } as RunEvent)).toMatchObject({ refusal: 'not-owed' })
    expect(purposeOf(recorded)).toBe('train')
  })

  test('trains until the planned rounds have closed, however many did not, and each has the part of its place', () => {
    let run = play(undefined, created({ planned: 2 }), { kind: 'held' })
    for (const round of [1, 2, 3, 4, 5, 6]) run = round % 2 ? empty(run, round) : play(run, ...whole(round))
    expect(run.past.map(({ purpose }) => purpose)).toEqual(['train', 'train', 'train', 'train', 'evaluate', 'evaluate'])
    expect([run.phase, run.trained, run.failures]).toEqual(['finishing', 2, 0])
    expect([partOf(run, 2), partOf(run, 4)]).toEqual([1, 2])
    expect(outcomeOf(run)).toEqual({ outcome: 'completed', reason: null })
  })

  test('gives up after so many aborted rounds in a row, with the reason', () => {
    const run = empty(empty(play(undefined, created(), { kind: 'held' }), 1), 2)
    expect(run.phase).toBe('finishing')
    const reason = '2 rounds in a row were aborted, the last one: too-few-nodes'
    expect(outcomeOf(run)).toEqual({ outcome: 'failed', reason })
    expect(obligations(run)).toEqual([{ kind: 'finish' }])
  })

  test('has no more rounds than a record can list, however often it is resumed', () => {
    let run = play(undefined, created({ planned: ROUNDS_MAX - 1, onFailures: 'pause', failuresMax: 3 }), {
      kind: 'held',
    })
    for (let round = 1; run.phase !== 'finishing'; round++) {
      if (run.phase === 'paused') run = play(run, { kind: 'resumed' })
      run = empty(run, round)
    }
    expect(run.past).toHaveLength(ROUNDS_MAX)
    expect(outcomeOf(run)).toEqual({ outcome: 'failed', reason: 'too-many-rounds: a run has at most 4096' })
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
    for (const event of [
      opened(2),
      { kind: 'held' },
      finished,
      recounted(1),
      settled(1),
      { kind: 'resumed' },
    ] as Said[])
      expect(stepRun(run, { at: 0, ...event } as RunEvent).ok).toBe(false)
  })
})

describe('a run that may be paused', () => {
  const pausable = (change = {}) => play(undefined, created({ onFailures: 'pause', ...change }), { kind: 'held' })
  const paused = () => empty(empty(pausable(), 1), 2)

  test('waits after so many aborted rounds in a row, owing nothing, with the reason', () => {
    const run = paused()
    expect([run.phase, obligations(run), nextDeadline(run)]).toEqual(['paused', [], undefined])
    expect(pauseOf(run)).toBe('2 rounds in a row were aborted, the last one: too-few-nodes')
    for (const event of [opened(3), finished, { kind: 'held' }, recounted(2)] as Said[])
      expect(stepRun(run, { at: run.at, ...event } as RunEvent)).toMatchObject({ refusal: 'not-owed' })
  })

  test('goes on when it is resumed, with its failures counted anew', () => {
    const run = play(paused(), { kind: 'resumed' })
    expect([run.phase, run.failures, pauseOf(run)]).toEqual(['running', 0, null])
    expect(obligations(run)).toEqual([{ kind: 'open', round: 3 }])
    expect(empty(run, 3)).toMatchObject({ phase: 'running', failures: 1 })
    expect(empty(empty(run, 3), 4)).toMatchObject({ phase: 'paused' })
    expect(stepRun(run, { kind: 'resumed', at: run.at })).toMatchObject({ refusal: 'not-paused' })
  })

  test('counts failures in a row: a round that closes starts the count anew', () => {
    const run = empty(play(empty(pausable(), 1), ...whole(2)), 3)
    expect([run.phase, run.failures, run.trained]).toEqual(['running', 1, 1])
  })

  test('tests its model until a round does, or it is paused', () => {
    const trained = play(pausable({ planned: 1 }), ...whole(1))
    const run = empty(empty(trained, 2), 3)
    expect([run.phase, run.past.at(-1)?.purpose]).toEqual(['paused', 'evaluate'])
    expect(play(run, { kind: 'resumed' }, ...whole(4))).toMatchObject({ phase: 'finishing', evaluation: EVALUATION })
  })

  test('pays while it is paused what is overdue, and owes nothing else', () => {
    const summed = play(pausable(), ...whole(1).slice(0, -1))
    const overdue = play(summed, { kind: 'ticked', round: 1, at: nextDeadline(summed) ?? 0 })
    const run = empty(empty(overdue, 2), 3)
    expect([run.phase, obligations(run)]).toEqual(['paused', [{ kind: 'settle', round: 1 }]])
    expect(obligations(play(run, settled(1)))).toEqual([])
    expect(play(run, settled(1)).phase).toBe('paused')
  })
})

describe('a run that its owner stops', () => {
  const stopped: Said = { kind: 'stopped', reason: 'enough' }
  const running = (spec = specOf()) => play(undefined, { kind: 'created', spec }, { kind: 'held' })
  const stop = (run: Run) => play(run, stopped)

  test('is over at once where no round is open, and is not what it would have been', () => {
    const run = stop(running())
    expect([run.phase, outcomeOf(run)]).toEqual(['finishing', { outcome: 'stopped', reason: 'enough' }])
    expect(stop(empty(empty(running(specOf({ onFailures: 'pause' })), 1), 2)).phase).toBe('finishing')
  })

  test('reserves its budget first, so that there is one to give back', () => {
    const run = stop(play(undefined, created()))
    expect(obligations(run)).toEqual([{ kind: 'hold' }])
    expect(obligations(play(run, { kind: 'held' }))).toEqual([{ kind: 'finish' }])
  })

  test.each([
    ['selection', 'aborted'],
    ['reporting', 'aborted'],
    ['aggregation', 'aggregation'],
    ['settlement', 'settlement'],
  ])('in plain %s leads to %s', (from, to) => {
    const run = stop(until(running(), from))
    const phases = [run.round?.phase ?? run.unrecorded?.phase, run.unrecorded?.reason ?? null, run.unrecorded?.endedIn]
    expect(phases).toEqual(to === 'aborted' ? [to, 'run-stopped', from] : [to, null, undefined])
  })

  test.each([
    ...['enrolling', 'dealing', 'sharing', 'agreeing'].map((step) => [step, 'aborted', 'keys']),
    ['reporting', 'abandonment', 'reporting'],
    ['consistency', 'abandonment', 'consistency'],
    ['confirming', 'abandonment', 'consistency'],
    // After a certificate there is nothing to abandon: it is what members are shown.
    ['unmasking', 'aborted', 'unmasking'],
    ['aggregation', 'aggregation', undefined],
    ['settlement', 'settlement', undefined],
  ])('in masked %s leads to %s', (from, to, endedIn) => {
    const run = stop(until(running(maskedSpecOf(4)), from))
    expect(run.round?.phase ?? run.unrecorded?.phase).toBe(to)
    if (to === 'abandonment') expect(run.round).toMatchObject({ reason: 'run-stopped', endedIn })
    if (to === 'aborted') expect(run.unrecorded).toMatchObject({ reason: 'run-stopped', endedIn })
  })

  test('finishes the round whose sum is being made, and pays it', () => {
    const run = play(stop(until(running(), 'aggregation')), aggregated(1), settled(1))
    expect(run).toMatchObject({ phase: 'finishing', trained: 1, model: cid('model 1') })
    expect(outcomeOf(run)).toEqual({ outcome: 'stopped', reason: 'enough' })
  })

  test('is completed all the same where that round was the last', () => {
    const last = until(play(running(specOf({ planned: 1 })), ...whole(1)), 'settlement')
    expect(outcomeOf(play(stop(last), settled(2)))).toEqual({ outcome: 'completed', reason: null })
  })

  test('is stopped once', () => {
    const run = stop(until(running(), 'settlement'))
    expect(stepRun(run, { kind: 'stopped', reason: 'again', at: run.at })).toMatchObject({ refusal: 'run-stopped' })
    const over = stop(running())
    expect(stepRun(over, { kind: 'stopped', reason: 'again', at: over.at })).toMatchObject({ refusal: 'run-ended' })
    expect(stepRun(over, { kind: 'resumed', at: over.at })).toMatchObject({ refusal: 'not-paused' })
  })
})
