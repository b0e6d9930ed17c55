import { quantiserOf } from '#aggregation/quantise.ts'
import { equalBytes } from '#protocol/bytes.ts'
import { encode } from '#protocol/codec.ts'
import type { AbortedManifest, RoundRecord } from '#protocol/manifest.ts'
import { cohortSchema, type Plan, quantiserSchema, secureSchema } from '#protocol/plan.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { askSeed, cohortSeed } from '#protocol/seeds.ts'
import type { Blocks } from './blocks.ts'
import { checkEndings } from './endings.ts'
import type { Rule, Standing } from './round.ts'
import { type Order, subjectOf } from './run.ts'
import { checkSelection } from './selection.ts'
import { asStep, type Step } from './verdict.ts'

/** What a round went by, and what the rounds say by now of who was in their draws. */
type Opening = { readonly plan: Plan; readonly attendance: Standing['attendance'] }

/**
 * Steps `plan`, `endings`, `cohort` and `selection`: how a round began, whatever became of it.
 * @param checkCohort what its seats have to be, which is another thing where it came to nothing
 */
export async function checkOpening<R extends RoundRecord | AbortedManifest>(
  blocks: Blocks,
  order: Order,
  start: Standing,
  record: R,
  checkCohort: (plan: Plan, record: R) => Result<undefined, Step>,
  progress: (step: Step) => void,
): Promise<Result<Opening, Step>> {
  progress('plan')
  const plan = await checkPlan(blocks, order, start, record)
  if (!plan.ok) return plan
  if (plan.value.endings) progress('endings')
  const endings = await checkEndings(blocks, order, start, plan.value)
  if (!endings.ok) return endings
  progress('cohort')
  const cohort = checkCohort(plan.value, record)
  if (!cohort.ok) return cohort
  progress('selection')
  const attendance = await checkSelection(blocks, order, start, { manifest: record, plan: plan.value })
  return attendance.ok ? accept({ plan: plan.value, attendance: attendance.value }) : attendance
}

/** Step `plan`. */
async function checkPlan(
  blocks: Blocks,
  order: Order,
  start: Standing,
  manifest: Pick<RoundRecord, 'round' | 'purpose' | 'plan'>,
): Promise<Result<Plan, Step>> {
  const { run } = order
  const signed = await blocks.signed(manifest.plan, 'plan', run.coordinator)
  if (!signed.ok) return asStep('plan', 'the plan', signed)
  const plan = signed.value.value
  const expected = {
    run: run.run,
    round: manifest.round,
    purpose: manifest.purpose,
    population: run.population,
    masking: run.masking,
    task: run.task,
    model: start.model,
    parent: start.parent,
  } as const
  for (const field of Object.keys(expected) as (keyof typeof expected)[])
    if (plan[field] !== expected[field])
      return refuse('plan', `its ${field} is ${plan[field]}, it should be ${expected[field]}`)
  const seed = order.kind === 'asking' ? askSeed() : cohortSeed(order.task.seed, start.model, manifest.round)
  if (!equalBytes(plan.cohortSeed, seed))
    return refuse('plan', 'the cohort was not drawn by the seed that task, model and round give')
  if ((plan.secure === null) !== (plan.masking === 'none'))
    return refuse('plan', 'it says how the round is masked exactly where it is')
  if (plan.endings !== null && plan.secure === null) return refuse('plan', 'a plain round follows no sessions')
  if (plan.secure && plan.cohort.operatorSeatsMax > plan.secure.corrupt)
    return refuse('plan', 'one operator may have more seats than masks bear corrupt nodes')
  if (start.rule && !isSameRule(start.rule, plan))
    return refuse('plan', 'its cohort or its masks go by another rule than the round before')
  const due = quantiserOf(subjectOf(order), plan)
  if (!equalBytes(encode(quantiserSchema, plan.quantiser), encode(quantiserSchema, due)))
    return refuse('plan', 'the quantiser is not the one that task and cohort give')
  return accept(plan)
}

function isSameRule(before: Rule, plan: Rule): boolean {
  if (!equalBytes(encode(cohortSchema, before.cohort), encode(cohortSchema, plan.cohort))) return false
  if (!before.secure || !plan.secure) return before.secure === plan.secure
  return equalBytes(encode(secureSchema, before.secure), encode(secureSchema, plan.secure))
}

/** Ascending by key, none twice, as many as the plan admits. */
export function checkSeats({ cohort }: Plan, { seats }: Pick<RoundRecord, 'seats'>): Result<undefined, 'cohort'> {
  for (const [seat, { node }] of seats.entries()) {
    const before = seats[seat - 1]
    if (before && before.node >= node) return refuse('cohort', `seat ${seat} does not come after seat ${seat - 1}`)
  }
  if (seats.length < cohort.min || seats.length > cohort.max)
    return refuse('cohort', `${seats.length} seats, the plan admits ${cohort.min} to ${cohort.max}`)
  return accept(undefined)
}
