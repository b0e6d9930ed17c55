import type { Plan, Population } from '#protocol/plan.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import type { Assignment } from './assignment.ts'

/** A site's own rule over what it is asked to do. It is judged here, at the site, and never by the coordinator. */
export type Policy = (assignment: Assignment) => Result<void, PolicyRefusal>
export type PolicyRefusal = 'masking-required' | 'foreign-population' | 'cohort-too-small'

/**
 * The built-in rule. A node of a hospital population sends nothing unmasked; a node of an open one takes open runs only,
 * so that a coordinator cannot call a hospital's run `open` to get its update in the clear.
 */
export function policyFor(population: Population, cohortMin: number): Policy {
  return ({ plan }) => {
    if (plan.population !== population)
      return refuse('foreign-population', `this node serves ${population} populations`)
    if (population === 'hospital' && isPlain(plan)) return refuse('masking-required')
    if (plan.cohort.quorum < cohortMin) return refuse('cohort-too-small', `at least ${cohortMin} reports`)
    return accept(undefined)
  }
}

function isPlain(plan: Plan): boolean {
  return plan.masking === 'none'
}
