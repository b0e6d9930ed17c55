import type { z } from 'zod'
import { MEMBERS_MAX, MEMBERS_MIN } from '#aggregation/secagg/messages.ts'
import { defaultMaxCorrupt, secureRule } from '#aggregation/secagg/parameters.ts'
import type { Bytes, RunId } from '#protocol/ids.ts'
import { ENDINGS_MAX } from '#protocol/limits.ts'
import type { CohortRule, Secure } from '#protocol/plan.ts'
import type { BlobStore } from '#protocol/ports.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import type { createRunSchema } from './api/schemas.ts'
import { type CreateRefusal, checkTask, keepTask, type Origin } from './keep-task.ts'
import type { RunSpec } from './run-spec.ts'
import { mistakeInStopWhen, stopRuleOf } from './stopping-early.ts'
import type { Terms } from './timing.ts'

export type CreateRun = z.output<typeof createRunSchema>

/**
 * Checks what a request asks for, all of it, before anything is kept; then keeps the task. The same request always makes the
 * same blocks.
 */
export async function createRun(
  blobs: BlobStore,
  id: RunId,
  request: CreateRun,
  idempotency: { readonly key: string; readonly body: Bytes } | null,
  /** Nodes that may be in its rounds; undefined when anybody may. */
  populationSize?: number,
  /** Where the task's weights are those of a round of another run. */
  origin?: Origin,
): Promise<Result<RunSpec> & { readonly where?: CreateRefusal }> {
  const checked = checkTask(request.task)
  if (!checked.ok) return inTask(checked)
  const masking = request.masking ?? (isMaskable(request.cohort) ? 'secagg/1' : 'none')
  const secure = masking === 'none' ? null : secureOf(request, Math.max(populationSize ?? 0, request.cohort.min))
  const cohort = cohortOf(request.cohort, secure)
  const mistake = mistakeIn({ ...request, masking, cohort }, secure)
  if (mistake) return { ...refuse('invalid_request', mistake.message), where: mistake }
  const { rounds, budget, population, federation = null, failuresMax, onFailures } = request
  const kept = await keepTask(blobs, checked.value, origin)
  if (!kept.ok) return inTask(kept)
  return accept({
    run: id,
    purpose: 'train',
    ...kept.value,
    planned: rounds,
    budget: BigInt(budget),
    population,
    federation,
    masking,
    secure,
    cohort,
    timing: termsOf(request.timing),
    failuresMax,
    onFailures,
    ...(request.stopWhen && { stopWhen: stopRuleOf(request.stopWhen) }),
    ...(origin && { origin: { run: origin.run, round: origin.round, manifest: origin.manifest } }),
    idempotency,
  })
}

/** A request has its task under this name. */
function inTask<R extends { readonly where: CreateRefusal }>(refused: R): R {
  return { ...refused, where: { ...refused.where, pointer: `/task${refused.where.pointer}` } }
}

function isMaskable({ min, max }: CreateRun['cohort']): boolean {
  return min >= MEMBERS_MIN && max <= MEMBERS_MAX
}

/** One operator's nodes are as many corrupt members as they are: masks bear C. Elsewhere nobody should have a majority. */
export function cohortOf(cohort: CreateRun['cohort'], secure: Secure | null): CohortRule {
  const half = Math.max(1, Math.floor(cohort.max / 2))
  const usual = secure ? Math.min(half, secure.corrupt) : half
  return { ...cohort, operatorSeatsMax: cohort.operatorSeatsMax ?? usual }
}

/** Whoever is still training when the quorum is in has a quarter of the phase: a run is then held up by that much, and not for ever. */
export function termsOf(timing: CreateRun['timing']): Terms {
  const { stragglerMillis = Math.ceil(timing.reportingMillis / 4) } = timing
  return { ...timing, stragglerMillis }
}

export function secureOf(
  { secure, population }: Pick<CreateRun, 'secure' | 'population'>,
  populationSize: number,
): Secure {
  const { suite, corrupt, publish } = secure
  return {
    suite,
    corrupt: corrupt ?? defaultMaxCorrupt(populationSize),
    publish: publish ?? (population === 'hospital' ? 'commit-only' : 'full'),
  }
}

type Ordered = Omit<CreateRun, 'cohort'> & { readonly cohort: CohortRule }

function mistakeIn(request: Ordered, secure: Secure | null): CreateRefusal | undefined {
  const { task, cohort, population, masking, failuresMax } = request
  const unmet = request.stopWhen && mistakeInStopWhen(stopRuleOf(request.stopWhen), task)
  if (unmet) return { pointer: '/stopWhen', message: unmet }
  const rule = mistakeInCohort(cohort)
  if (rule) return rule
  if (masking === 'none' && cohort.max * task.data.rowsMax >= 2 ** 32)
    return { pointer: '/task/data/rowsMax', message: 'times cohort.max must stay below 2^32, or the weights overflow' }
  if (population === 'hospital' && masking === 'none')
    return { pointer: '/masking', message: 'hospital populations train masked only: secagg/1, with 3 to 128 seats' }
  return secure ? mistakeInSession(cohort, secure, failuresMax) : undefined
}

export function mistakeInCohort({ quorum, min, max }: CohortRule): CreateRefusal | undefined {
  if (quorum > min) return { pointer: '/cohort/quorum', message: 'must be at most cohort.min' }
  if (min > max) return { pointer: '/cohort/min', message: 'must be at most cohort.max' }
  return undefined
}

export function mistakeInSession(
  cohort: CohortRule,
  { corrupt }: Secure,
  failuresMax: number,
): CreateRefusal | undefined {
  if (cohort.operatorSeatsMax > corrupt)
    return {
      pointer: '/cohort/operatorSeatsMax',
      message: `must be at most secure.corrupt, ${corrupt}: masks bear no more nodes in one hand`,
    }
  if (cohort.min < MEMBERS_MIN)
    return { pointer: '/cohort/min', message: `must be at least ${MEMBERS_MIN} under masks` }
  if (cohort.max > MEMBERS_MAX) return { pointer: '/cohort/max', message: `must be at most ${MEMBERS_MAX} under masks` }
  const rule = secureRule(cohort.min, { maxCorrupt: corrupt })
  if (!rule.ok)
    return {
      pointer: '/cohort/min',
      message: `is too few against ${corrupt} corrupt nodes: ${rule.detail ?? rule.refusal}`,
    }
  if (failuresMax > ENDINGS_MAX)
    return { pointer: '/failuresMax', message: `must be at most ${ENDINGS_MAX} under masks` }
  return undefined
}
