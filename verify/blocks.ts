import type { z } from 'zod'
import { hear, type Kind, type Said } from '#aggregation/secagg/messages.ts'
import { readAbreast } from '#protocol/abreast.ts'
import { type BundleKind, kindOf } from '#protocol/bundle.ts'
import type { CheckedSeals } from '#protocol/checked-seals.ts'
import { cidOf, codecOf, DAG_CBOR, parseCid } from '#protocol/cid.ts'
import { decode } from '#protocol/codec.ts'
import { unseal } from '#protocol/envelope.ts'
import type { Bytes, Cid, NodeId } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import { type Result, refuse } from '#protocol/result.ts'
import { readSealed, type Sealed, type SealedType } from '#protocol/sealed.ts'
import { fileSizeOf, NotAFile, readFile } from '#protocol/unixfs.ts'
import type { Checked } from './verdict.ts'

/** Where blocks come from: a bundle, a folder, a gateway. It need not be trusted; undefined when it has no such block. */
export type BlockSource = (cid: Cid) => Promise<Bytes | undefined>

/**
 * The one refusal that is thrown: a block that is missing or not what its CID says can turn up under any reader, deep in a
 * stream. Caught where the verification starts.
 */
export class BadBlock extends Error {
  override name = 'BadBlock'
  /** Else it is there, and another one. */
  readonly isMissing: boolean

  constructor(message: string, isMissing: boolean) {
    super(message)
    this.isMissing = isMissing
  }
}

/** Throws {@link BadBlock} unless the bytes are the block that the CID names. */
export function checkBlock(cid: Cid, bytes: Bytes | undefined): Bytes {
  if (bytes === undefined) throw new BadBlock(`${cid} is missing`, true)
  if (bytes.length > BLOCK_BYTES_MAX)
    throw new BadBlock(`${cid} has ${bytes.length} bytes, at most ${BLOCK_BYTES_MAX}`, false)
  if (!parseCid(cid).ok || cidOf(codecOf(cid), bytes) !== cid) throw new BadBlock(`${cid} names other bytes`, false)
  return bytes
}

type SignedBy<T> = { readonly from: NodeId; readonly value: T }

/** Reads a record's blocks, each one hashed every time it is read, and counts what it has checked. */
export class Blocks {
  readonly #source: BlockSource
  readonly #checked: CheckedSeals | undefined
  readonly #seen = new Set<Cid>()
  #bytes = 0
  #signatures = 0

  /** @param checked seals that the caller has checked itself; a verifier has none */
  constructor(source: BlockSource, checked?: CheckedSeals) {
    this.#source = source
    this.#checked = checked
  }

  get checked(): Checked {
    return { blocks: this.#seen.size, bytes: this.#bytes, signatures: this.#signatures }
  }

  /** A manifest. */
  async read<S extends z.ZodType>(cid: Cid, schema: S): Promise<Result<z.output<S>>> {
    if (codecOf(cid) !== DAG_CBOR) return refuse('malformed', `${cid} is not DAG-CBOR`)
    return decode(schema, await this.#block(cid), BLOCK_BYTES_MAX)
  }

  /** A signed object, by its seal's CID: of this type and, where `from` is given, by that key. */
  async signed<T extends SealedType>(cid: Cid, type: T, from?: NodeId): Promise<Result<SignedBy<Sealed<T>>>> {
    if (codecOf(cid) !== DAG_CBOR) return refuse('malformed', `${cid} is not DAG-CBOR`)
    const signed = await readSealed(cid, type, (block) => this.#block(block), this.#checked)
    if (!signed.ok) return signed
    this.#signatures++
    return from === undefined || signed.value.from === from ? signed : refuse('wrong-signer', signed.value.from)
  }

  /** A message of a session of secure aggregation, by its seal's CID: of this kind, whoever it is by. */
  async said<K extends Kind>(kind: K, cid: Cid): Promise<Result<Said<K>>> {
    if (codecOf(cid) !== DAG_CBOR) return refuse('malformed', `the ${kind} ${cid} is not DAG-CBOR`)
    const signed = await unseal(await this.#block(cid), (block) => this.#block(block), this.#checked)
    const said = signed.ok ? hear(kind, signed.value) : signed
    if (!said.ok) return refuse(said.refusal, `the ${kind} ${cid}${said.detail ? `: ${said.detail}` : ''}`)
    this.#signatures++
    return said
  }

  /** Several of one kind, in their order. */
  saidAll<K extends Kind>(kind: K, cids: readonly Cid[]): Promise<Result<readonly Said<K>[]>> {
    return readAbreast(cids, (cid) => this.said(kind, cid))
  }

  /** A file of exactly this size, piece by piece. Throws {@link NotAFile}. */
  async *file(cid: Cid, sizeBytes: number): AsyncIterable<Bytes> {
    if (codecOf(cid) === DAG_CBOR) throw new NotAFile(`${cid} is a manifest`)
    const size = fileSizeOf({ cid, bytes: await this.#block(cid) })
    if (!size.ok || size.value !== sizeBytes) throw new NotAFile(`${cid} is not a file of ${sizeBytes} bytes`)
    yield* readFile(cid, 0, sizeBytes, (part) => this.#block(part))
  }

  /** What the root of a record is, by its seal. */
  async kindOf(root: Cid): Promise<BundleKind> {
    return kindOf({ cid: root, bytes: await this.#block(root) })
  }

  /** Whether the first block of each of these files is here. Throws {@link BadBlock} where it is another. */
  async haveAll(files: Iterable<Cid>): Promise<boolean> {
    for (const cid of files) {
      const bytes = await this.#source(cid)
      if (bytes === undefined) return false
      checkBlock(cid, bytes)
    }
    return true
  }

  /** The same of a vector, the one thing that goes missing by itself. */
  async *vector(cid: Cid, sizeBytes: number): AsyncIterable<Bytes> {
    try {
      yield* this.file(cid, sizeBytes)
    } catch (cause) {
      if (!(cause instanceof BadBlock) || !cause.isMissing) throw cause
      throw new BadBlock(`${cause.message}, of a vector: --without-vectors verifies all but the sum`, true)
    }
  }

  async #block(cid: Cid): Promise<Bytes> {
    const bytes = checkBlock(cid, await this.#source(cid))
    if (!this.#seen.has(cid)) {
      this.#seen.add(cid)
      this.#bytes += bytes.length
    }
    return bytes
  }
}
