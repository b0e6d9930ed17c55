import type { SiteRule } from '#protocol/refusals.ts'
import type { ApiEvent } from '#sdk/sse.ts'
import { EXIT, Failure } from './failure.ts'

/** What a site's own policy refuses a run for, and what whoever launches it can change so that it does not. */
const FIXES: Readonly<Record<SiteRule, string>> = {
  'masking-required': 'ask for "masking": "secagg/1"',
  'no-public-data': 'name data that anybody may read: --public-table, or --public-images and --public-labels',
  'foreign-population': 'ask for the "population" that these sites are of, "hospital" or "open"',
  'cohort-too-small': 'raise cohort.quorum; of a question --min-cohort',
  'given-start-not-allowed': 'start from a seed, without --weights and --from',
  'publication-not-allowed': 'ask for another secure.publish',
  'questions-not-taken': 'ask sites that take questions (consilium node up --min-cell)',
  'cells-too-small': 'raise --min-cell',
  'too-few-members': 'raise cohort.max',
  'too-many-members': 'lower cohort.max',
  'too-few-corrupt': 'raise secure.corrupt',
  'thresholds-out-of-order': 'lower secure.corrupt, or raise cohort.max',
  'task-too-large': 'take a smaller model, or smaller batches',
}

/** A site that takes no seat, by which rule, and what it says of that. */
export type Refusing = { readonly site: string; readonly rule: string; readonly detail: string | null }

/** By its policy: what else keeps a site away, such as other columns, no rule of its would change. */
export function isByPolicy({ rule }: Pick<Refusing, 'rule'>): boolean {
  return Object.hasOwn(FIXES, rule)
}

/** What to change about a run so that this rule lets it be. */
export function ruleFix(rule: string): string | undefined {
  return isByPolicy({ rule }) ? FIXES[rule as keyof typeof FIXES] : undefined
}

const SITES_TOLD = 20

/** The sites there are would do, if it were not for the rules that some have. */
export function policyDenied(
  refusing: readonly Refusing[],
  { needed, come }: { readonly needed: number; readonly come: number },
): Failure {
  const rules = [...new Set(refusing.map(({ rule }) => rule))]
  const told = refusing.slice(0, SITES_TOLD)
  const more = refusing.length - told.length
  return new Failure(
    EXIT.policyDenied,
    'policy_denied',
    `${refusing.length} ${refusing.length === 1 ? 'site refuses' : 'sites refuse'} this: ${needed} are needed, ${come} may come`,
    {
      lines: [
        ...told.map(
          ({ site, rule, detail }) => ['rule', `${rule}${detail ? ` (${detail})` : ''}, of ${site}`] as const,
        ),
        ...(more > 0 ? [['', `and ${more} more`] as const] : []),
      ],
      fix: `${rules.map((rule) => FIXES[rule as keyof typeof FIXES]).join('; ')}; or ask whose rule it is`,
    },
  )
}

/** Who declined the latest round of a run that is watched. */
export class Declined {
  #invited = 0
  #refusing: Refusing[] = []

  follow({ type, node, reason, invited, cause, node_reason }: ApiEvent): void {
    if (type === 'round.opened') {
      this.#invited = Number(invited)
      this.#refusing = []
    }
    const isLast = type === 'round.aborted' && cause === 'declined'
    const rule = isLast ? node_reason : reason
    if (isLast || type === 'node.declined')
      this.#refusing.push({ site: String(node), rule: String(rule), detail: null })
  }

  /** Undefined where there were too few sites, or enough, whatever their policies say; not so where all of them refuse. */
  denied(needed: number): Failure | undefined {
    const byPolicy = this.#refusing.filter(isByPolicy)
    const come = this.#invited - byPolicy.length
    const wouldDo = this.#invited >= needed || (byPolicy.length > 0 && come <= 0)
    return wouldDo && come < needed ? policyDenied(byPolicy, { needed, come }) : undefined
  }
}
