import type { FilePart } from '#protocol/file-tree.ts'
import type { Cid } from '#protocol/ids.ts'

/** A file on its way, block by block. */
export type OpenUpload = {
  /** What its nodes have named so far: nothing else is taken. */
  readonly parts: Map<Cid, FilePart>
  /** How many of them are being sent. */
  running: number
}

/**
 * The uploads that this process knows of. All of it can be forgotten at any time, with the process or because others are
 * in use: whoever goes on with an upload that is not known opens it again, and sends no part again that is here.
 *
 * @param partsMax of all uploads together; those that were used least recently make room
 */
export class OpenUploads {
  readonly #partsMax: number
  /** By name, the least recently used first. */
  readonly #uploads = new Map<string, OpenUpload>()
  #parts = 0

  constructor(partsMax = PARTS_MAX) {
    this.#partsMax = partsMax
  }

  find(name: string): OpenUpload | undefined {
    const upload = this.#uploads.get(name)
    if (!upload) return undefined
    this.#uploads.delete(name)
    this.#uploads.set(name, upload)
    return upload
  }

  /** What a node of the upload names, the root when it is opened. */
  add(name: string, parts: readonly FilePart[]): void {
    const upload = this.find(name) ?? { parts: new Map(), running: 0 }
    this.#uploads.set(name, upload)
    const before = upload.parts.size
    for (const part of parts) upload.parts.set(part.cid, part)
    this.#parts += upload.parts.size - before
    for (const old of this.#uploads.keys()) {
      if (this.#parts <= this.#partsMax || old === name) return
      this.close(old)
    }
  }

  close(name: string): void {
    this.#parts -= this.#uploads.get(name)?.parts.size ?? 0
    this.#uploads.delete(name)
  }
}

/** Of 1 MiB each: a quarter of a TiB on its way, in about 50 MB of memory. */
const PARTS_MAX = 262_144
