import type { z } from 'zod'
import { type MaskCt, maskCtListSchema } from '#aggregation/secagg/messages.ts'
import { assert } from '#protocol/assert.ts'
import { type BundleForm, bundleOf } from '#protocol/bundle.ts'
import { concat, once } from '#protocol/bytes.ts'
import { cidOf, DAG_CBOR } from '#protocol/cid.ts'
import { encode } from '#protocol/codec.ts'
import { type Block, type Signed, sealOf } from '#protocol/envelope.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { importFile } from '#protocol/unixfs.ts'

/** Most of what is kept was kept before, by another record. */
const seals = new WeakMap<Signed, ReturnType<typeof sealOf>>()

function sealed(signed: Signed): ReturnType<typeof sealOf> {
  const made = seals.get(signed) ?? sealOf(signed)
  seals.set(signed, made)
  return made
}

/** Blocks in the order they were made. */
export class Store {
  readonly blocks = new Map<Cid, Bytes>()

  readonly #keep = async ({ cid, bytes }: Block): Promise<void> => {
    this.blocks.set(cid, Uint8Array.from(bytes))
  }

  async block<S extends z.ZodType>(schema: S, value: z.output<S>): Promise<Cid> {
    const bytes = encode(schema, value)
    const cid = cidOf(DAG_CBOR, bytes)
    await this.#keep({ cid, bytes })
    return cid
  }

  maskCts(list: readonly MaskCt[]): Promise<Cid> {
    return this.block(maskCtListSchema, list)
  }

  file(array: Float32Array | Uint32Array): Promise<Cid> {
    return importFile(once(new Uint8Array(array.buffer, array.byteOffset, array.byteLength)), this.#keep)
  }

  async sealed(signed: Signed): Promise<Cid> {
    const { seal, body } = sealed(signed)
    await this.#keep(body)
    await this.#keep(seal)
    return seal.cid
  }
}

/** The bundle of what is under a root. */
export async function fileUnder(
  root: Cid,
  blocks: ReadonlyMap<Cid, Bytes>,
  form: BundleForm = { vectors: true },
): Promise<Bytes> {
  const parts: Bytes[] = []
  const block = async (cid: Cid) => {
    const bytes = blocks.get(cid)
    assert(bytes, `the record holds ${cid}`)
    return bytes
  }
  for await (const part of bundleOf(root, block, form)) parts.push(part)
  return concat(...parts)
}
