import { type Body, type Kind, type Said, say } from '#aggregation/secagg/messages.ts'
import type { SessionRecord } from '#aggregation/secagg/verification.ts'
import { type Signer, sealOf, signerOf } from '#protocol/envelope.ts'
import type { Cid, Round } from '#protocol/ids.ts'
import type { RoundRecord, SeatRecord, SessionManifest } from '#protocol/manifest.ts'
import type { Plan, Secure } from '#protocol/plan.ts'
import { flip } from '#test/conformance/crypto.ts'
import type { Hooks, Shape } from './fixture.ts'
import type { Lie } from './lies.ts'
import { type Backstage, certifiedAnew } from './masked.ts'

/** How lies about a masked round are told: always of round 2, in which member 4 of 5 drops out after it shared its keys. */

export const stranger = signerOf(new Uint8Array(32).fill(77))
export const PUBLIC: Secure = { suite: 1, corrupt: 1, publish: 'full' }
const ROUND = 2
const SHAPE: Shape = { secure: PUBLIC, nodes: 5, losses: { 1: { mask: [5] }, 2: { mask: [4] } }, until: ROUND }

export function lie(what: string, hooks: Hooks, shape: Shape = {}): Lie {
  return [what, ROUND, hooks, { ...SHAPE, ...shape }]
}

type Change = NonNullable<Hooks['record']>

/** What was said in the session. */
export function record(change: Change): Hooks {
  return { record: (said, at) => (at.act.round === ROUND ? change(said, at) : {}) }
}

export function manifest(change: (manifest: RoundRecord) => Partial<RoundRecord>): Hooks {
  return { manifest: (honest) => (honest.round === ROUND ? { ...honest, ...change(honest) } : honest) }
}

/** What the manifest names of the session. */
export function links(change: (session: SessionManifest, manifest: RoundRecord) => Partial<SessionManifest>): Hooks {
  return manifest((honest) => ({
    session: honest.session && { ...honest.session, ...change(honest.session, honest) },
  }))
}

export function seat(at: number, change: (seats: readonly SeatRecord[]) => Partial<SeatRecord>): Hooks {
  return manifest(({ seats }) => ({ seats: seats.with(at, { ...(seats[at] as SeatRecord), ...change(seats) }) }))
}

export function plan(change: (plan: Plan) => Partial<Plan>): Hooks {
  return { plan: (honest) => (honest.round === ROUND ? { ...honest, ...change(honest) } : honest) }
}

/** … how it says that the round is masked. */
export function secured(change: Partial<Secure>): Hooks {
  return plan(({ secure }) => ({ secure: secure && { ...secure, ...change } }))
}

/** One lane of the vector of seat 1, before it is masked. */
export function lane(index: number, value: number): Hooks {
  return { vector: (lanes, { round, seat }) => (round === ROUND && seat === 1 ? lanes.with(index, value) : lanes) }
}

export function ciphertexts(change: NonNullable<Hooks['ciphertexts']>): Hooks {
  return { ciphertexts: (lists, at) => (at.act.round === ROUND ? change(lists, at) : lists) }
}

type Single = 'roster' | 'shared' | 'survivors' | 'certificate' | 'result'
type Words<K extends Single> = (
  body: SessionRecord[K]['body'],
  at: Backstage,
  said: SessionRecord,
) => Partial<SessionRecord[K]['body']>

/** The coordinator's message with other words, signed again by it. */
export function words<K extends Single>(name: K, change: Words<K>): Hooks {
  return record((said, at) => ({
    [name]: again(said[name] as Said<Kind>, at.coordinator, change(said[name].body, at, said) as object),
  }))
}

/** … with the same words, signed by another. */
export function signedBy(name: Single, by: (at: Backstage) => Signer): Hooks {
  return record((said, at) => ({ [name]: again(said[name] as Said<Kind>, by(at), {}) }))
}

export function params(change: Partial<Body<'Roster'>['params']>): Hooks {
  return words('roster', (body) => ({ params: { ...body.params, ...change } }))
}

export function again<K extends Kind>(said: Said<K>, by: Signer, change: Partial<Body<K>>): Said<K> {
  return say(by, said.kind, { ...said.body, ...change })
}

/** One bit of the signature is another. */
export function bent<K extends Kind>(said: Said<K>): Said<K> {
  const signed = { ...said.signed, signature: flip(said.signed.signature, 9) }
  return { ...said, signed, cid: sealOf(signed).seal.cid }
}

/** Member 1. */
export const own = (at: Backstage): Signer => at.members[0] as Signer
export const other = (at: Backstage): Signer => at.members[1] as Signer
export const earlier = (at: Backstage, round: Round = 1): SessionRecord => at.earlier.get(round) as SessionRecord

/** Member 1's advert is another, and the roster names that. */
export function advert(change: (said: Said<'Advert'>, at: Backstage) => Said<'Advert'>): Hooks {
  return record((said, at) => {
    const lied = change(said.adverts[0] as Said<'Advert'>, at)
    const members = said.roster.body.members.with(0, { id: own(at).id, advert: lied.cid })
    return { adverts: said.adverts.with(0, lied), roster: again(said.roster, at.coordinator, { members }) }
  })
}

/** Member 1's shares are others, and U2 names those. */
export function shares(change: (said: Said<'ShareKeys'>, at: Backstage) => Said<'ShareKeys'>): Hooks {
  return record((said, at) => {
    const lied = change(said.keys[0] as Said<'ShareKeys'>, at)
    const list = said.shared.body.list.with(0, { u: 1, cid: lied.cid })
    return { keys: said.keys.with(0, lied), shared: again(said.shared, at.coordinator, { list }) }
  })
}

/** Member 1's input is another, and U3 names that. */
export function input(change: (said: Said<'MaskedInput'>, at: Backstage) => Said<'MaskedInput'>): Hooks {
  return record((said, at) => {
    const lied = change(said.inputs[0] as Said<'MaskedInput'>, at)
    const list = said.survivors.body.list.with(0, { u: 1, cid: lied.cid })
    return { inputs: said.inputs.with(0, lied), survivors: again(said.survivors, at.coordinator, { list }) }
  })
}

/** Member 1's input is another, and all of U3 sign that: everything holds but what the input says of its vector. */
export function confirmed(
  change: (said: SessionRecord, at: Backstage) => Promise<Partial<Body<'MaskedInput'>>> | Partial<Body<'MaskedInput'>>,
): Hooks {
  let update: Cid | undefined
  return {
    ...record(async (said, at) => {
      const lied = again(said.inputs[0] as Said<'MaskedInput'>, own(at), await change(said, at))
      update = lied.cid
      return certifiedAnew(said, said.inputs.with(0, lied), at)
    }),
    ...seat(0, () => (update ? { update } : {})),
  }
}
