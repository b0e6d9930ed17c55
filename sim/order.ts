import type { Suite } from '#aggregation/secagg/messages.ts'
import { createAskSchema, createRunSchema } from '#coordinator/api/schemas.ts'
import { createAsk } from '#coordinator/ask.ts'
import { type CreateRun, createRun } from '#coordinator/create.ts'
import { Federations, type FederationsDoors } from '#coordinator/federations.ts'
import type { RunSpec } from '#coordinator/run-spec.ts'
import type { FederationId, Millis, RunId } from '#protocol/ids.ts'
import type { Masking, Population, Timing } from '#protocol/plan.ts'
import type { BlobStore } from '#protocol/ports.ts'
import type { Question } from '#protocol/question.ts'
import type { Result } from '#protocol/result.ts'
import { idOf } from './node.ts'
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
  /** Sites, of all of them, that are members of the federation that the run is of; of none where it is not said. */
  readonly members?: readonly number[]
  /** What becomes of the run after three aborted rounds in a row; it ends unless it is said otherwise. */
  readonly onFailures?: RunSpec['onFailures']
  /** When the run has trained enough. */
  readonly stopWhen?: CreateRun['stopWhen']
}

const FEDERATION = 'fed_01ARZ3NDEKTSV4RRFFQ69G5FAV' as FederationId
const BUDGET = 10_007n
const STRAGGLER_MILLIS: Millis = 700

export function specOf(blobs: BlobStore, run: RunId, order: Order): Promise<Result<RunSpec>> {
  const { question, rounds, masking, population, suite, nodes, seats = nodes, quorum, patience } = order
  // Where a quorum is not asked for, nobody is a straggler: who is in the model is not for the clock to say.
  const timing = { ...timingOf(patience), stragglerMillis: quorum === undefined ? null : STRAGGLER_MILLIS }
  const federation = order.members ? FEDERATION : null
  const common = { population, federation, secure: { suite }, timing, failuresMax: 3 }
  const onFailures = order.onFailures ?? 'end'
  const size = order.members?.length ?? (population === 'open' ? undefined : nodes)
  if (question) {
    const cohort = { min: 3, max: seats, quorum: question.minCohort }
    return createAsk(blobs, run, createAskSchema.parse({ ...common, onFailures, question, cohort }), null, size)
  }
  const least = masking === 'none' ? 2 : 3
  const cohort = { min: Math.max(least, quorum ?? 0), max: seats, quorum: quorum ?? 2 }
  const training = { task: TOY_TASK, rounds, budget: String(BUDGET), masking, cohort }
  const asked = { ...common, onFailures, ...training, stopWhen: order.stopWhen }
  return createRun(blobs, run, createRunSchema.parse(asked), null, size)
}

/** The federation that the run is of, where it is of one. */
export async function found(doors: FederationsDoors, { members }: Order): Promise<void> {
  if (!members) return
  const federations = new Federations(doors)
  await federations.found(FEDERATION, { name: 'some', description: null }, null)
  for (const site of members) await federations.add(FEDERATION, idOf(site), null)
}

function timingOf(patience: number): Omit<Timing, 'stragglerMillis'> {
  const [short, middle, long] = [2000 * patience, 3000 * patience, 5000 * patience]
  return {
    ...{ selectionMillis: short, keysMillis: middle, reportingMillis: long, consistencyMillis: middle },
    ...{ unmaskingMillis: middle, aggregationMillis: short, settlementMillis: short },
  }
}
