import { MEMORY_BYTES_MAX } from '#aggregation/needs.ts'
import { defaultMaxCorrupt } from '#aggregation/secagg/parameters.ts'
import type { Site } from '#aggregation/secagg/states.ts'
import { assert } from '#protocol/assert.ts'
import type { NodeId } from '#protocol/ids.ts'
import { SESSION_MEMBERS_MIN } from '#protocol/limits.ts'
import type { Population } from '#protocol/plan.ts'

/** What a site insists on in masked rounds, whatever a coordinator says; with the pinned key and its own it is a `Site`. */
export type SiteTerms = Omit<Site, 'signer' | 'coordinator'> & {
  /** Its figures on held-out rows go in as zeros: the cohort's accuracy is then that of the others. */
  readonly withholdsEvaluation: boolean
  /** Whether it trains from weights that somebody gave a run, and no seed: crafted ones can make a sum tell rows. */
  readonly takesGivenStart: boolean
  /** Fewest rows of a cell in an answer; null where the site answers no questions. */
  readonly minCell: number | null
  /** Memory that one task may take. */
  readonly memoryBytesMax: number
}

/**
 * A hospital lets nothing but hashes of its masked vectors be published: they stay secret for as long as the ciphers hold,
 * and what is public once stays public.
 *
 * @param allowed the pinned allow-list; with `open` a coordinator may invent members, and no masks protect from that
 */
export function siteTerms(
  population: Population,
  allowed: SiteTerms['allowed'],
  {
    maxCorrupt,
    withholdsEvaluation = false,
    takesGivenStart = population === 'open',
    minCell = null,
    memoryBytesMax = MEMORY_BYTES_MAX,
  }: {
    readonly maxCorrupt?: number
    readonly withholdsEvaluation?: boolean
    readonly takesGivenStart?: boolean
    readonly minCell?: number | null
    readonly memoryBytesMax?: number
  } = {},
): SiteTerms {
  assert(population === 'open' || allowed !== 'open', 'a hospital pins who may be in a session with it')
  return {
    allowed,
    maxCorrupt: maxCorrupt ?? corruptOf(allowed),
    nMin: SESSION_MEMBERS_MIN,
    publish: population === 'hospital' ? ['commit-only'] : ['full', 'commit-only'],
    withholdsEvaluation,
    takesGivenStart,
    minCell,
    memoryBytesMax,
  }
}

function corruptOf(allowed: ReadonlySet<NodeId> | 'open'): number {
  return allowed === 'open' ? 1 : defaultMaxCorrupt(allowed.size)
}
