import { writeFile } from 'node:fs/promises'
import { afterAll } from '@jest/globals'
import { toHex } from '#protocol/bytes.ts'
import { digestOf } from '#protocol/cid.ts'
import { openKuboBlobs } from '#storage/blobs/kubo.ts'
import { openKuboRpc } from '#storage/blobs/kubo-rpc.ts'
import { blobStoreConformance } from '#test/conformance/blobs.ts'
import { kuboForTests } from '#test/kubo.ts'
import { startKuboDouble } from '#test/kubo-double.ts'

const double = await startKuboDouble()
afterAll(async () => {
  await double[Symbol.asyncDispose]()
})

blobStoreConformance(
  'kubo’s double',
  () => openKuboBlobs({ rpc: openKuboRpc({ url: double.url }), space: 'blobs', quotaBytes: 2 ** 30 }),
  { damage: async (cid, bytes) => void double.blocks.set(toHex(digestOf(cid)), bytes) },
)

const daemon = await kuboForTests('blobs in a real Kubo daemon')
if (daemon)
  blobStoreConformance(
    'a Kubo daemon',
    () => openKuboBlobs({ rpc: openKuboRpc({ url: daemon.rpcUrl }), space: 'blobs', quotaBytes: 2 ** 30 }),
    { damage: (cid, bytes) => writeFile(daemon.fileOf(cid), bytes) },
  )
