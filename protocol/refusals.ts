/**
 * Why a site takes no seat under a plan, where asking it again changes nothing: by a rule of its own policy, or for what its
 * data lack. Whatever else keeps a node away, that it is busy, or held back, or has just lost something, may pass.
 */
export const SITE_RULES = [
  'masking-required',
  'no-public-data',
  'foreign-population',
  'cohort-too-small',
  'given-start-not-allowed',
  'publication-not-allowed',
  'questions-not-taken',
  'cells-too-small',
  'too-few-members',
  'too-many-members',
  'too-few-corrupt',
  'thresholds-out-of-order',
  'task-too-large',
] as const
export type SiteRule = (typeof SITE_RULES)[number]

/** What a site finds when it counts. */
export const DATA_LACKS = ['no-column', 'text-column', 'too-few-rows', 'too-few-values'] as const

const LASTING: ReadonlySet<string> = new Set([...SITE_RULES, ...DATA_LACKS])

export function isLasting(reason: string): boolean {
  return LASTING.has(reason)
}

/** Of a round that too few may come to, since the others decline for good. */
export const REFUSED = 'refused-by-sites'
/** A reason is a text of 200 characters. */
const TOLD_MAX = 4

/** With what most of them said first. */
export function refusedFor(reasons: readonly string[]): string {
  const counts = new Map<string, number>()
  for (const reason of reasons) counts.set(reason, (counts.get(reason) ?? 0) + 1)
  const told = [...counts].sort(([a, some], [b, more]) => more - some || (a < b ? -1 : 1)).map(([reason]) => reason)
  return `${REFUSED}: ${told.slice(0, TOLD_MAX).join(', ')}`
}

export function isRefused(reason: string): boolean {
  return reason.startsWith(`${REFUSED}:`)
}
