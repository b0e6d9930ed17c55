import { createRunSchema } from '#coordinator/api/schemas.ts'
import { sha256 } from '#crypto'
import { utf8 } from '#protocol/bytes.ts'
import { BlockFile } from '#sim/block-file.ts'
import { federate } from '#sim/federation.ts'
import { TOY_TASK, toyTrainer } from '#sim/toy.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'

/** A process that simulates so many sites, 20 of them in each of a few rounds, and prints what it grew by, in bytes. */
const sites = Number(process.argv[2])
const cohort = { min: 20, max: 20, quorum: 20 }
const order = createRunSchema.parse({ task: TOY_TASK, rounds: 4, budget: '1', masking: 'none', cohort })
using file = new BlockFile()
const before = process.memoryUsage.rss()
await federate({
  ...{ seed: sha256(utf8('bench')), sites, order, abreast: 4, tell: () => undefined },
  // Of many rows a site has no more than the task takes.
  trainerOf: (site) => toyTrainer(site % 100),
  ...{ blobs: openMemoryBlobs({ blocks: file }), signal: new AbortController().signal },
})
process.stdout.write(String(process.memoryUsage.rss() - before))
