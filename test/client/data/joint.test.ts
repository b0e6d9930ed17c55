import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { type DataSource, openDataset } from '#client/data/dataset.ts'
import { DataFault } from '#client/data/fault.ts'
import { formatIdx } from '#client/data/idx.ts'
import { inMemory } from '#client/data/source.ts'
import { readTokens, tokeniserOf } from '#client/data/tokens.ts'
import { utf8 } from '#protocol/bytes.ts'
import { featuresOf } from '#protocol/features.ts'
import { TrainingRefused } from '#protocol/ports.ts'
import { type DataContract, dataContractSchema, type JointContract, type TextContract } from '#protocol/task.ts'
import { valuesOf } from './rows.ts'

const seed = new Uint8Array(32)
const csv = `age,note,weight
50,the cat sat,61.5
60,,70
70,"Sat, SAT! the café",
80,a dog,90.25
`
const pixels = Uint8Array.from({ length: 4 * 2 * 2 }, (_, index) => 10 * index)
const files: Readonly<Record<string, Uint8Array>> = {
  'site.csv': utf8(csv),
  'images.idx': formatIdx({ sides: [4, 2, 2], bytes: pixels }),
  'three.idx': formatIdx({ sides: [3, 2, 2], bytes: pixels.subarray(0, 12) }),
}
const open = async (path: string) => inMemory(path, files[path] as Uint8Array)
const table: DataSource = { kind: 'csv', path: 'site.csv' }
const both: DataSource = { kind: 'joint', table: 'site.csv', images: 'images.idx' }

const label = { column: 'weight', rule: 'number', centreMicro: 70_000_000, scaleMicro: 10_000_000 } as const
const words = { kind: 'words', vocabulary: ['the', 'sat', 'café'] } as const
const text: TextContract = { kind: 'text', column: 'note', tokens: words, length: 3, label, rowsMax: 10 }
const joint: JointContract = {
  kind: 'joint',
  parts: [
    { kind: 'image', height: 2, width: 2, channels: 1 },
    { kind: 'table', columns: [{ kind: 'category', name: 'age', levels: [50, 60, 70, 80], gaps: false }] },
    { kind: 'text', column: 'note', tokens: words, length: 2 },
  ],
  label,
  rowsMax: 10,
}

async function rowsUnder(source: DataSource, contract: DataContract): Promise<number[][]> {
  const dataset = await openDataset(source, open)(contract, seed)
  expect(dataset.shape).toEqual(featuresOf(contract))
  const rows = Int32Array.from(dataset.labels.keys())
  const width = dataset.shape.reduce((product, side) => product * side, 1)
  const values = await valuesOf(dataset, rows)
  return [...rows].map((row) => [...values.subarray(row * width, (row + 1) * width)])
}

test('a number is predicted by the public scale, and rows without one are left out', async () => {
  const { labels, dropped, train, heldOut } = await openDataset(table, open)(text, seed)
  expect([...labels]).toEqual([-0.85, 0, 2.025].map(Math.fround))
  expect(dropped).toBe(1)
  expect([...train, ...heldOut].toSorted()).toEqual([0, 1, 2])
})

test("a label that a contract's scale makes infinite is refused, and its value is in no word", async () => {
  const tiny = { ...label, scaleMicro: 1 }
  const huge = async (path: string) => inMemory(path, utf8('note,weight\na,9e305\n'))
  const opened = openDataset(table, huge)({ ...text, label: tiny }, seed)
  await expect(opened).rejects.toThrow(
    "data-contract: column weight holds a label that its contract's scale does not bear",
  )
})

test('text is its first words by the vocabulary, and what is short is filled up', async () => {
  expect(await rowsUnder(table, text)).toEqual([
    [2, 1, 3],
    [0, 0, 0],
    [1, 1, 0],
  ])
  expect([...tokeniserOf(words)('Sat, SAT! the cafe\u0301 cafés')]).toEqual([3, 3, 2, 4, 1])
  const bytes = { ...text, tokens: { kind: 'bytes' }, length: 4 } as const
  expect((await rowsUnder(table, bytes))[2]).toEqual([98, 33, 101, 112])
  expect([...tokeniserOf({ kind: 'bytes' })('é')]).toEqual([0xc3 + 1, 0xa9 + 1])
})

test('every text has tokens that its contract counts, whatever is in it', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 30 }), (anything) => {
      for (const token of [...tokeniserOf({ kind: 'bytes' })(anything)]) {
        expect(token).toBeGreaterThanOrEqual(1)
        expect(token).toBeLessThanOrEqual(256)
      }
      for (const token of [...tokeniserOf(words)(anything)]) expect([1, 2, 3, 4]).toContain(token)
    }),
  )
})

test('a joint row is its parts in their order, each of the row that has the label', async () => {
  const shade = (index: number) => Math.fround((10 * index) / 255)
  const image = (row: number) => [0, 1, 2, 3].map((pixel) => shade(4 * row + pixel))
  expect(await rowsUnder(both, joint)).toEqual([
    [...image(0), 0, 0, 0, 2, 1],
    [...image(1), 1, 0, 0, 0, 0],
    [...image(3), 0, 0, 1, 1, 1],
  ])
  expect(await rowsUnder(both, text)).toEqual(await rowsUnder(table, text))
})

const images: DataContract = { kind: 'image', height: 2, width: 2, channels: 1, classes: 2, rowsMax: 10 }
test.each<[string, DataSource, DataContract, string]>([
  ['text that is not there', table, { ...text, column: 'words' }, 'no column words'],
  ['a label that is not there', table, { ...text, label: { ...label, column: 'w' } }, 'no column w'],
  ['a table where images belong too', table, joint, 'the task is about a table with images, this site has a table'],
  ['both where labels of images belong', both, images, 'the task is about images, this site has a table with images'],
  [
    'images of fewer rows',
    { ...both, images: 'three.idx' } as DataSource,
    joint,
    'another number of images than of rows of the table',
  ],
  [
    'images of another size',
    both,
    { ...joint, parts: [{ kind: 'image', height: 4, width: 1, channels: 1 }, ...joint.parts.slice(1)] },
    'images of [2, 2, 1], where the contract says [4, 1, 1]',
  ],
])('%s is refused by name', async (_, source, contract, message) => {
  const opened = openDataset(source, open)(contract, seed)
  await expect(opened).rejects.toThrow(TrainingRefused)
  await expect(opened).rejects.toThrow(`data-contract: ${message}`)
})

test('tokens that would fill a memory are refused before they do', async () => {
  expect(await readTokens(await open('site.csv'), text, 12)).toHaveLength(256 * 3)
  await expect(readTokens(await open('site.csv'), text, 11)).rejects.toThrow(
    'site.csv: more than 11 tokens, where a row has 3',
  )
})

test('a share of a public table has the texts of its own rows', async () => {
  const lines = Array.from({ length: 40 }, (_, row) => `${'sat '.repeat(row % 4)},${row % 4}`)
  const of = { kind: 'csv', table: utf8(`note,weight\n${lines.join('\n')}\n`) } as const
  const source = { kind: 'share', key: 'one', of, seed } as const
  const plain = { ...label, centreMicro: 0, scaleMicro: 1_000_000 }
  const dataset = await openDataset(source, open)({ ...text, label: plain, rowsMax: 15 }, seed)
  expect(dataset.labels).toHaveLength(15)
  const values = await valuesOf(dataset, Int32Array.from(dataset.labels.keys()))
  for (const [row, words] of dataset.labels.entries())
    expect([...values.subarray(3 * row, 3 * row + 3)]).toEqual([0, 1, 2].map((at) => (at < words ? 3 : 0)))
})

test('a source that failed is opened anew, and what it is then counts', async () => {
  let [now, broken] = [files, true]
  const opened = openDataset(table, async (path) => {
    const file = inMemory(path, now[path] as Uint8Array)
    // It is read once for the numbers, and again for the text.
    let turns = 0
    const read: typeof file.read = async (pieces) => {
      if (++turns === 2 && broken) throw new DataFault('changed')
      return file.read(pieces)
    }
    return { ...file, read }
  })
  await expect(opened(text, seed)).rejects.toThrow(DataFault)
  now = { 'site.csv': utf8('note,weight\nsat,1\n') }
  broken = false
  const { labels } = await opened(text, seed)
  expect(labels).toHaveLength(1)
})

test('contracts that say nothing sound are no contracts', () => {
  expect(dataContractSchema.safeParse(joint).success).toBe(true)
  expect(dataContractSchema.safeParse(text).success).toBe(true)
  const [image, columns] = joint.parts
  const wrong: readonly unknown[] = [
    { ...joint, parts: [image] },
    { ...joint, parts: [columns, columns] },
    { ...joint, parts: [image, image] },
    { ...text, tokens: { kind: 'words', vocabulary: ['a', 'a'] } },
    { ...text, tokens: { kind: 'words', vocabulary: [] } },
    { ...text, tokens: { kind: 'bytes', vocabulary: ['a'] } },
    { ...text, length: 4097 },
    { ...text, label: { ...label, scaleMicro: 0 } },
    { ...text, label: { ...label, centreMicro: 0.5 } },
    { ...text, label: { ...label, classes: 2 } },
    { ...text, label: { column: 'weight', rule: 'integer' } },
  ]
  for (const each of wrong) expect(dataContractSchema.safeParse(each).success).toBe(false)
})
