import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { BrokenInvariant } from '#protocol/assert.ts'
import { toHex, utf8 } from '#protocol/bytes.ts'
import { SNAPSHOT_BYTES_MAX } from '#protocol/limits.ts'
import type { Snapshots } from '#protocol/ports.ts'
import { contentOf } from '#test/content.ts'

/**
 * What all Snapshots promise.
 *
 * @param open snapshots that nobody else uses; closed after the suite if they can be
 */
export function snapshotsConformance(
  name: string,
  open: () => Promise<Snapshots & Partial<AsyncDisposable>> | (Snapshots & Partial<AsyncDisposable>),
): void {
  describe(`snapshots: ${name}`, () => {
    let snapshots: Snapshots & Partial<AsyncDisposable>
    beforeAll(async () => {
      snapshots = await open()
    })
    afterAll(async () => {
      await snapshots[Symbol.asyncDispose]?.()
    })

    const latestOf = async (stream: string) => {
      const found = await snapshots.latest(stream)
      return found && `${found.position} ${new TextDecoder().decode(found.state)}`
    }

    test('of a stream that has none there is none', async () => {
      expect(await snapshots.latest('never')).toBeUndefined()
    })

    test('the latest is kept, whatever the order in which they come', async () => {
      for (const position of [3, 10, 7, 0, 12, 11])
        await snapshots.keep('run', { position, state: utf8(`at ${position}`) })
      expect(await latestOf('run')).toBe('12 at 12')
      const positions = Array.from({ length: 50 }, (_, at) => (at * 37) % 50)
      await Promise.all(
        positions.map((position) => snapshots.keep('race', { position, state: utf8(`at ${position}`) })),
      )
      expect(await latestOf('race')).toBe('49 at 49')
    })

    test('streams have nothing to do with one another', async () => {
      for (const stream of ['a', 'a:b', 'b']) await snapshots.keep(stream, { position: 1, state: utf8(stream) })
      expect(await Promise.all(['a', 'a:b', 'b', ':b'].map(latestOf))).toEqual(['1 a', '1 a:b', '1 b', undefined])
    })

    test('a state of nothing is a state, and so is the largest; a larger one is our own mistake', async () => {
      await snapshots.keep('empty', { position: 0, state: new Uint8Array() })
      expect(await latestOf('empty')).toBe('0 ')
      const state = contentOf('largest state', SNAPSHOT_BYTES_MAX)
      await snapshots.keep('large', { position: 1, state })
      const back = await snapshots.latest('large')
      expect(back?.state).toHaveLength(SNAPSHOT_BYTES_MAX)
      expect(toHex(back?.state.slice(-64) ?? utf8(''))).toBe(toHex(state.slice(-64)))
      const larger = contentOf('larger state', SNAPSHOT_BYTES_MAX + 1)
      await expect(snapshots.keep('large', { position: 2, state: larger })).rejects.toThrow(BrokenInvariant)
    })

    test('what is kept is not changed by who holds the array', async () => {
      const state = Buffer.from('as it was')
      const kept = snapshots.keep('mutable', { position: 1, state })
      state.fill(0)
      await kept
      ;(await snapshots.latest('mutable'))?.state.fill(0)
      expect(await latestOf('mutable')).toBe('1 as it was')
    })
  })
}
