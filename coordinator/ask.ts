import type { z } from 'zod'
import { MEMBERS_MAX, MEMBERS_MIN } from '#aggregation/secagg/messages.ts'
import type { Bytes, RunId } from '#protocol/ids.ts'
import type { Secure } from '#protocol/plan.ts'
import type { BlobStore } from '#protocol/ports.ts'
import { type Question, questionSchema } from '#protocol/question.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { askSeed } from '#protocol/seeds.ts'
import type { createAskSchema } from './api/schemas.ts'
import { cohortOf, mistakeInCohort, mistakeInSession, secureOf, termsOf } from './create.ts'
import type { CreateRefusal } from './keep-task.ts'
import { blockOf, fileOf } from './record.ts'
import type { RunSpec } from './run-spec.ts'

export type CreateAsk = z.output<typeof createAskSchema>

/**
 * A run that asks one question: checked as a whole, then kept. It is always masked, since a plain answer would be one
 * site's; and where the cohort is not said, it is all that come, at least as many as the question wants.
 */
export async function createAsk(
  blobs: BlobStore,
  id: RunId,
  request: CreateAsk,
  idempotency: { readonly key: string; readonly body: Bytes } | null,
  /** Nodes that may be in its rounds; undefined when anybody may. */
  populationSize?: number,
): Promise<Result<RunSpec> & { readonly where?: CreateRefusal }> {
  const { question, population, federation = null, failuresMax, onFailures } = request
  const secure = secureOf(request, populationSize ?? MEMBERS_MIN)
  const cohort = cohortOf(request.cohort ?? cohortFor(question, secure, populationSize), secure)
  const mistake =
    mistakeInCohort(cohort) ??
    (cohort.quorum < question.minCohort
      ? { pointer: '/cohort/quorum', message: 'must be at least question.minCohort' }
      : mistakeInSession(cohort, secure, failuresMax))
  if (mistake) return { ...refuse('invalid_request', mistake.message), where: mistake }
  const asked = blockOf(questionSchema, question)
  const memory = await fileOf(blobs, new Uint8Array(0))
  await blobs.putBlocks([asked, ...memory.blocks])
  return accept({
    run: id,
    purpose: 'ask',
    task: asked.cid,
    taskSeed: askSeed(),
    genesis: asked.cid,
    memory: memory.cid,
    planned: 1,
    budget: 0n,
    population,
    federation,
    masking: 'secagg/1',
    secure,
    cohort,
    timing: termsOf(request.timing),
    failuresMax,
    onFailures,
    heedsRefusals: true,
    idempotency,
  })
}

function cohortFor({ minCohort }: Question, { corrupt }: Secure, populationSize = MEMBERS_MAX) {
  const min = Math.max(minCohort, corrupt + 2)
  return { min, max: Math.min(Math.max(min, populationSize), MEMBERS_MAX), quorum: minCohort, paced: false }
}
