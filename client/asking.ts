import { quantiserOf } from '#aggregation/quantise.ts'
import { encodeTallies } from '#aggregation/statistics/lanes.ts'
import type { Tally } from '#aggregation/statistics/tally.ts'
import { decode } from '#protocol/codec.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import type { Plan } from '#protocol/plan.ts'
import type { BlobStore } from '#protocol/ports.ts'
import { type Question, questionSchema } from '#protocol/question.ts'
import type { DATA_LACKS } from '#protocol/refusals.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import type { Assignment } from './assignment.ts'
import { reasonOf } from './progress.ts'
import type { Trained } from './submission.ts'

/** Counting at the site. The data stay behind this door; only what is published of them comes out, cells suppressed. */
export interface Statistician {
  /** Throws the world's faults (a file that cannot be read). */
  tally(question: Question): Promise<Result<Tallied, TallyRefusal>>
}
export type TallyRefusal = (typeof DATA_LACKS)[number]
/** What a site says to a question, and of which version of its data. */
export type Tallied = { readonly version: string; readonly tallies: readonly Tally[] }

/** A plan that asks a question, with the question: what a node is to count. */
export type Asking = { readonly kind: 'asking'; readonly plan: Plan; readonly question: Question }

export type AskingRefusal =
  | 'unreadable-question'
  | 'wrong-model'
  | 'wrong-quantiser'
  | 'cohort-too-small'
  | 'foreign-parent'

/** Follows a plan to its question. Who signed it was checked; there is no model, so the question stands in its place. */
export async function readAsking(
  blobs: Pick<BlobStore, 'getBlock'>,
  plan: Plan,
): Promise<Result<Asking, AskingRefusal>> {
  const { task, model, parent, quantiser, cohort } = plan
  if (plan.secure === null) return refuse('unreadable-question', 'a plain answer would be this site alone')
  if (model !== task) return refuse('wrong-model', 'a question makes none')
  if (parent !== null) return refuse('foreign-parent', 'a question follows no round')
  const question = decode(questionSchema, await blobs.getBlock(task, BLOCK_BYTES_MAX), BLOCK_BYTES_MAX)
  if (!question.ok) return refuse('unreadable-question', question.detail ?? question.refusal)
  const due = quantiserOf(question.value, plan)
  if (JSON.stringify(due) !== JSON.stringify(quantiser)) return refuse('wrong-quantiser')
  const { minCohort } = question.value
  if (cohort.quorum < minCohort)
    return refuse('cohort-too-small', `the question wants ${minCohort} sites, the plan takes ${cohort.quorum}`)
  return accept({ kind: 'asking', plan, question: question.value })
}

/** What an input is spent under (R5). A site that cannot answer a question finds out here, before it joins. */
export async function inputKeyOf(
  assignment: Assignment,
  statistician: Statistician | undefined,
): Promise<Result<string>> {
  if (assignment.kind === 'training') return accept(assignment.plan.model)
  if (!statistician) return refuse('questions-not-taken')
  try {
    const tallied = await statistician.tally(assignment.question)
    return tallied.ok ? accept(tallied.value.version) : tallied
  } catch (cause) {
    return refuse('fault', reasonOf(cause))
  }
}

/**
 * Counts, and puts the numbers into the lanes of a vector. It was counted at the invitation, too: a site that cannot answer
 * declines then, and the version of its data was judged by what it gave before.
 *
 * @param version of the data that may be given
 */
export async function answer(
  statistician: Statistician,
  { plan, question }: Asking,
  version: string,
): Promise<Result<Trained>> {
  const tallied = await statistician.tally(question)
  if (!tallied.ok) return tallied
  if (tallied.value.version !== version) return refuse('data-changed', 'since the invitation')
  return accept({ lanes: encodeTallies(question, tallied.value.tallies, plan.quantiser), trainMillis: 0 })
}
