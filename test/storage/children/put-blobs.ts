import { writeSync } from 'node:fs'
import { openFileBlobs } from '#storage/blobs/files.ts'
import { contentOf, inPieces } from '#test/content.ts'

/** Puts and deletes for ever, four at a time, and says each as it is acknowledged. Killed by its test. */
const [folder = '', life = '', shared = ''] = process.argv.slice(2)
const blobs = await openFileBlobs({ folder, quotaBytes: 2 ** 30, shared: shared !== '' })

async function work(worker: number): Promise<void> {
  for (let index = 0; ; index++) {
    const seed = `${life}/${worker}/${index}`
    const size = index % 3 === 0 ? 2 ** 21 + 17 * index : 1 + 1000 * index
    const cid = await blobs.put(inPieces(contentOf(seed, size), 100_000), size)
    writeSync(1, `put ${cid} ${seed} ${size}\n`)
    if (index % 4 !== 3) continue
    writeSync(1, `deleting ${cid}\n`)
    await blobs.delete(cid)
    writeSync(1, `deleted ${cid}\n`)
  }
}

await Promise.all([0, 1, 2, 3].map(work))
