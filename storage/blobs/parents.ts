import { codecOf, RAW } from '#protocol/cid.ts'
import type { Block } from '#protocol/envelope.ts'
import { type Part, partsOf } from '#protocol/file-node.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'

/** Which leaf of an earlier file stands where a leaf of a later one does, of files that were made one from the other. */
export class Parents {
  readonly #kept: (cid: Cid) => Promise<Bytes | undefined>
  /** The last file of each kind, the kind that was read longest ago first. */
  readonly #last = new Map<string, Cid>()
  /** Blocks of the file that is being read, as far as they have been named, each with the one that it was made from. */
  readonly #pairs = new Map<Cid, Cid | undefined>()

  /** What others say of leaves that they ask for, the earliest first. */
  readonly #said = new Map<Cid, Cid>()

  /** @param kept a block that was read before and is here still */
  constructor(kept: (cid: Cid) => Promise<Bytes | undefined>) {
    this.#kept = kept
  }

  /** A file is about to be read, which was made from the last of its kind. */
  expect(file: Cid, kind: string): void {
    const last = this.#last.get(kind)
    this.#last.delete(kind)
    this.#last.set(kind, file)
    const [oldest] = this.#last.keys()
    if (this.#last.size > KINDS_MAX && oldest !== undefined) this.#last.delete(oldest)
    if (last === file) return
    this.#pairs.clear()
    this.#pairs.set(file, last)
  }

  /** Whether it is of the file that is being read, as far as is known. */
  expects(cid: Cid): boolean {
    return this.#pairs.has(cid)
  }

  /** An inner node is here: what it names pairs with what its parent's does. */
  async learn(block: Block): Promise<void> {
    if (codecOf(block.cid) === RAW || !this.#pairs.has(block.cid)) return
    const before = this.#pairs.get(block.cid)
    const bytes = before && (await this.#kept(before))
    const [now, then] = [partsIn(block), bytes ? partsIn({ cid: before, bytes }) : []]
    for (const [index, { cid, sizeBytes }] of now.entries()) {
      const other = then[index]
      if (this.#pairs.size >= PAIRS_MAX) return
      this.#pairs.set(cid, other?.sizeBytes === sizeBytes && other.cid !== cid ? other.cid : undefined)
    }
  }

  /** Somebody else who reads a file says so. At worst a difference is asked for that is none the shorter. */
  suggest(leaf: Cid, from: Cid): void {
    this.#said.delete(leaf)
    this.#said.set(leaf, from)
    const [earliest] = this.#said.keys()
    if (this.#said.size > SAID_MAX && earliest !== undefined) this.#said.delete(earliest)
  }

  /** What this leaf was made from, as far as is known. */
  named(leaf: Cid): Cid | undefined {
    return codecOf(leaf) === RAW ? (this.#pairs.get(leaf) ?? this.#said.get(leaf)) : undefined
  }

  /** The leaf that this one was made from, if it is here. */
  async of(leaf: Cid): Promise<Block | undefined> {
    const cid = this.named(leaf)
    const bytes = cid && codecOf(cid) === RAW ? await this.#kept(cid) : undefined
    return cid && bytes && { cid, bytes }
  }

  /** What was made of a difference was not what it should be: this file's leaves are fetched whole. */
  doubt(): void {
    for (const cid of this.#pairs.keys()) this.#pairs.set(cid, undefined)
    this.#said.clear()
  }
}

function partsIn(block: Block): readonly Part[] {
  const parts = partsOf(block)
  return parts.ok ? parts.value : []
}

const SAID_MAX = 256
const KINDS_MAX = 16
/** Leaves of the largest model, and the nodes above them. */
const PAIRS_MAX = 2048
