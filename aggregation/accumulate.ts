import { assert } from '#protocol/assert.ts'
import type { Bytes } from '#protocol/ids.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { type RingSum, ringSum, TILE_BYTES, TILES } from './kernels/ring.ts'
import type { RingVector } from './vector.ts'

/**
 * The sum of vectors mod 2^32, lane by lane: exact, hence the same for any order of arrival and any cutting into pieces.
 * Four updates are read abreast, tile by tile: what is held is the sum, four tiles and four pieces, whatever the cohort.
 *
 * @param lanes of every vector; whole blocks of 16 bytes, as all vectors are
 * @param sum of vectors before these, which these are added to; after a refusal or a throw it is no sum of anything
 */
export async function accumulate(
  updates: AsyncIterable<AsyncIterable<Bytes>> | Iterable<AsyncIterable<Bytes>>,
  lanes: number,
  sum: RingSum = ringSum(lanes),
): Promise<Result<RingVector, 'wrong-length'>> {
  assert(lanes % 4 === 0, 'a vector is whole blocks of 16 bytes')
  assert(sum.lanes.length === lanes, 'a sum is as long as what is added to it')
  let abreast: Feed[] = []
  let place = 0
  try {
    for await (const update of updates) {
      if (abreast.length === TILES) {
        const refused = await addAbreast(abreast, sum)
        if (refused) return refused
        abreast = []
      }
      abreast.push(new Feed(update, place, sum.tiles[abreast.length] as Bytes))
      place += 1
    }
    return (await addAbreast(abreast, sum)) ?? accept(sum.lanes)
  } finally {
    await Promise.all(abreast.map((feed) => feed.close()))
  }
}

/** Adds up to four updates, from their first byte to their last. */
async function addAbreast(feeds: readonly Feed[], sum: RingSum) {
  const sizeBytes = feeds.length > 0 ? sum.lanes.byteLength : 0
  for (const unused of sum.tiles.slice(feeds.length)) unused.fill(0)
  for (let at = 0; at < sizeBytes; at += TILE_BYTES) {
    const tileBytes = Math.min(TILE_BYTES, sizeBytes - at)
    const thirsty = feeds.filter((feed) => !feed.pour(tileBytes))
    if (thirsty.length > 0) await Promise.all(thirsty.map((feed) => feed.fill(tileBytes)))
    const short = feeds.find((feed) => feed.filledBytes < tileBytes)
    if (short) return refuse('wrong-length', `update ${short.place} is ${at + short.filledBytes} bytes of ${sizeBytes}`)
    sum.addTiles(at, tileBytes)
    for (const feed of feeds) feed.filledBytes = 0
  }
  for (const feed of feeds)
    if (await feed.fill(1)) return refuse('wrong-length', `update ${feed.place} is more than ${sizeBytes} bytes`)
  return undefined
}

/** One update's stream, poured into its tile. */
class Feed {
  readonly place: number
  filledBytes = 0
  readonly #tile: Bytes
  readonly #pieces: AsyncIterator<Bytes>
  #piece: Bytes = new Uint8Array(0)

  constructor(update: AsyncIterable<Bytes>, place: number, tile: Bytes) {
    this.place = place
    this.#tile = tile
    this.#pieces = update[Symbol.asyncIterator]()
  }

  /** Fills the tile from the piece at hand, without waiting. @returns whether it is full */
  pour(tileBytes: number): boolean {
    const part = this.#piece.subarray(0, tileBytes - this.filledBytes)
    this.#tile.set(part, this.filledBytes)
    this.#piece = this.#piece.subarray(part.length)
    this.filledBytes += part.length
    return this.filledBytes === tileBytes
  }

  /** Fills the tile from the pieces to come. @returns whether it is full; it is not when the stream ends before */
  async fill(tileBytes: number): Promise<boolean> {
    while (!this.pour(tileBytes)) {
      const next = await this.#pieces.next()
      if (next.done) return false
      this.#piece = next.value
    }
    return true
  }

  async close(): Promise<void> {
    await this.#pieces.return?.()
  }
}
