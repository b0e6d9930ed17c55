import { sha256 } from '#crypto'
import { assert } from '#protocol/assert.ts'
import { equalBytes } from '#protocol/bytes.ts'
import type { Bytes } from '#protocol/ids.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import type { RingVector } from '../vector.ts'
import type { Conviction, Revealed } from './aggregator.ts'
import { memberOf, promiseTo } from './agreement.ts'
import { type Kem, maskCiphertext, pairOf } from './channel.ts'
import { type KeyPair, maskKeys, pairMaskSeed, selfMaskSeed } from './derive.ts'
import { decapsulate } from './kem.ts'
import { type Mask, openMasker, opposite } from './mask.ts'
import type { MaskCt } from './messages.ts'
import type { Survival } from './session.ts'

export type RemovalRefusal = 'ciphertext-missing' | 'ciphertext-not-as-signed' | 'dealer-convicted'
export type Removal = {
  readonly masks: Result<readonly Mask[], RemovalRefusal>
  readonly convicted: readonly Conviction[]
}

/**
 * Every mask that a sum over U3 still holds: the survivors' own, and those that survivors have in common with dropouts.
 * Masks between two survivors cancelled in the sum.
 *
 * @param revealed checked against the adverts
 * @param maskCts suite 2: the ciphertexts of survivors to higher dropouts
 */
export function masksOf(survival: Survival, revealed: Revealed, maskCts: readonly MaskCt[]): Removal {
  const { session } = survival.sharing
  const masks: Mask[] = []
  for (const u of survival.inputs.keys()) {
    const seed = revealed.selfSeeds.get(u)
    assert(seed, 'every survivor is revealed')
    masks.push({ seed: selfMaskSeed(seed, session.sid, u), sign: 1 })
  }
  for (const v of survival.dropouts) {
    const root = revealed.roots.get(v)
    assert(root, 'every dropout is revealed')
    const keys = maskKeys(root, session.suite)
    for (const u of survival.inputs.keys()) {
      const kem = kemOf(survival, { u, v, root, keys }, maskCts)
      if (!kem.ok) {
        const convicted = kem.refusal === 'dealer-convicted' ? [{ u: v, of: 'mask-ciphertext' as const }] : []
        return { masks: kem, convicted }
      }
      const pair = pairOf(keys, memberOf(session, u).advert.sPk, { sid: session.sid, from: u, to: v }, kem.value)
      masks.push({ seed: pairMaskSeed(pair, session.sid, u, v), sign: u < v ? 1 : -1 })
    }
  }
  return { masks: accept(masks), convicted: [] }
}

type Between = { readonly u: number; readonly v: number; readonly root: Bytes; readonly keys: KeyPair }

/**
 * R13, step 4: a lower dropout's ciphertext is made again from its root and must be the one it signed, else it lied to u; a
 * higher one's is opened with the key that its root makes.
 */
function kemOf(
  { sharing }: Survival,
  { u, v, root, keys }: Between,
  maskCts: readonly MaskCt[],
): Result<Kem | undefined, RemovalRefusal> {
  const { sKemPk } = memberOf(sharing.session, u).advert
  if (!keys.kem || !sKemPk) return accept(undefined)
  const [low, high] = [Math.min(u, v), Math.max(u, v)]
  const signed = sharing.keys.get(low)
  const promised = signed && promiseTo(signed.body, high).hM
  assert(promised, 'in suite 2 the lower of two signs a ciphertext')
  if (v < u) {
    const made = maskCiphertext(root, sKemPk, sharing.session.sid, u)
    if (equalBytes(sha256(made.ciphertext), promised)) return accept(made)
    return refuse('dealer-convicted', `member ${v} sent member ${u} another ciphertext than its root makes`)
  }
  const sent = maskCts.find((one) => one.u === u && one.v === v)
  if (!sent) return refuse('ciphertext-missing', `from member ${u} to member ${v}`)
  if (!equalBytes(sha256(sent.ct), promised))
    return refuse('ciphertext-not-as-signed', `from member ${u} to member ${v}`)
  return accept({ ciphertext: sent.ct, shared: decapsulate(keys.kem.secretKey, sent.ct) })
}

/**
 * The door that takes masks off a sum, in place: the same bytes by every adapter. When it rejects, with the signal's reason or
 * a fault of the world, the lanes are of no more use.
 *
 * @param masks what `masksOf` found in the sum
 */
export type RemoveMasks = (sum: RingVector, masks: readonly Mask[], signal?: AbortSignal) => Promise<void>

/** On the caller's own thread, which serves its links between the steps: the work of seconds must not look like a dead peer. */
export const removeMasks: RemoveMasks = async (sum, masks, signal) => {
  signal?.throwIfAborted()
  const masker = openMasker(sum.length)
  try {
    for (const _ of masker.steps(sum, opposite(masks), 0)) {
      await turnOfTheLoop()
      signal?.throwIfAborted()
    }
  } finally {
    masker.erase()
  }
}

/**
 * A message to oneself comes after whatever else is due, in Node as in a browser, and needs no clock. Each time by a channel
 * of its own: Node hands over up to a thousand messages of one channel before it looks at anything else.
 */
function turnOfTheLoop(): Promise<void> {
  const { port1, port2 } = new MessageChannel()
  return new Promise((resolve) => {
    const heard = () => {
      port1.close()
      resolve()
    }
    port1.addEventListener('message', heard, { once: true })
    port1.start()
    port2.postMessage(undefined)
  })
}
