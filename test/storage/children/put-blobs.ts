import { writeSync } from 'node:fs'
import { once } from '#protocol/bytes.ts'
import type { Block } from '#protocol/envelope.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { importFile } from '#protocol/unixfs.ts'
import { openFileBlobs } from '#storage/blobs/files.ts'
import { contentOf, inPieces } from '#test/content.ts'

/** Puts, in parts as well, and deletes for ever, four at a time, and says each as it is acknowledged. Killed by its test. */
const [folder = '', life = '', shared = ''] = process.argv.slice(2)
const blobs = await openFileBlobs({ folder, quotaBytes: 2 ** 30, shared: shared !== '' })

async function work(worker: number): Promise<void> {
  for (let index = 0; ; index++) {
    const seed = `${life}/${worker}/${index}`
    const size = index % 3 === 0 ? 2 ** 21 + 17 * index : 1 + 1000 * index
    const bytes = contentOf(seed, size)
    const cid = index % 2 === 0 ? await putInParts(bytes) : await blobs.put(inPieces(bytes, 100_000), size)
    writeSync(1, `put ${cid} ${seed} ${size}\n`)
    if (index % 4 !== 3) continue
    writeSync(1, `deleting ${cid}\n`)
    await blobs.delete(cid)
    writeSync(1, `deleted ${cid}\n`)
  }
}

async function putInParts(bytes: Bytes): Promise<Cid> {
  const blocks: Block[] = []
  const root = await importFile(once(bytes), async (block) => void blocks.push(block))
  for (const block of blocks) await blobs.putParts(root, [block], Number.MAX_SAFE_INTEGER)
  if (!(await blobs.finish(root))) throw new Error(`${root} is not whole`)
  return root
}

await Promise.all([0, 1, 2, 3].map(work))
