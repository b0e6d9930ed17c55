import { assert } from '../assert.ts'
import type { Bytes } from '../ids.ts'

/** A weights file as it streams, cut where its tensors end: nobody holds more of it than one piece. */
export class WeightsStream implements AsyncDisposable {
  readonly #pieces: AsyncIterator<Bytes>
  #rest: Bytes = new Uint8Array(0)

  constructor(weights: AsyncIterable<Bytes>) {
    this.#pieces = weights[Symbol.asyncIterator]()
  }

  /** The next so many bytes. Throws where the file ends before. */
  async *take(lengthBytes: number): AsyncIterable<Bytes> {
    for (let left = lengthBytes; left > 0; ) {
      if (this.#rest.length === 0) {
        const next = await this.#pieces.next()
        if (next.done) throw new Error(`the weights end ${left} bytes early`)
        this.#rest = next.value
      }
      const piece = this.#rest.subarray(0, left)
      this.#rest = this.#rest.subarray(piece.length)
      left -= piece.length
      if (piece.length > 0) yield piece
    }
  }

  /** Throws where the file goes on. */
  async end(): Promise<void> {
    while (this.#rest.length === 0) {
      const next = await this.#pieces.next()
      if (next.done) return
      this.#rest = next.value
    }
    throw new Error('the weights are longer than their tensors')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pieces.return?.()
  }
}

const FLOAT_BYTES = 4

/** Of a float32 tensor. */
export function tensorBytes(shape: readonly number[]): number {
  const bytes = shape.reduce((product, side) => product * side, FLOAT_BYTES)
  assert(Number.isSafeInteger(bytes), 'a tensor is bounded before')
  return bytes
}
