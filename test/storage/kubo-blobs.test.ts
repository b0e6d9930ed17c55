import { afterAll } from '@jest/globals'
import { toHex } from '#protocol/bytes.ts'
import { digestOf } from '#protocol/cid.ts'
import { openKuboBlobs } from '#storage/blobs/kubo.ts'
import { openKuboRpc } from '#storage/blobs/kubo-rpc.ts'
import { blobStoreConformance } from '#test/conformance/blobs.ts'
import { partsStoreConformance } from '#test/conformance/parts.ts'
import { kuboForTests } from '#test/kubo.ts'
import { startKuboDouble } from '#test/kubo-double.ts'

const double = await startKuboDouble()
afterAll(async () => {
  await double[Symbol.asyncDispose]()
})

const open = (url: string, space: string) => openKuboBlobs({ rpc: openKuboRpc({ url }), space, quotaBytes: 2 ** 30 })

blobStoreConformance('kubo’s double', () => open(double.url, 'blobs'), {
  damage: async (cid, bytes) => void double.blocks.set(toHex(digestOf(cid)), bytes),
})
partsStoreConformance('kubo’s double', () => open(double.url, 'parts'), { numRuns: 3 })

const daemon = await kuboForTests('blobs in a real Kubo daemon')
if (daemon) {
  blobStoreConformance('a Kubo daemon', () => open(daemon.rpcUrl, 'blobs'))
  partsStoreConformance('a Kubo daemon', () => open(daemon.rpcUrl, 'parts'), { numRuns: 3 })
}
