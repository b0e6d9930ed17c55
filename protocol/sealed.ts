import type { z } from 'zod'
import type { CheckedSeals } from './checked-seals.ts'
import { decode, encode } from './codec.ts'
import { type OpenRefusal, type Signed, type Signer, sealOf, unseal } from './envelope.ts'
import type { Bytes, Cid, NodeId } from './ids.ts'
import { BLOCK_BYTES_MAX } from './limits.ts'
import { manifestTypes } from './manifest.ts'
import type { BlobStore } from './ports.ts'
import { accept, type Result, refuse } from './result.ts'

/** Signed objects in a blob store: two blocks each, named by the seal's CID. */
export type SealedType = keyof typeof manifestTypes
export type Sealed<T extends SealedType> = z.output<(typeof manifestTypes)[T]>

/** Signs an object, to be said or to be kept together with others. Ed25519 is deterministic: again gives the same CID. */
export function signAs<T extends SealedType>(signer: Signer, type: T, value: Sealed<T>): Signed {
  return signer.sign(type, encode(manifestTypes[type] as z.ZodType, value))
}

/** Signs and keeps an object. */
export async function keepSealed<T extends SealedType>(
  blobs: BlobStore,
  signer: Signer,
  type: T,
  value: Sealed<T>,
): Promise<Cid> {
  const { seal, body } = sealOf(signAs(signer, type, value))
  // At once, so that a seal never points at nothing.
  await blobs.putBlocks([body, seal])
  return seal.cid
}

export type SealedRefusal = OpenRefusal | 'wrong-type'

/** Opens the object under a seal's CID: signature, type and shape. Who signed it is for the caller to judge. */
export async function readSealed<T extends SealedType>(
  cid: Cid,
  type: T,
  block: (cid: Cid) => Promise<Bytes>,
  checked?: CheckedSeals,
): Promise<Result<{ readonly from: NodeId; readonly value: Sealed<T> }, SealedRefusal>> {
  const signed = await unseal(await block(cid), block, checked)
  if (!signed.ok) return signed
  if (signed.value.type !== type) return refuse('wrong-type', `${cid} is a ${signed.value.type}, not a ${type}`)
  const value = decode(manifestTypes[type] as z.ZodType, signed.value.body, BLOCK_BYTES_MAX)
  return value.ok ? accept({ from: signed.value.from, value: value.value as Sealed<T> }) : value
}
