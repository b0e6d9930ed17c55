import { describe, expect, test } from '@jest/globals'
import * as fc from 'fast-check'
import { type Obligation, obligations } from '#coordinator/obligations.ts'
import { nextDeadline, partOf, type Run, stepRun, tranchesOfRun } from '#coordinator/run.ts'
import { decodeEvent, encodeEvent, type RunEvent } from '#coordinator/run-events.ts'
import type { RunSpec } from '#coordinator/run-spec.ts'
import { roundBudget, totalOf } from '#payments/allocate.ts'
import { happens } from './fixture.ts'
import {
  accepted,
  acts,
  answerTo,
  askSpecs,
  eventOf,
  maskedSpecs,
  moveOn,
  plainSpecs,
  speeches,
  stamp,
  started,
} from './histories.ts'

/** What holds of every run, tried on so many histories for each hundred that it takes to go everywhere. */
export function runProperties(percent: number): void {
  const times = (runs: number) => ({ numRuns: Math.ceil((runs * percent) / 100) })
  describe.each([
    ['plain', plainSpecs],
    ['masked', maskedSpecs],
    ['asking', askSpecs],
  ])('whatever comes, in whatever order, a %s run', (_, specs) => properties(specs, times))
}

function properties(specs: fc.Arbitrary<RunSpec>, times: (runs: number) => { readonly numRuns: number }): void {
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
      times(300),
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
      times(100),
    )
  })

  test('ends or waits for its owner from any state: what is owed is answered, time passes, nobody else says a word', () => {
    fc.assert(
      fc.property(histories(120), ([spec, history]) => {
        let run = history.reduce((state, act) => stepOr(state, eventOf(state, act)), started(spec))
        for (let step = 0; run.phase !== 'ended' && !(run.phase === 'paused' && run.owing.length === 0); step++) {
          if (step > 100) throw new Error(`stuck in ${run.phase} ${run.round?.phase}`)
          run = moveOn(run)
        }
        if (run.phase === 'paused' && run.pausing === null)
          expect([spec.onFailures, run.failures]).toEqual(['pause', spec.failuresMax])
      }),
      times(200),
    )
  })

  test('can be stopped at any point, and is then over by itself, every round of it put down and its money accounted for', () => {
    fc.assert(
      fc.property(histories(120), ([spec, history]) => {
        let run = history.reduce((state, act) => stepOr(state, eventOf(state, act)), started(spec))
        run = stepOr(run, { kind: 'stopped', at: run.at, reason: 'enough' })
        for (let step = 0; run.phase !== 'ended'; step++) {
          if (step > 100) throw new Error(`stuck in ${run.phase} ${run.round?.phase}`)
          run = moveOn(run)
        }
        expect(run.past.every(({ manifest, aborted }) => (manifest === null) !== (aborted === null))).toBe(true)
        const trained = run.past.filter(({ purpose, manifest }) => purpose === 'train' && manifest !== null)
        expect(trained.map(({ round }) => partOf(run, round))).toEqual(trained.map((_, index) => index + 1))
        expect(trained.length).toBeLessThanOrEqual(totalOf({ ...spec, extensions: run.extensions }).rounds)
      }),
      times(100),
    )
  })

  test('counts its failures, and never has more in a row than it may', () => {
    fc.assert(
      fc.property(histories(120), ([spec, history]) => {
        let run = started(spec)
        let failures = 0
        for (const act of history) {
          const event = eventOf(run, act)
          const next = stepRun(run, event)
          if (!next.ok) continue
          if (next.value.past.length > run.past.length) failures = next.value.past.at(-1)?.manifest ? 0 : failures + 1
          if (event.kind === 'resumed') failures = 0
          run = next.value
          expect(run.failures).toBe(failures)
          expect(failures).toBeLessThanOrEqual(spec.failuresMax)
          if (run.phase === 'paused') expect(run.round ?? run.unrecorded).toBeFalsy()
        }
      }),
      times(100),
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
      times(200),
    )
  })

  test('pays from its order and its extensions exactly, each budget for its own rounds, and opens none that could not be paid', () => {
    fc.assert(
      fc.property(histories(120), ([spec, history]) => {
        let run = started(spec)
        /** Of training rounds that closed: what each paid at the time. */
        const paid: bigint[] = []
        const check = (next: Run) => {
          if (next.trained > run.trained) paid.push(roundBudget(tranchesOfRun(run), next.trained))
          const funded = totalOf({ ...spec, extensions: next.extensions.slice(0, next.held) })
          if (next.round?.purpose === 'train') expect(next.trained).toBeLessThan(funded.rounds)
          run = next
        }
        for (const act of history) check(stepOr(run, eventOf(run, act)))
        for (let step = 0; run.phase !== 'ended'; step++) {
          if (step > 400) throw new Error(`stuck in ${run.phase} ${run.round?.phase}`)
          const isWaiting = run.phase === 'paused' && obligations(run).length === 0
          check(isWaiting ? accepted(run, { kind: 'resumed', at: run.at }) : stepOr(run, calmly(run)))
          if (step > 300) check(stepOr(run, { kind: 'stopped', at: run.at, reason: 'enough' }))
        }
        const total = totalOf({ ...spec, extensions: run.extensions })
        // What a later extension added changed nothing of what was paid before it.
        expect(paid).toEqual(paid.map((_, index) => roundBudget(tranchesOfRun(run), index + 1)))
        const sum = paid.reduce((a, b) => a + b, 0n)
        expect(sum).toBeLessThanOrEqual(total.budget)
        if (paid.length === total.rounds) expect(sum).toBe(total.budget)
        expect(run.held).toBe(run.extensions.length)
        const keys = run.extensions.flatMap(({ once }) => (once ? [once.key.join()] : []))
        expect(new Set(keys).size).toBe(keys.length)
      }),
      times(200),
    )
  })

  test('owes each thing once, one thing a round, and says when a round is over why it came to nothing', () => {
    fc.assert(
      fc.property(histories(120), ([spec, history]) => {
        let run = started(spec)
        const answered = new Set<string>()
        for (const act of history) {
          const before = obligations(run)
          const event = eventOf(run, act)
          run = stepOr(run, event)
          const owed = obligations(run).map(nameOf)
          // What its owner puts off is owed again later.
          const isPutOff = event.kind === 'paused' || event.kind === 'extended'
          for (const one of before.map(nameOf)) if (!owed.includes(one) && !isPutOff) answered.add(one)
          for (const one of owed) expect(answered).not.toContain(one)
          const open = run.round?.round
          expect(obligations(run).filter((one) => 'round' in one && one.round === open).length).toBeLessThanOrEqual(1)
        }
        for (const { manifest, reason, endedIn } of run.past) {
          expect(manifest ? [null] : REASONS).toContain(reason?.split(':')[0] ?? null)
          expect(endedIn === null).toBe(manifest !== null)
        }
        if (run.unrecorded) expect(run.unrecorded.seats ?? []).not.toContain('waiting')
      }),
      times(200),
    )
  })
}

/** Every way in which a round may come to nothing; `spoiled` brings its own. */
const REASONS = [
  ...['too-few-nodes', 'too-few-members', 'thresholds-out-of-order', 'enrolling-late', 'too-few-keys', 'sharing-late'],
  ...['judging-late', 'keys-late', 'too-few-reports', 'too-few-confirmations', 'certificate-late', 'too-few-shares'],
  ...['aggregation-late', 'sum-bad-header', 'run-stopped', 'refused-by-sites'],
]

const nameOf = (owed: Obligation) =>
  `${owed.kind} ${'round' in owed ? owed.round : 'extension' in owed ? owed.extension : 0}`
const textOf = (run: Run) => JSON.stringify(run, (_, value) => (typeof value === 'bigint' ? String(value) : value))

/** What is owed is done, whoever is asked answers, and else time passes. */
function calmly(run: Run): RunEvent {
  const [owed] = obligations(run)
  if (owed) return answerTo(run, owed)
  const [speech] = speeches(run)
  if (speech) return stamp(run, speech.says)
  return stamp(run, happens.tick(), { at: Math.max(run.at, nextDeadline(run) ?? 0) })
}

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
