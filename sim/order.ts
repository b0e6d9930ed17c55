import type { Suite } from '#aggregation/secagg/messages.ts'
import { createAskSchema, createRunSchema } from '#coordinator/api/schemas.ts'
import { createAsk } from '#coordinator/ask.ts'
import { createRun } from '#coordinator/create.ts'
import type { RunSpec } from '#coordinator/run-spec.ts'
import type { Millis, RunId } from '#protocol/ids.ts'
import type { Masking, Population, Timing } from '#protocol/plan.ts'
import type { BlobStore } from '#protocol/ports.ts'
import type { Question } from '#protocol/question.ts'
import type { Result } from '#protocol/result.ts'
import { TOY_TASK } from './toy.ts'

/** What the cluster is asked to do. */
export type Order = {
  readonly nodes: number
  readonly rounds: number
  readonly masking: Masking
  /** Hospitals pin who may be in a session with them, and publish nothing but hashes of their masked vectors. */
  readonly population: Population
  readonly suite: Suite
  /** How many times longer than usual each phase waits. */
  readonly patience: number
  /** Seats of a round, where there are fewer of them than nodes; and reports that a round waits for, where the rest are stragglers. */
  readonly seats?: number
  readonly quorum?: number
  /** A question instead of rounds that train. */
  readonly question?: Question
  /** What becomes of the run after three aborted rounds in a row; it ends unless it is said otherwise. */
  readonly onFailures?: RunSpec['onFailures']
}

const BUDGET = 10_007n
const STRAGGLER_MILLIS: Millis = 700

export function specOf(blobs: BlobStore, run: RunId, order: Order): Promise<Result<RunSpec>> {
  const { question, rounds, masking, population, suite, nodes, seats = nodes, quorum, patience } = order
  // Where a quorum is not asked for, nobody is a straggler: who is in the model is not for the clock to say.
  const timing = { ...timingOf(patience), stragglerMillis: quorum === undefined ? null : STRAGGLER_MILLIS }
  const common = { population, secure: { suite }, timing, failuresMax: 3, onFailures: order.onFailures ?? 'end' }
  const size = population === 'open' ? undefined : nodes
  if (question) {
    const cohort = { min: 3, max: seats, quorum: question.minCohort }
    return createAsk(blobs, run, createAskSchema.parse({ ...common, question, cohort }), null, size)
  }
  const least = masking === 'none' ? 2 : 3
  const cohort = { min: Math.max(least, quorum ?? 0), max: seats, quorum: quorum ?? 2 }
  const training = { task: TOY_TASK, rounds, budget: String(BUDGET), masking, cohort }
  return createRun(blobs, run, createRunSchema.parse({ ...common, ...training }), null, size)
}

function timingOf(patience: number): Omit<Timing, 'stragglerMillis'> {
  const [short, middle, long] = [2000 * patience, 3000 * patience, 5000 * patience]
  return {
    ...{ selectionMillis: short, keysMillis: middle, reportingMillis: long, consistencyMillis: middle },
    ...{ unmaskingMillis: middle, aggregationMillis: short, settlementMillis: short },
  }
}
