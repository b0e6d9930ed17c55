import { isMaskRoot, isSelfSeed } from '#aggregation/secagg/aggregator.ts'
import { pairOf } from '#aggregation/secagg/channel.ts'
import { maskKeys, pairMaskSeed, selfMaskSeed } from '#aggregation/secagg/derive.ts'
import { type Mask, openMasker, opposite } from '#aggregation/secagg/mask.ts'
import { combine, type Share } from '#aggregation/secagg/shamir.ts'
import { decodeLanes, type RingVector } from '#aggregation/vector.ts'
import type { Bytes } from '#protocol/ids.ts'
import { type Deed, membersOf, type Set_, type Worlds } from './members.ts'

/** One deed as a strategy has it: who saw which U2 and U3, and whether it answered a certificate. */
export type Seen = { readonly u: number; readonly u2: Set_; readonly u3?: Set_; readonly unmasked?: boolean }

/**
 * What a coordinator and one corrupt member know of honest members' secrets after these deeds: shares are counted, and an
 * answer gives its own seed. Several sessions of the same roots are several worlds.
 */
export function known(worlds: readonly (readonly Seen[])[], t: number, honest: readonly number[]) {
  const self = new Set<number>()
  const root = new Set<number>()
  for (const seen of worlds)
    for (const v of honest) {
      // The corrupt member holds one share of either kind; holders are counted once, however often they answer.
      const [b, r] = [new Set([0]), new Set([0])]
      for (const { u, u2, u3, unmasked } of seen) {
        if (!unmasked || u3 === undefined) continue
        const [sharing, survivors] = [membersOf(u2), membersOf(u3)]
        if (u === v) self.add(v)
        else if (survivors.includes(v)) b.add(u)
        else if (sharing.includes(v)) r.add(u)
      }
      if (b.size >= t) self.add(v)
      if (r.size >= t) root.add(v)
    }
  return { self, root }
}

/** An honest member's input that its masked vector no longer hides, if there is one. */
export function leak(worlds: readonly (readonly Seen[])[], t: number, honest: readonly number[]) {
  const { self, root } = known(worlds, t, honest)
  for (const [world, seen] of worlds.entries())
    for (const { u, u2 } of seen) {
      const bare = membersOf(u2).every((v) => v === u || !honest.includes(v) || root.has(v) || root.has(u))
      if (self.has(u) && bare) return { world, u, u2 }
    }
  return undefined
}

/** Carries a leak out on the bytes: from the answers and the corrupt member's shares to the plain vector. */
export function strip(
  worlds: readonly Worlds[],
  deeds: readonly (readonly Deed[])[],
  corrupt: number,
  victim: { readonly world: number; readonly u: number; readonly u2: Set_ },
): RingVector {
  const world = worlds[victim.world] as Worlds
  const { session, cohort } = world
  const secretsOf = (of: 'self' | 'root', v: number): Bytes | undefined => {
    for (const [index, done] of deeds.entries()) {
      const own = of === 'self' ? done.find(({ u, unmask }) => u === v && unmask)?.unmask?.body.self : undefined
      if (own) return own
      const all = membersOf(done[0]?.u2 ?? '')
      const bought = (worlds[index] as Worlds).sharesOf(corrupt, cohort.sites.map((_, at) => at + 1).join()).get(v)
      const shares: Share[] = bought ? [{ x: corrupt, share: bought[of] }] : []
      for (const { u, unmask } of done) {
        const list = of === 'self' ? unmask?.body.bShares : unmask?.body.rootShares
        const found = list?.find((entry) => entry.u === v)
        if (found && shares.every(({ x }) => x !== u)) shares.push({ x: u, share: found.share })
      }
      if (all.length === 0 || shares.length < session.params.t) continue
      const secret = combine(shares.slice(0, session.params.t))
      if (of === 'self' ? isSelfSeed(session, v, secret) : isMaskRoot(session, v, secret)) return secret
    }
    return undefined
  }
  const input = (deeds[victim.world] as readonly Deed[]).find(({ u, u2 }) => u === victim.u && u2 === victim.u2)?.input
  const self = secretsOf('self', victim.u)
  if (!input || !self) throw new Error('the strategy gives the victim’s own seed')
  const masks: Mask[] = [{ seed: selfMaskSeed(self, session.sid, victim.u), sign: 1 }]
  for (const v of membersOf(victim.u2)) {
    if (v === victim.u) continue
    const [own, others] = [
      secretsOf('root', victim.u),
      v === corrupt ? corruptRoot(world, corrupt) : secretsOf('root', v),
    ]
    const root = own ?? others
    if (!root) throw new Error(`the strategy gives the masks of ${victim.u} and ${v}`)
    const peer = (session.members[(own ? v : victim.u) - 1] as (typeof session.members)[number]).advert.sPk
    const pair = pairOf(maskKeys(root, session.suite), peer, { sid: session.sid, from: victim.u, to: v }, undefined)
    masks.push({ seed: pairMaskSeed(pair, session.sid, victim.u, v), sign: victim.u < v ? 1 : -1 })
  }
  const vector = Uint32Array.from(decodeLanes(world.vectors.of(input.body)))
  openMasker(vector.length).add(vector, opposite(masks), 0)
  return vector
}

function corruptRoot(world: Worlds, corrupt: number): Bytes {
  const held = world.fresh(corrupt).held.look()
  if (!held) throw new Error('a fresh state holds its secrets')
  return held.maskRoot
}
