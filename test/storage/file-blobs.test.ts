import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll } from '@jest/globals'
import { openFileBlobs } from '#storage/blobs/files.ts'
import { blobStoreConformance } from '#test/conformance/blobs.ts'
import { temporaryFolder } from '#test/content.ts'

const shared = await temporaryFolder()
afterAll(async () => {
  await shared[Symbol.asyncDispose]()
})

blobStoreConformance('files', () => openFileBlobs({ folder: shared.path, quotaBytes: 2 ** 30 }), {
  damage: (cid, bytes) => writeFile(join(shared.path, 'blocks', cid.at(-2) as string, cid), bytes),
})
