import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, test } from '@jest/globals'
import type { Bytes } from '#protocol/ids.ts'
import { bounded } from '#storage/blobs/writing.ts'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void
const turn = () => new Promise((resolve) => setImmediate(resolve))

describe('a stream that is bounded', () => {
  test('lets go of each piece that was passed on while more are to come, so that a long one fills no memory', async () => {
    const pieces: WeakRef<Bytes>[] = []
    async function* source(): AsyncIterable<Bytes> {
      for (let index = 0; index < 32; index++) {
        const piece = new Uint8Array(1024)
        pieces.push(new WeakRef(piece))
        yield piece
        await turn()
      }
      collectGarbage()
      await turn()
      collectGarbage()
    }
    for await (const _ of bounded(source(), 2 ** 20, new AbortController().signal));
    await turn()
    expect(pieces.filter((piece) => piece.deref() !== undefined).length).toBeLessThan(8)
  })

  test('obeys an abort while its source has nothing to say, and does not wait for it to end', async () => {
    const stop = new AbortController()
    async function* silent(): AsyncIterable<Bytes> {
      yield new Uint8Array(1)
      await new Promise(() => undefined)
    }
    const read = bounded(silent(), 10, stop.signal)[Symbol.asyncIterator]()
    expect((await read.next()).value).toHaveLength(1)
    const next = read.next()
    stop.abort(new Error('enough'))
    await expect(next).rejects.toThrow('enough')
  })
})
