import { expect, test } from '@jest/globals'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { chromiumPath } from '#test/chromium.ts'
import { blobStoreConformance } from '#test/conformance/blobs.ts'
import { eventLogConformance } from '#test/conformance/logs.ts'
import { openIndexedStores } from '#test/storage/indexed.ts'

/** What a page keeps, in a real browser: a journal that forgets, or an outbox, is a seat that answers twice. */
const chromium = chromiumPath()
if (!chromium) {
  process.stderr.write('skipped: there is no Chromium here (CHROMIUM, or on the PATH) whose IndexedDB could be tried\n')
  test.skip('IndexedDB keeps what Node keeps', () => undefined)
} else {
  eventLogConformance('IndexedDB', async () => {
    const stores = await openIndexedStores(chromium, 'log')
    return { ...stores.log, [Symbol.asyncDispose]: () => stores[Symbol.asyncDispose]() }
  })

  let damage: (cid: Cid, bytes: Bytes) => Promise<void>
  blobStoreConformance(
    'IndexedDB',
    async () => {
      const stores = await openIndexedStores(chromium, 'blobs')
      damage = stores.damage
      return { ...stores.blobs, [Symbol.asyncDispose]: () => stores[Symbol.asyncDispose]() }
    },
    { damage: (cid, bytes) => damage(cid, bytes) },
  )

  test('a secret is the same at the next visit, and no script can take out what it is sealed by', async () => {
    await using stores = await openIndexedStores(chromium, 'secret')
    const first = (await stores.call('secret', 'node')) as Bytes
    expect(first).toHaveLength(32)
    expect(await stores.call('secret', 'node')).toEqual(first)
    expect(await stores.call('secret', 'other')).not.toEqual(first)
    expect(await stores.call('extractable', 'node')).toBe(false)
  })
}
