import { secureRule } from '#aggregation/secagg/parameters.ts'
import type { Plan, Population } from '#protocol/plan.ts'
import type { SiteRule } from '#protocol/refusals.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import type { Asking } from './asking.ts'
import type { Assignment } from './assignment.ts'
import type { SiteTerms } from './site.ts'

/** A site's own rule over what it is asked to do. It is judged here, at the site, and never by the coordinator. */
export type Policy = (assignment: Assignment) => Result<void, PolicyRefusal>
export type PolicyRefusal = Exclude<SiteRule, 'task-too-large'>

/**
 * The built-in rule. A node of a hospital population sends nothing unmasked; a node of an open one takes open runs only,
 * so that a coordinator cannot call a hospital's run `open` to get its update in the clear.
 */
export function policyFor(population: Population, cohortMin: number, terms: SiteTerms): Policy {
  return (assignment) => {
    const { plan } = assignment
    if (plan.population !== population)
      return refuse('foreign-population', `this node serves ${population} populations`)
    if (population === 'hospital' && plan.secure === null) return refuse('masking-required')
    if (plan.cohort.quorum < cohortMin) return refuse('cohort-too-small', `at least ${cohortMin} reports`)
    if (assignment.kind === 'training' && assignment.task.start === 'given' && !terms.takesGivenStart)
      return refuse('given-start-not-allowed', 'only models that begin from a seed')
    if (assignment.kind === 'asking') {
      const asked = checkQuestion(assignment, terms)
      if (!asked.ok) return asked
    }
    return checkSecure(plan, terms)
  }
}

/** A question's cells are as large as this site has them, or larger. */
function checkQuestion({ question }: Asking, { minCell }: SiteTerms): Result<void, PolicyRefusal> {
  if (minCell === null) return refuse('questions-not-taken')
  return question.minCell < minCell ? refuse('cells-too-small', `at least ${minCell} rows`) : accept(undefined)
}

/** No roster of such a plan could be this site's: said before it joins, not after everybody dealt their keys. */
function checkSecure({ secure, cohort }: Plan, terms: SiteTerms): Result<void, PolicyRefusal> {
  if (secure === null) return accept(undefined)
  const { corrupt, publish } = secure
  if (!terms.publish.includes(publish)) return refuse('publication-not-allowed', publish)
  if (corrupt < terms.maxCorrupt)
    return refuse('too-few-corrupt', `the plan bears ${corrupt}, this site asks for ${terms.maxCorrupt}`)
  const rule = secureRule(cohort.max, { ...terms, maxCorrupt: corrupt })
  return rule.ok ? accept(undefined) : rule
}
