import { z } from 'zod'
import type { Millis } from '#protocol/ids.ts'
import { type Timing, timingSchema } from '#protocol/plan.ts'
import type { LearnedPhase, Took } from './round/round.ts'

/** A run's time limits: as they are, or as bounds of what is learned from its nodes. */
export const termsSchema = timingSchema.extend({
  /** Whether a phase is given no more time than its nodes have lately needed. */
  learned: z.boolean(),
})
export type Terms = z.output<typeof termsSchema>

/** How long the nodes took in the last closed rounds in a row, the latest last. */
export type Learned = readonly Took[]

/** So many rounds say what is usual; the slowest of them counts, so that a node that is slow now and then is in it. */
const ROUNDS_LEARNED = 5
const SLACK = 3
/** A coordinator that was killed is back by then, and its nodes with it: the time by which a node may be away by default. */
const RETURN_MILLIS: Millis = 10_000
const PHASES: readonly LearnedPhase[] = [
  ...(['selectionMillis', 'keysMillis', 'reportingMillis', 'consistencyMillis', 'unmaskingMillis'] as const),
]

/**
 * The time limits of the next round. Only of phases in which nodes answer: what the coordinator has to do is as slow as
 * its own restart.
 *
 * No honest node is starved. All that answer are in the measure, and the slowest of five rounds has thrice its time. Who
 * did not answer in time counts as all the time that there was, so that the next limit is thrice as long, up to the bound;
 * and an aborted round forgets everything.
 */
export function timingOf({ learned, ...bounds }: Terms, rounds: Learned): Timing {
  if (!learned || rounds.length < ROUNDS_LEARNED) return bounds
  const limits = PHASES.map((phase): [LearnedPhase, Millis] => {
    const longest = Math.max(...rounds.map((took) => took[phase] ?? 0))
    return [phase, Math.min(bounds[phase], SLACK * longest + RETURN_MILLIS)]
  })
  return { ...bounds, ...Object.fromEntries(limits) }
}

export function learn(rounds: Learned, took: Took): Learned {
  return [...rounds, took].slice(-ROUNDS_LEARNED)
}
