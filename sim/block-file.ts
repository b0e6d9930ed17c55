import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Bytes, Cid } from '#protocol/ids.ts'
import type { Blocks } from '#storage/blobs/memory.ts'

/**
 * Blocks in one file that is gone with its process: what a long simulation keeps for its record is more than its memory
 * should hold. Nothing is ever synced, and what is deleted leaves its place behind.
 */
export class BlockFile implements Blocks, Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'consilium-sim-'))
  readonly #file = openSync(join(this.#folder, 'blocks'), 'w+', 0o600)
  readonly #places = new Map<Cid, { readonly at: number; readonly length: number }>()
  #end = 0

  has(cid: Cid): boolean {
    return this.#places.has(cid)
  }

  get(cid: Cid): Bytes | undefined {
    const place = this.#places.get(cid)
    if (!place) return undefined
    const block = new Uint8Array(place.length)
    readSync(this.#file, block, 0, place.length, place.at)
    return block
  }

  set(cid: Cid, block: Bytes): void {
    writeSync(this.#file, block, 0, block.length, this.#end)
    this.#places.set(cid, { at: this.#end, length: block.length })
    this.#end += block.length
  }

  delete(cid: Cid): boolean {
    return this.#places.delete(cid)
  }

  [Symbol.dispose](): void {
    closeSync(this.#file)
    rmSync(this.#folder, { recursive: true, force: true })
  }
}
