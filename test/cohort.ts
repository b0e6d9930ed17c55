import type { CohortRule } from '#protocol/plan.ts'

/** A rule in which the draw and operators play no part, unless it says so. */
export function cohortOf(rule: Pick<CohortRule, 'min' | 'max' | 'quorum'> & Partial<CohortRule>): CohortRule {
  return { operatorSeatsMax: 1, paced: false, ...rule }
}
