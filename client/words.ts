import type { Parcel, Said } from '#aggregation/secagg/messages.ts'
import { partsOf } from '#aggregation/secagg/parcel.ts'
import { ATTACHED_EXTRA_BYTES, type Block, type Signed, sealOf } from '#protocol/envelope.ts'
import type { Cid, Millis } from '#protocol/ids.ts'
import type { ClientMessage } from '#protocol/messages.ts'

/** What a node says of a round, without what every such frame has: to whom, about which round, with which number. */
export type Utterance = Stripped<Exclude<ClientMessage, { readonly kind: 'hello' | 'report' }>>
type Stripped<M> = M extends unknown ? Omit<M, 'to' | 'seq' | 'run' | 'round'> : never

/** An utterance with the blocks that travel beside it: said again, it is the same blocks in a new frame. */
export type Word = { readonly utterance: Utterance; readonly blocks: readonly Block[] }

export function joinWord(advert: Signed): Word {
  const { cid, blocks } = kept(advert)
  return { utterance: { kind: 'join', advert: cid }, blocks }
}

/** Keys with the first part of the boxes, and the other parts each in a frame of their own. */
export function dealWords(keys: Said<'ShareKeys'>, parcel: Parcel): readonly Word[] {
  const { cid, blocks } = kept(keys.signed)
  const besideBytes = blocks.reduce((sum, { bytes }) => sum + bytes.length + ATTACHED_EXTRA_BYTES, 0)
  const parts = partsOf(parcel, besideBytes)
  return parts.map((block, part) => ({
    utterance: { kind: 'deal', keys: cid, parcel: block.cid, part, parts: parts.length },
    blocks: part === 0 ? [...blocks, block] : [block],
  }))
}

export function agreeWord(shared: Cid): Word {
  return { utterance: { kind: 'agree', shared }, blocks: [] }
}

export function objectWord(shared: Cid, complaints: readonly Signed[]): Word {
  const said = complaints.map(kept)
  return {
    utterance: { kind: 'object', shared, complaints: said.map(({ cid }) => cid) },
    blocks: said.flatMap(({ blocks }) => blocks),
  }
}

/** @param given what goes beside it: the message itself, and the vector unless that was uploaded */
export function submitWord(input: Signed, vector: Cid, trainMillis: Millis, given: readonly Block[]): Word {
  return { utterance: { kind: 'submit', input: kept(input).cid, vector, trainMillis }, blocks: given }
}

export function confirmWord(confirm: Signed): Word {
  const { cid, blocks } = kept(confirm)
  return { utterance: { kind: 'confirm', confirm: cid }, blocks }
}

export function unmaskWord(unmask: Signed): Word {
  const { cid, blocks } = kept(unmask)
  return { utterance: { kind: 'unmask', unmask: cid }, blocks }
}

export function abandonWord(abandon: Signed): Word {
  const { cid, blocks } = kept(abandon)
  return { utterance: { kind: 'abandon', abandon: cid }, blocks }
}

/** The two blocks of a signed message. */
export function blocksOf(signed: Signed): readonly Block[] {
  return kept(signed).blocks
}

function kept(signed: Signed): { readonly cid: Cid; readonly blocks: readonly Block[] } {
  const { seal, body } = sealOf(signed)
  return { cid: seal.cid, blocks: [body, seal] }
}
