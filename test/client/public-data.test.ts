import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { openDataset } from '#client/data/dataset.ts'
import { shareOf } from '#client/data/share.ts'
import type { Policy } from '#client/policy.ts'
import { publicTrainer, takesPublicOnly } from '#client/public-data.ts'
import { sha256 } from '#crypto'
import { once, toHex, utf8 } from '#protocol/bytes.ts'
import { signerOf } from '#protocol/envelope.ts'
import type { NodeId } from '#protocol/ids.ts'
import type { LocalUpdate, TrainingTask } from '#protocol/ports.ts'
import { accept } from '#protocol/result.ts'
import { shareSeed } from '#protocol/seeds.ts'
import { TOY_TASK } from '#sim/toy.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { valuesOf } from './data/rows.ts'

const seedOf = (text: string) => sha256(utf8(text))
const nodes = ['a', 'b'].map((name) => signerOf(seedOf(name)).id)
const never = new AbortController().signal
const table = ['x,y,z', ...Array.from({ length: 40 }, (_, row) => `${row},${row % 7},${row % 2}`)].join('\n')

test('a share is so many different rows in file order, and another one by another seed', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 200 }), fc.integer({ min: 1, max: 250 }), fc.string(), (rows, most, text) => {
      const share = shareOf(rows, most, seedOf(text))
      expect(share).toHaveLength(Math.min(rows, most))
      expect([...new Set(share)].sort((a, b) => a - b)).toEqual(share)
      expect(share.every((row) => row >= 0 && row < rows)).toBe(true)
      expect(shareOf(rows, most, seedOf(text))).toEqual(share)
    }),
  )
  expect(shareOf(1000, 10, seedOf('a'))).not.toEqual(shareOf(1000, 10, seedOf('b')))
})

test('each node without data trains on its own share of the public rows, read and checked once', async () => {
  const blobs = openMemoryBlobs()
  const cid = await blobs.put(once(utf8(table)), 10_000)
  let reads = 0
  const counting: Pick<typeof blobs, 'get'> = {
    get(...asked) {
      reads++
      return blobs.get(...asked)
    },
  }
  const data = { ...TOY_TASK.data, rowsMax: 10 } as const
  const task = { ...TOY_TASK, seed: seedOf('task'), data, publicData: { kind: 'csv', table: cid } }
  const training = { task, holdoutSeed: seedOf('holdout') } as unknown as TrainingTask
  const rows = await Promise.all(
    nodes.map(async (node) => {
      const seen: number[][] = []
      const trainer = publicTrainer(
        {
          backend: 'toy',
          async fitOn(brought) {
            const dataset = await openDataset(brought, () => Promise.reject(new Error('no file')))(
              data,
              seedOf('holdout'),
            )
            expect(dataset.train.length + dataset.heldOut.length).toBe(10)
            const values = await valuesOf(dataset, Int32Array.from(dataset.labels.keys()))
            seen.push([...values].filter((_, index) => index % 2 === 1))
            return {} as LocalUpdate
          },
        },
        { blobs: counting, node },
      )
      await trainer.fit(new Float32Array(3), training, never)
      await trainer.fit(new Float32Array(3), training, never)
      expect(seen[0]).toEqual(seen[1])
      return seen[0]
    }),
  )
  expect(reads).toBe(2)
  expect(rows[0]).not.toEqual(rows[1])
})

test('two tasks that name the same files deal them out by their own seeds, whichever came first', async () => {
  const blobs = openMemoryBlobs()
  const cid = await blobs.put(once(utf8(table)), 10_000)
  const [node] = nodes as [NodeId]
  const seeds: string[] = []
  const trainer = publicTrainer(
    {
      backend: 'toy',
      async fitOn(brought) {
        if (brought.kind === 'share') seeds.push(`${toHex(brought.seed)} ${brought.key}`)
        return {} as LocalUpdate
      },
    },
    { blobs, node },
  )
  const order = ['one', 'two', 'one']
  for (const name of order) {
    const task = { ...TOY_TASK, seed: seedOf(name), publicData: { kind: 'csv', table: cid } }
    await trainer.fit(new Float32Array(3), { task } as unknown as TrainingTask, never)
  }
  expect(seeds.map((text) => text.split(' ')[0])).toEqual(order.map((name) => toHex(shareSeed(seedOf(name), node))))
  expect(new Set(seeds).size).toBe(2)
})

test('such a node declines what names no public data, and judges the rest by its policy', () => {
  const policy = takesPublicOnly(() => accept(undefined))
  const of = (publicData?: object) => ({ kind: 'training', task: { publicData } }) as unknown as Parameters<Policy>[0]
  expect(policy(of())).toMatchObject({ ok: false, refusal: 'no-public-data' })
  expect(policy(of({ kind: 'csv' }))).toEqual({ ok: true, value: undefined })
  expect(policy({ kind: 'asking' } as unknown as Parameters<Policy>[0]).ok).toBe(true)
})
