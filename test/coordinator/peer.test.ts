import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { parseArguments } from '#cli/arguments.ts'
import type { Command } from '#cli/command.ts'
import { COMMANDS } from '#cli/commands.ts'
import { startProcess } from '#cli/demo/process.ts'
import { EXIT } from '#cli/failure.ts'
import { libp2pOf } from '#cli/libp2p.ts'
import { once } from '#protocol/bytes.ts'
import { openFileBlobs } from '#storage/blobs/files.ts'
import { consilium } from '#test/cli/command.ts'
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

test('where its packages are not installed, the flag says how to install them; without the flag nothing is missed', async () => {
  await using folder = await temporaryFolder()
  const away = `import{registerHooks}from'node:module';registerHooks({resolve(name,context,next){if(name==='libp2p')throw(Object.assign(new(Error),{code:'ERR_MODULE_NOT_FOUND'}));return(next(name,context))}})`
  const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(away)}` }
  const up = ['coordinator', 'up', '--open', '--port', '0', '--state', folder.path]
  const { code, stderr } = await consilium([...up, '--libp2p', LISTEN], { env })
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr: expect.stringContaining('npm install libp2p @libp2p/crypto @libp2p/identify @libp2p/noise'),
  })
  await using coordinator = await startProcess('coordinator', folder.path, up, [
    'env',
    `NODE_OPTIONS=${env.NODE_OPTIONS}`,
  ])
  expect(await coordinator.first('coordinator.ready')).not.toHaveProperty('libp2p')
})

test.each([
  ['--libp2p', '/ip4/127.0.0.1/udp/4001/quic-v1'],
  ['--libp2p', '/dns4/coordinator.example/tcp/4001'],
  ['--libp2p-peer', '/dnsaddr/bootstrap.example'],
  ['--libp2p-peer', 'peer.example:4001'],
])('%s does not take %s', (flag, address) => {
  const up = COMMANDS.find(({ name }) => name === 'coordinator up') as Command
  const args = parseArguments(up, ['--open', flag, address], {})
  expect(() => libp2pOf(args)).toThrow(
    expect.objectContaining({ exit: EXIT.usage, message: expect.stringContaining(address) }),
  )
})
