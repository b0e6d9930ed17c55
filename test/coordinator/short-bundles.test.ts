import { expect, test } from '@jest/globals'
import { Publications } from '#coordinator/publications.ts'
import type { Run } from '#coordinator/run.ts'
import { ShortBundles } from '#coordinator/short-bundles.ts'
import { bundleOf } from '#protocol/bundle.ts'
import { collect, concat } from '#protocol/bytes.ts'
import { cidOf, codecOf } from '#protocol/cid.ts'
import type { Cid } from '#protocol/ids.ts'
import { StorageFull } from '#protocol/ports.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { openMemoryLog } from '#storage/logs/memory.ts'
import { recordRun } from '#test/verify/fixture.ts'
import { fileOf, readBundle } from '#verify/bundle.ts'
import { RUN, specOf } from './fixture.ts'
import { started } from './histories.ts'

async function ended() {
  const record = await recordRun({ planned: 1, nodes: 2 })
  const blobs = openMemoryBlobs()
  await blobs.putBlocks([...record.blocks].map(([cid, bytes]) => ({ cid, bytes })))
  const run: Run = { ...started(specOf()), phase: 'ended', manifest: record.root }
  const publications = new Publications(openMemoryLog())
  let puts = 0
  const counted = {
    ...blobs,
    put: (...args: Parameters<typeof blobs.put>) => {
      puts++
      return blobs.put(...args)
    },
  }
  return { record, run, publications, blobs, counted, puts: () => puts }
}

test('the record of a run that has ended is one file without its vectors, made once', async () => {
  const { record, run, publications, blobs, counted, puts } = await ended()
  const bundles = new ShortBundles({ blobs: counted, publications })
  expect(await bundles.of({ ...run, manifest: null } as unknown as Run)).toBeUndefined()
  const [cid, again] = await Promise.all([bundles.of(run), bundles.of(run)])
  expect(again).toBe(cid)
  expect(puts()).toBe(1)
  const file = await collect(blobs.get(cid as Cid, { limitBytes: 2 ** 30 }), 2 ** 30)
  const pieces: Uint8Array[] = []
  for await (const piece of bundleOf(record.root, (name) => blobs.getBlock(name, 2 ** 20), { vectors: false }))
    pieces.push(piece)
  expect(file).toEqual(concat(...pieces))
  const read = await readBundle(fileOf(file))
  expect(read.ok && read.value).toMatchObject({ root: record.root, kind: 'run' })
  // Another life of the process finds it by what was published.
  const published = { provider: 'one', request: 'r1', run: run.spec.run, what: 'bundle', cid: cid as Cid } as const
  await publications.tell({ ...published, place: 2, status: 'queued', at: 1 })
  expect(await new ShortBundles({ blobs: counted, publications }).of(run)).toBe(cid)
  expect(puts()).toBe(1)
})

test('where there is no room there is no bundle, and a fault of the disk is tried again', async () => {
  const { run, publications, counted } = await ended()
  const failing = (cause: Error) => ({
    ...counted,
    put: async () => {
      throw cause
    },
  })
  expect(await new ShortBundles({ blobs: failing(new StorageFull('full')), publications }).of(run)).toBeUndefined()
  let away = true
  const blobs = {
    ...counted,
    put: async (...args: Parameters<typeof counted.put>) => {
      if (away) throw new Error('the disk is away')
      return counted.put(...args)
    },
  }
  const bundles = new ShortBundles({ blobs, publications })
  await expect(bundles.of(run)).rejects.toThrow('away')
  away = false
  const cid = await bundles.of(run)
  expect(cid && codecOf(cid)).toBe(codecOf(cidOf(0x55, new Uint8Array(1))))
  expect(run.spec.run).toBe(RUN)
})
