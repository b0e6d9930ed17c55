import { describe, expect, test } from '@jest/globals'
import { Datasets } from '#coordinator/datasets.ts'
import { datasetSchema, type PublicDataset } from '#protocol/dataset.ts'
import { virtualClock } from '#sim/virtual-clock.ts'
import { openMemoryLog } from '#storage/logs/memory.ts'
import { signer } from './live.ts'

const NOW = 1_800_000_000_000
const MINUTE = 60_000
const [ann, ben] = [signer('ann').id, signer('ben').id]
const table = (name: string): PublicDataset => ({
  ...{ kind: 'table', name, rowsAtLeast: 64 },
  columns: [{ name: 'age', kind: 'number' }],
})

function opened(bounds?: ConstructorParameters<typeof Datasets>[1]) {
  const doors = { log: openMemoryLog(), clock: virtualClock(NOW) }
  return { ...doors, datasets: new Datasets(doors, bounds) }
}
const namesOf = async (datasets: Datasets) => (await datasets.all()).map(({ dataset }) => dataset.name)

describe('what a node publishes', () => {
  test('is what it said last, whichever process heard it, until it takes it back', async () => {
    const { log, clock, datasets } = opened()
    expect(await datasets.publish(ann, 1, table('a'))).toMatchObject({ ok: true })
    const other = new Datasets({ log, clock })
    expect(await other.publish(ann, 2, table('b'))).toMatchObject({ refusal: 'too-often' })
    await clock.advance(MINUTE)
    expect(await other.publish(ann, 3, table('b'))).toMatchObject({ ok: true })
    expect(await namesOf(datasets)).toEqual(['b'])
    // Taken back at once, also by whoever has just said something else; and an old frame says nothing.
    expect(await datasets.publish(ann, 4, null)).toMatchObject({ ok: true })
    expect(await other.publish(ann, 3, table('b'))).toMatchObject({ refusal: 'replayed' })
    for (const each of [datasets, other, new Datasets({ log, clock })]) expect(await namesOf(each)).toEqual([])
  })

  test('told again says nothing new, and what was never said is not taken back: no entry', async () => {
    const { log, datasets } = opened()
    await datasets.publish(ben, 1, null)
    await datasets.publish(ann, 1, table('a'))
    await datasets.publish(ann, 2, table('a'))
    expect(await log.head('datasets')).toBe(1)
  })

  test('takes no more of the disk in a day, and of the memory, than is set aside for it', async () => {
    const { log, clock, datasets } = opened({ nodes: 2, dayEntries: 3, entries: 5 })
    const publish = async (name: string) => (await datasets.publish(signer(name).id, 1, table(name))).ok
    const tried = [await publish('a'), await publish('b'), await publish('c'), await publish('d')]
    expect([tried, (await namesOf(datasets)).sort()]).toEqual([
      [true, true, true, false],
      ['b', 'c'],
    ])
    await clock.advance(24 * 60 * MINUTE)
    expect([await publish('e'), await publish('f'), await publish('g'), await log.head('datasets')]).toEqual([
      ...[true, true, false],
      5,
    ])
  })
})

test.each([
  ['rows that are no power of two', { rowsAtLeast: 65 }],
  ['a column that draws on a terminal', { columns: [{ name: 'a\u001b[2J', kind: 'number' }] }],
  ['a column that turns the text around it', { columns: [{ name: 'a\u202eb', kind: 'number' }] }],
  ['levels of a column', { columns: [{ name: 'a', kind: 'category', levels: [0, 1] }] }],
  [
    'more than a frame holds',
    { columns: Array.from({ length: 512 }, (_, at) => ({ name: `${at}`.repeat(30), kind: 'text' })) },
  ],
  ['a name with spaces', { name: 'a b' }],
])('is no dataset: one with %s', (_what, change) => {
  expect(datasetSchema.safeParse({ ...table('a'), ...change }).success).toBe(false)
})
