import type { Signer } from '#protocol/envelope.ts'
import type { Bytes, NodeId } from '#protocol/ids.ts'
import type { SharePair } from './channel.ts'
import { erase, type Secrets } from './derive.ts'
import type { Mask } from './mask.ts'
import type { Body, Said } from './messages.ts'
import type { RulePolicy } from './parameters.ts'
import type { Session, Sharing, Survival } from './session.ts'

/** Where a member stands in a session, and what it then holds. */
export type Site = RulePolicy & {
  readonly signer: Signer
  /** The pinned key. */
  readonly coordinator: NodeId
  /** The pinned allow-list; `open` admits strangers, and then masks protect from nobody who can invent members. */
  readonly allowed: ReadonlySet<NodeId> | 'open'
  readonly publish: readonly Body<'Roster'>['publish'][]
}

export type Chance = (lengthBytes: number) => Bytes
export type Step<Next, Say> = { readonly next: Next; readonly say: Say }

export type Advertised = {
  readonly phase: 'advertised'
  readonly site: Site
  readonly advert: Said<'Advert'>
  readonly held: Held<Secrets>
}
export type Shared = {
  readonly phase: 'shared'
  readonly site: Site
  readonly session: Session
  readonly u: number
  readonly keys: Said<'ShareKeys'>
  /** The last U2 that was heard of, if it was refused for its boxes. */
  readonly heard: Said<'Shared'> | undefined
  readonly held: Held<Secrets>
}
export type Keyed = {
  readonly phase: 'keyed'
  readonly site: Site
  readonly sharing: Sharing
  readonly u: number
  readonly held: Held<Agreed>
}
export type Masked = {
  readonly phase: 'masked'
  readonly site: Site
  readonly sharing: Sharing
  readonly u: number
  readonly input: Said<'MaskedInput'>
  readonly held: Held<Kept>
}
export type Confirmed = {
  readonly phase: 'confirmed'
  readonly site: Site
  readonly survival: Survival
  readonly u: number
  readonly held: Held<Kept>
}
export type Spent = { readonly phase: 'spent' }

/** Zeroes what a state holds, without a word: an advert that expired, a session that nobody waits for. */
export function eraseState(state: Advertised | Shared | Keyed | Masked | Confirmed): boolean {
  switch (state.phase) {
    case 'advertised':
    case 'shared':
      return eraseHeld(state.held, erase)
    case 'keyed':
      return eraseHeld(state.held, eraseAgreed)
    case 'masked':
    case 'confirmed':
      return eraseHeld(state.held, eraseKept)
  }
}

function eraseHeld<S>(held: Held<S>, erase: (secrets: S) => void): boolean {
  const secrets = held.take()
  if (secrets) erase(secrets)
  return secrets !== undefined
}

export function sessionOf(state: Shared | Keyed | Masked | Confirmed): Session {
  switch (state.phase) {
    case 'shared':
      return state.session
    case 'keyed':
    case 'masked':
      return state.sharing.session
    case 'confirmed':
      return state.survival.sharing.session
  }
}

/**
 * A member's secrets in their one place. A step that succeeds takes them on to the next state, and the state that it left
 * has none: kept or copied, it can do nothing any more. Private, so that no log or JSON shows them.
 */
export class Held<S> {
  #secrets: S | undefined

  constructor(secrets: S) {
    this.#secrets = secrets
  }

  /** Looked at, by a step that may yet refuse. */
  look(): S | undefined {
    return this.#secrets
  }

  take(): S | undefined {
    const secrets = this.#secrets
    this.#secrets = undefined
    return secrets
  }
}

/** What a member holds of the others: for each dealer, one share of either kind. */
export type Shares = ReadonlyMap<number, SharePair>
/** A mask for each member: the one in common, and under one's own index one's own. */
export type Masks = ReadonlyMap<number, Mask>
/** With the keys agreed, before masking. */
export type Agreed = { readonly secrets: Secrets; readonly shares: Shares; readonly masks: Masks }
/** After masking: what unmasking needs, and no more. */
export type Kept = { readonly self: Bytes; readonly shares: Shares }

/** Of fewer members; what was held of the others is zeroed. */
export function narrowed({ secrets, shares, masks }: Agreed, members: ReadonlyMap<number, unknown>): Agreed {
  for (const [v, pair] of shares) if (!members.has(v)) eraseShares(new Map([[v, pair]]))
  for (const [v, { seed }] of masks) if (!members.has(v)) seed.fill(0)
  const within = <T>(all: ReadonlyMap<number, T>) => new Map([...all].filter(([v]) => members.has(v)))
  return { secrets, shares: within(shares), masks: within(masks) }
}

function eraseAgreed({ secrets, shares, masks }: Agreed): void {
  erase(secrets)
  eraseShares(shares)
  for (const { seed } of masks.values()) seed.fill(0)
}

export function eraseKept({ self, shares }: Kept): void {
  self.fill(0)
  eraseShares(shares)
}

export function eraseShares(shares: Shares): void {
  for (const { root, self } of shares.values()) {
    root.fill(0)
    self.fill(0)
  }
}
