import { equalBytes } from '#protocol/bytes.ts'
import { isGenuine, type Signed } from '#protocol/envelope.ts'
import type { NodeId } from '#protocol/ids.ts'
import { hear, type Kind, type Said } from './messages.ts'

/**
 * Two signed statements that no honest sender makes. They prove by themselves that their sender lies: a third party needs
 * nothing but the two messages.
 */
export type Equivocation = { readonly by: NodeId; readonly lie: Lie; readonly first: Signed; readonly second: Signed }

/** R18: two rosters with one advert, two U2 of one version, two U3, two certified sets; a member's two of anything. */
export type Lie = 'advert-in-two-rosters' | `two-${'Shared' | 'Survivors' | 'QuorumCert' | MemberOnce}`
type MemberOnce = 'ShareKeys' | 'MaskedInput' | 'Confirm' | 'Unmask'

type AnySaid = { readonly [K in Kind]: Said<K> }[Kind]

/** The proof, if the two messages make one. */
export function equivocation(first: AnySaid, second: AnySaid): Equivocation | undefined {
  const lie = first.from === second.from && !equalBytes(first.hash, second.hash) ? lieOf(first, second) : undefined
  return lie && { by: first.from, lie, first: first.signed, second: second.signed }
}

/** What a third party does: signatures, shapes, and the same judgement again. */
export function isProven(claim: Equivocation): boolean {
  const [first, second] = [reopen(claim.first), reopen(claim.second)]
  const found = first && second && equivocation(first, second)
  return found !== undefined && found.by === claim.by && found.lie === claim.lie
}

function lieOf(a: AnySaid, b: AnySaid): Lie | undefined {
  if (a.kind === 'Roster' && b.kind === 'Roster') {
    const adverts = new Set(a.body.members.map(({ advert }) => advert))
    return b.body.members.some(({ advert }) => adverts.has(advert)) ? 'advert-in-two-rosters' : undefined
  }
  if (a.kind !== b.kind || !('sid' in a.body) || !('sid' in b.body) || !equalBytes(a.body.sid, b.body.sid))
    return undefined
  if (a.kind === 'Shared' && b.kind === 'Shared') return a.body.ver === b.body.ver ? 'two-Shared' : undefined
  if (a.kind === 'Survivors') return 'two-Survivors'
  // Another choice of signatures under the same set is no lie.
  if (a.kind === 'QuorumCert' && b.kind === 'QuorumCert')
    return equalBytes(a.body.u3Hash, b.body.u3Hash) ? undefined : 'two-QuorumCert'
  if (a.kind === 'ShareKeys' || a.kind === 'MaskedInput' || a.kind === 'Confirm' || a.kind === 'Unmask')
    return `two-${a.kind}`
  return undefined
}

const ONCE = ['Roster', 'Shared', 'Survivors', 'QuorumCert', 'ShareKeys', 'MaskedInput', 'Confirm', 'Unmask'] as const

function reopen(signed: Signed): AnySaid | undefined {
  const kind = ONCE.find((one) => one === signed.type)
  if (!kind || !isGenuine(signed)) return undefined
  const said = hear(kind, signed)
  return said.ok ? (said.value as AnySaid) : undefined
}
