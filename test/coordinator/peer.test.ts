import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { once } from '#protocol/bytes.ts'
import { openFileBlobs } from '#storage/blobs/files.ts'
import { contentOf } from '#test/content.ts'
import { temporaryFolder } from '#test/folder.ts'
import { loopbackPeer } from '#test/libp2p.ts'
import { live } from './live.ts'

const LISTEN = '/ip4/127.0.0.1/tcp/0'

test('any IPFS peer is given the public blocks of a coordinator that listens for them, and no withheld ones nor boxes', async () => {
  await using folder = await temporaryFolder()
  const state = folder.path
  const cids = []
  for (const name of ['blobs', 'withheld', 'vault']) {
    await using store = await openFileBlobs({ folder: join(state, name), quotaBytes: 2 ** 20 })
    cids.push(await store.put(once(contentOf(name, 1000)), 1000))
  }
  await using server = await live({ state, libp2p: { listen: [LISTEN], peers: [] } })
  await using stranger = await loopbackPeer({ peers: server.coordinator.libp2p })
  const answers = []
  for (const cid of cids) answers.push((await stranger.want(cid))?.length)
  // Undefined is what it was told, not what it gave up waiting for: that would have been thrown, after half a minute.
  expect(answers).toEqual([1000, undefined, undefined])
})

test('its libp2p key is its own, kept from others, and the same when it starts again', async () => {
  await using folder = await temporaryFolder()
  const state = folder.path
  const ids: unknown[] = []
  for (let start = 0; start < 2; start++) {
    await using server = await live({ state, libp2p: { listen: [LISTEN], peers: [] } })
    ids.push(server.coordinator.libp2p.map((address) => address.split('/p2p/')[1]))
  }
  expect(ids[0]).toEqual([expect.stringMatching(/^12D3KooW/)])
  expect(ids[1]).toEqual(ids[0])
  expect((await stat(join(state, 'libp2p.key'))).mode & 0o777).toBe(0o600)
  expect(await readFile(join(state, 'libp2p.key'))).not.toEqual(await readFile(join(state, 'coordinator.key')))
})
