import { SESSION_MEMBERS_MAX, SESSION_MEMBERS_MIN } from '#protocol/limits.ts'
import type { Quantiser } from '#protocol/plan.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import type { Params } from './messages.ts'

/** The thresholds of one complete graph against a malicious coordinator and `C` corrupt members. */
export type SecureRule = Pick<Params, 'C' | 'q' | 't' | 'live'>

export type RuleRefusal = 'too-few-members' | 'too-many-members' | 'too-few-corrupt' | 'thresholds-out-of-order'

/** What a site insists on, whatever a coordinator says (R6). */
export type RulePolicy = {
  /** Corrupt nodes that the site's whole pinned population may hold; never scaled to a roster. */
  readonly maxCorrupt: number
  /** Smallest roster; at least 3, and 5 where a lost node must not end a round. */
  readonly nMin?: number
}

/**
 *     q = ⌊(n + C)/2⌋ + 1                        two sets cannot both get a certificate
 *     t = min(max(C + 1, ⌊n/2⌋ + 1), q − 1)      C holders know nothing; passive coalitions leave two others (R12)
 *
 * @param n members of the roster
 */
export function secureRule(n: number, policy: RulePolicy): Result<SecureRule, RuleRefusal> {
  return ruleFor(n, policy.maxCorrupt, policy)
}

/** R6's default: a fifth of the others. */
export function defaultMaxCorrupt(population: number): number {
  return Math.max(1, Math.floor((population - 1) / 5))
}

function ruleFor(
  n: number,
  C: number,
  { maxCorrupt, nMin = SESSION_MEMBERS_MIN }: RulePolicy,
): Result<SecureRule, RuleRefusal> {
  if (C < Math.max(1, maxCorrupt)) return refuse('too-few-corrupt', `C is ${C}, the policy says ${maxCorrupt}`)
  if (n < Math.max(nMin, SESSION_MEMBERS_MIN, C + 2))
    return refuse('too-few-members', `${n} members, ${C} of them corrupt`)
  if (n > SESSION_MEMBERS_MAX) return refuse('too-many-members', `${n} members, at most ${SESSION_MEMBERS_MAX}`)
  const q = Math.floor((n + C) / 2) + 1
  const t = Math.min(Math.max(C + 1, Math.floor(n / 2) + 1), q - 1)
  if (t < C + 1 || q > n) return refuse('thresholds-out-of-order', `C ${C}, t ${t}, q ${q}, n ${n}`)
  return accept({ C, q, t, live: q - 1 })
}

export type ParameterRefusal =
  | RuleRefusal
  | 'wrong-quorum'
  | 'wrong-threshold'
  | 'wrong-live'
  | 'too-many-for-lanes'
  | 'noise-not-offered'

/** The formulas that everybody checks, whatever their policy: C is the roster's own word here. */
export function checkParameters(params: Params, n: number): Result<SecureRule, ParameterRefusal> {
  return checkPolicy(params, n, { maxCorrupt: 1 })
}

/** … and a site's policy with them. */
export function checkPolicy(params: Params, n: number, policy: RulePolicy): Result<SecureRule, ParameterRefusal> {
  const rule = ruleFor(n, params.C, policy)
  if (!rule.ok) return rule
  const { q, t, live } = rule.value
  if (params.q !== q) return refuse('wrong-quorum', `q is ${params.q}, must be ${q}`)
  if (params.t !== t) return refuse('wrong-threshold', `t is ${params.t}, must be ${t}`)
  if (params.live !== live) return refuse('wrong-live', `live is ${params.live}, must be ${live}`)
  if (!fitsLanes(params.quantiser, n)) return refuse('too-many-for-lanes', `a sum of ${n} could wrap`)
  if (params.s2 !== 0) return refuse('noise-not-offered', 'noise is not part of this version')
  return rule
}

/** R10's static check: no lane of a sum of all members can wrap. */
function fitsLanes({ bits, weightMax, nMax }: Quantiser, n: number): boolean {
  return n <= nMax && nMax * weightMax < 2 ** 32 && nMax * (2 ** bits - 1) < 2 ** 32
}
