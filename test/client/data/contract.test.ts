import { expect, test } from '@jest/globals'
import { applyImageContract, applyTableContract } from '#client/data/contract.ts'
import type { Dataset } from '#client/data/dataset.ts'
import { rowsIn } from '#client/data/idx.ts'
import { featuresOf } from '#protocol/features.ts'
import type { ImageContract, TableContract } from '#protocol/task.ts'
import { valuesOf } from './rows.ts'
import { tableFrom } from './table.ts'

const seed = new Uint8Array(32)

const contract: TableContract = {
  kind: 'table',
  columns: [
    { kind: 'number', name: 'age', gaps: true },
    { kind: 'category', name: 'cp', levels: [1, 2, 4], gaps: true },
    { kind: 'number', name: 'chol', gaps: false },
  ],
  label: { column: 'num', rule: 'not-zero', classes: 2 },
  rowsMax: 100,
}
const text = `num,age,cp,chol,other
0,50,1,200,x
3,60,2,,x
,99,9,1,x
1,,4,210,x
0,70,,200,x
2,40,4,240,x`.replace('3,60,2,,x', '3,60,2,220,x')

async function rowOf(dataset: Dataset, row: number): Promise<number[]> {
  return [...(await valuesOf(dataset, Int32Array.of(row)))]
}

test('rows become features as the contract says, by what the training rows alone know', async () => {
  const dataset = applyTableContract(tableFrom(text), contract, seed)
  expect(dataset.shape).toEqual(featuresOf(contract))
  expect([...dataset.labels]).toEqual([0, 1, 1, 0, 1])
  expect(dataset.dropped).toBe(1)
  expect(dataset.heldOut).toHaveLength(1)
  const ages = [50, 60, undefined, 70, 40]
  const known = [...dataset.train].flatMap((row) => ages[row] ?? [])
  const mean = known.reduce((sum, age) => sum + age, 0) / known.length
  const deviation = Math.sqrt(known.reduce((sum, age) => sum + (age - mean) ** 2, 0) / (known.length - 1))
  const levels = [1, 2, 4, undefined, 4]
  const trained = [...dataset.train].flatMap((row) => levels[row] ?? [])
  const share = (level: number) => trained.filter((each) => each === level).length / trained.length
  for (const [row, age] of ages.entries()) {
    const level = levels[row]
    const features = await rowOf(dataset, row)
    expect(features[0]).toBeCloseTo(age === undefined ? 0 : (age - mean) / deviation, 5)
    expect(features[1]).toBe(age === undefined ? 1 : 0)
    expect(features[2]).toBeCloseTo(level === undefined ? share(2) : Number(level === 2), 6)
    expect(features[3]).toBeCloseTo(level === undefined ? share(4) : Number(level === 4), 6)
    expect(features[4]).toBe(level === undefined ? 1 : 0)
  }
})

test('rows of a batch are what each is alone, in any order and as often as it is asked for', async () => {
  for (const columns of [contract.columns, contract.columns.filter(({ kind }) => kind === 'number')]) {
    const dataset = applyTableContract(tableFrom(text), { ...contract, columns }, seed)
    const order = [3, 0, 3, 2, 4, 1]
    const alone = await Promise.all(order.map((row) => rowOf(dataset, row)))
    expect([...(await valuesOf(dataset, Int32Array.from(order)))]).toEqual(alone.flat())
  }
})

test('a column that says one thing everywhere is zero, not no number', async () => {
  const flat = `age,num\n${'7,0\n7,1\n'.repeat(5)}`
  const columns = [{ kind: 'number', name: 'age', gaps: false }] as const
  const dataset = applyTableContract(tableFrom(flat), { ...contract, columns }, seed)
  for (let row = 0; row < 10; row++) expect(await rowOf(dataset, row)).toEqual([0])
})

test('integer labels are the classes themselves', () => {
  const classes: TableContract = { ...contract, label: { column: 'num', rule: 'integer', classes: 4 } }
  expect([...applyTableContract(tableFrom(text), classes, seed).labels]).toEqual([0, 3, 1, 0, 2])
})

const label = (rule: 'integer' | 'not-zero', classes: number) => ({ label: { column: 'num', rule, classes } })
test('of several labels each is read by itself, a row that has none is left out, and a rare one is in both parts', () => {
  const several: TableContract = {
    ...{ ...contract, columns: [{ kind: 'number', name: 'x', gaps: false }] },
    label: { rule: 'multi-label', labels: [{ column: 'a' }, { column: 'b', positiveMicro: 2_000_000 }] },
  }
  const some = applyTableContract(tableFrom('x,a,b\n1,1,0\n2,,1\n3,,\n4,0,'), several, seed)
  expect([...some.labels]).toEqual([1, 0, Number.NaN, 1, 0, Number.NaN])
  expect(some.dropped).toBe(1)
  expect(some.train.length + some.heldOut.length).toBe(3)
  expect(() => applyTableContract(tableFrom('x,a,b\n1,1,0\n2,-1,1'), several, seed)).toThrow(
    'data-contract: column a holds a label other than 0 and 1',
  )
  // One row in ten has b, each of these a as well.
  const rows = Array.from({ length: 100 }, (_, row) => `${row},${row % 2},${row % 10 === 1 ? 1 : 0}`)
  const { heldOut, labels } = applyTableContract(tableFrom(['x,a,b', ...rows].join('\n')), several, seed)
  expect([...heldOut].filter((row) => labels[2 * row + 1] === 1)).toHaveLength(2)
  expect([...heldOut].filter((row) => labels[2 * row] === 1)).toHaveLength(10)
})

test.each<[string, string, Partial<TableContract>, string]>([
  ['a missing column', text.replace('age', 'years'), {}, 'data-contract: no column age'],
  ['a missing label', text.replace('num', 'target'), {}, 'data-contract: no column num'],
  ['text', text.replace('60,', 'sixty,'), {}, 'data-contract: column age holds text, first in line 3'],
  [
    'an unexpected gap',
    text.replace('220', ''),
    {},
    'data-contract: column chol has gaps, which its contract does not expect',
  ],
  ['an unknown level', text.replace('60,2', '60,77'), {}, 'data-contract: column cp holds a level other than 1, 2, 4'],
  [
    'a label too high',
    text,
    label('integer', 3),
    "data-contract: column num holds a label outside the contract's 3 classes",
  ],
  [
    'a broken label',
    text.replace('3,60', '0.5,60'),
    label('integer', 4),
    "data-contract: column num holds a label outside the contract's 4 classes",
  ],
  ['no labelled row', 'num,age,cp,chol\n,1,1,1\n', {}, 'no-data: no labelled row to train on'],
])('%s is refused by name, and no value is in the words', (_, text, changes, message) => {
  let said = ''
  try {
    applyTableContract(tableFrom(text), { ...contract, ...changes }, seed)
  } catch (cause) {
    said = (cause as Error).message
  }
  expect(said).toBe(message)
})

test('a site with more rows than the task takes has a random sample of them, the same in every round', async () => {
  const count = 1000
  const x = (row: number) => row % 3
  const lines = Array.from({ length: count }, (_, row) => `${x(row)},${row % 5 === 0 ? '' : x(row)}`)
  const table = tableFrom(['x,y', ...lines].join('\n'))
  const large: TableContract = {
    kind: 'table',
    columns: [{ kind: 'category', name: 'x', levels: [0, 1, 2], gaps: false }],
    label: { column: 'y', rule: 'integer', classes: 3 },
    rowsMax: 60,
  }
  const sampled = applyTableContract(table, large, seed)
  expect(sampled).toMatchObject({ dropped: count / 5, labelled: (count * 4) / 5 })
  expect([sampled.labels.length, sampled.train.length, sampled.heldOut.length]).toEqual([60, 48, 12])
  for (const [row, label] of sampled.labels.entries())
    expect(await rowOf(sampled, row)).toEqual([Number(label === 1), Number(label === 2)])
  const again = applyTableContract(table, large, seed)
  expect([again.labels, again.train]).toEqual([sampled.labels, sampled.train])
  expect(applyTableContract(table, large, new Uint8Array(32).fill(1)).labels).not.toEqual(sampled.labels)
  expect(applyTableContract(table, { ...large, rowsMax: 800 }, seed).labels).toHaveLength(800)
})

test('of several labels a sampled row keeps its own', async () => {
  const lines = Array.from({ length: 200 }, (_, row) => `${row % 2},${row % 2},${1 - (row % 2)}`)
  const several: TableContract = {
    ...{ kind: 'table', rowsMax: 30, columns: [{ kind: 'category', name: 'x', levels: [0, 1], gaps: false }] },
    label: { rule: 'multi-label', labels: [{ column: 'a' }, { column: 'b' }] },
  }
  const { labels, ...sampled } = applyTableContract(tableFrom(['x,a,b', ...lines].join('\n')), several, seed)
  expect(labels).toHaveLength(60)
  for (let row = 0; row < 30; row++) {
    const [is] = await rowOf({ labels, ...sampled }, row)
    expect([labels[2 * row], labels[2 * row + 1]]).toEqual([is, 1 - (is as number)])
  }
})

const images: ImageContract = { kind: 'image', height: 2, width: 2, channels: 1, classes: 3, rowsMax: 5 }
const files = {
  images: { sides: [3, 2, 2], bytes: Uint8Array.from({ length: 12 }, (_, index) => index * 23) },
  labels: { sides: [3], bytes: Uint8Array.of(0, 2, 1) },
}

const apply = ({ images: idx, labels }: typeof files, contract = images) =>
  applyImageContract({ images: rowsIn(idx), labels }, contract, seed)

test('pixels are scaled to 0…1', async () => {
  const dataset = apply(files)
  const pixels = [8, 9, 10, 11, 0, 1, 2, 3].map((index) => Math.fround((index * 23) / 255))
  expect([...(await valuesOf(dataset, Int32Array.of(2, 0)))]).toEqual(pixels)
  expect([...dataset.labels]).toEqual([0, 2, 1])
})

test('of more images than the task takes each keeps its label', async () => {
  const sides = [250, 1, 1]
  const many = {
    images: rowsIn({ sides, bytes: Uint8Array.from({ length: 250 }, (_, row) => row) }),
    labels: { sides: [250], bytes: Uint8Array.from({ length: 250 }, (_, row) => row % 3) },
  }
  const dataset = applyImageContract(many, { ...images, height: 1, width: 1, rowsMax: 40 }, seed)
  const shown = Array.from(dataset.labels, (_, row) => row)
  const rows = await Promise.all(shown.map(async (row) => Math.round(255 * ((await rowOf(dataset, row))[0] as number))))
  expect(new Set(rows).size).toBe(40)
  expect(rows.map((row) => row % 3)).toEqual([...dataset.labels])
})

test.each<[string, typeof files, Partial<ImageContract>, string]>([
  ['another size', files, { width: 3 }, 'data-contract: images of [2, 2, 1], where the contract says [2, 3, 1]'],
  [
    'a label too few',
    { ...files, labels: { sides: [2], bytes: Uint8Array.of(0, 1) } },
    {},
    'data-contract: another number of labels than of images',
  ],
  ['a label too high', files, { classes: 2 }, "data-contract: a label outside the contract's 2 classes"],
])('images with %s are refused by name', (_, files, changes, message) => {
  expect(() => apply(files, { ...images, ...changes })).toThrow(message)
})
