import { describe, expect, test } from '@jest/globals'
import * as fc from 'fast-check'
import { obligations } from '#coordinator/obligations.ts'
import { type Run, stepRun } from '#coordinator/run.ts'
import type { RunEvent } from '#coordinator/run-events.ts'
import type { NodeId } from '#protocol/ids.ts'
import { ROUND_EVENTS_MAX, SEAT_EVENTS_MAX, SELECTION_EVENTS_MAX } from '#protocol/limits.ts'
import { cohortOf } from '#test/cohort.ts'
import { cid, type Happening, happens, maskedSpecOf, node, specOf } from './fixture.ts'
import { acts, answerTo, eventOf, maskedSpecs, plainSpecs, speeches, stamp, started } from './histories.ts'

/** How many entries each node, and nobody in particular, has added to a round's log. */
class Growth {
  readonly #selecting = new Map<string, number>()
  readonly #seated = new Map<string, number>()

  /** @param before the run as the event found it */
  note(before: Run, event: RunEvent): void {
    if (!('round' in event)) return
    const by = 'node' in event ? event.node : 'nobody'
    const selecting = before.round?.phase === 'selection' && 'node' in event
    const counts = selecting ? this.#selecting : this.#seated
    const name = `${event.round} ${by}`
    counts.set(name, (counts.get(name) ?? 0) + 1)
  }

  check(): void {
    for (const count of this.#selecting.values()) expect(count).toBeLessThanOrEqual(SELECTION_EVENTS_MAX)
    for (const [name, count] of this.#seated)
      expect(count).toBeLessThanOrEqual(name.endsWith('nobody') ? ROUND_EVENTS_MAX : SEAT_EVENTS_MAX)
  }

  of(who: NodeId): number {
    const sum = (counts: ReadonlyMap<string, number>) =>
      [...counts].reduce((total, [name, count]) => total + (name.endsWith(who) ? count : 0), 0)
    return sum(this.#selecting) + sum(this.#seated)
  }
}

/** Everything that a node may say, however little sense it makes. */
function everything(who: number, run: Run): readonly Happening[] {
  const masked = run.round?.secure ? cid(`advert ${who}`) : null
  const leave = { ...happens.leave(who), kind: 'declined' } as Happening
  return [
    ...[happens.join(who, masked), happens.leave(who), leave, happens.deal(who), happens.agree(who)],
    ...[happens.object(who), happens.report(who), happens.confirm(who), happens.unmask(who), happens.abandon(who)],
  ]
}

describe('the log of a round', () => {
  test.each([
    ['plain', specOf({ cohort: cohortOf({ min: 3, max: 4, quorum: 2 }), planned: 1 })],
    ['masked', maskedSpecOf(5, 1, { cohort: cohortOf({ min: 4, max: 5, quorum: 2 }), planned: 1 })],
  ])('grows by so much for each node, however often it says everything (%s)', (_, spec) => {
    // It may say anything at any time, or keep to its seat until a stage and only then begin.
    for (let patience = 0; patience < 60; patience += 3) {
      const growth = new Growth()
      let run = started(spec)
      const take = (event: RunEvent): boolean => {
        const next = stepRun(run, event)
        if (!next.ok) return false
        growth.note(run, event)
        run = next.value
        return true
      }
      for (let turn = 0; turn < 400 && run.phase !== 'ended'; turn++) {
        if (turn >= patience)
          for (let again = 0; again < 50; again++) for (const says of everything(0, run)) take(stamp(run, says))
        const [owed] = obligations(run)
        const speech = speeches(run).find(({ who }) => who !== 0 || turn < patience)
        if (owed) take(answerTo(run, owed))
        else if (speech) take(stamp(run, speech.says))
        else take(stamp(run, happens.tick(), { at: run.at + 200 }))
      }
      growth.check()
      expect(growth.of(node(0))).toBeGreaterThan(0)
    }
  })

  test.each([
    ['plain', plainSpecs],
    ['masked', maskedSpecs],
  ])('grows by so much for each node in every history (%s)', (_, specs) => {
    fc.assert(
      fc.property(specs, fc.array(acts, { maxLength: 400 }), (spec, said) => {
        const growth = new Growth()
        let run = started(spec)
        for (const act of said) {
          const event = eventOf(run, act)
          const next = stepRun(run, event)
          if (!next.ok) continue
          growth.note(run, event)
          run = next.value
        }
        growth.check()
      }),
      { numRuns: 60 },
    )
  })
})
