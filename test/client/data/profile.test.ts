import { expect, test } from '@jest/globals'
import { applyTableContract } from '#client/data/contract.ts'
import { contractOf, type Profile, profileOf } from '#client/data/profile.ts'
import { dataContractSchema } from '#protocol/task.ts'
import { tableFrom } from './table.ts'

const table = (lines: readonly string[]) => tableFrom(lines.join('\n'))
const numbers = (count: number) => Array.from({ length: count }, (_, index) => index)

/** Twelve patients at each of two hospitals that differ in what they measure. */
const first = table([
  'age,cp,ca,sex,note,one,num',
  ...numbers(12).map((i) => `${30.5 + i},${1 + (i % 2)},${i < 5 ? '' : i % 3},${i % 2},${i},5,${i % 5}`),
])
const second = table([
  'sex,age,cp,ca,note,one,num,extra',
  ...numbers(12).map((i) => `${i % 2},${40 + i},${i === 3 ? '' : 4},${i < 7 ? '' : 1},n${i},5,${i % 2},1`),
])

test('a profile says names, kinds, levels and how much is missing, and no number of rows', () => {
  expect(profileOf(first)).toEqual({
    rowsAtLeast: 8,
    columns: [
      { name: 'age', kind: 'number', levels: [], missingPercent: 0 },
      { name: 'cp', kind: 'category', levels: [1, 2], missingPercent: 0 },
      { name: 'ca', kind: 'category', levels: [0, 1, 2], missingPercent: 42 },
      { name: 'sex', kind: 'category', levels: [0, 1], missingPercent: 0 },
      { name: 'note', kind: 'number', levels: [], missingPercent: 0 },
      { name: 'one', kind: 'category', levels: [5], missingPercent: 0 },
      { name: 'num', kind: 'category', levels: [0, 1, 2, 3, 4], missingPercent: 0 },
    ],
  } satisfies Profile)
})

test('exactly half missing is kept, one row more is not, and one gap in a thousand rows is a gap', () => {
  const column = (missing: number, rows: number) =>
    profileOf(table(['a,b', ...numbers(rows).map((i) => `${i < missing ? '' : i},0`)])).columns[0]?.missingPercent
  expect(column(500, 1000)).toBe(50)
  expect(column(501, 1000)).toBe(51)
  expect(column(1, 1000)).toBe(1)
  expect(column(0, 1000)).toBe(0)
})

test('the contract is what every site can fill: unions, gaps, and nothing that one site lacks', () => {
  const contract = contractOf([profileOf(first), profileOf(second)], 'num', { rowsMax: 50 })
  expect(contract).toEqual({
    ok: true,
    value: {
      kind: 'table',
      columns: [
        { kind: 'number', name: 'age', gaps: false },
        { kind: 'category', name: 'cp', levels: [1, 2, 4], gaps: true },
        { kind: 'category', name: 'sex', levels: [0, 1], gaps: false },
      ],
      label: { column: 'num', rule: 'not-zero', classes: 2 },
      rowsMax: 50,
    },
  })
  if (!contract.ok) return
  expect(dataContractSchema.parse(contract.value)).toEqual(contract.value)
  for (const site of [first, second]) {
    const dataset = applyTableContract(site, contract.value, new Uint8Array(32))
    expect(dataset.shape).toEqual([5])
    expect(dataset.labels).toHaveLength(12)
  }
})

test('a column that is a number at one site is a number at all', () => {
  const many = table(['x,y', ...numbers(20).map((i) => `${i},${i % 2}`)])
  const few = table(['x,y', ...numbers(20).map((i) => `${i % 3},${i % 2}`)])
  expect(contractOf([few, many].map(profileOf), 'y')).toMatchObject({
    value: { columns: [{ kind: 'number', name: 'x' }] },
  })
})

const labelled = (...values: readonly number[]) =>
  profileOf(table(['x,y', ...values.map((value, i) => `${i % 2},${value}`)]))
test.each([
  [
    '0 and 1 are classes',
    [labelled(0, 0), labelled(1, 1)],
    undefined,
    { value: { label: { rule: 'integer', classes: 2 } } },
  ],
  [
    '0 and 5 are 0 and not 0',
    [labelled(0, 5), labelled(5, 0)],
    undefined,
    { value: { label: { rule: 'not-zero', classes: 2 } } },
  ],
  [
    'three values are 0 and not 0',
    [labelled(0, 1), labelled(2, 1)],
    undefined,
    { value: { label: { rule: 'not-zero', classes: 2 } } },
  ],
  [
    'three values are three classes where that is asked for',
    [labelled(0, 1), labelled(2, 1)],
    3,
    { value: { label: { rule: 'integer', classes: 3 } } },
  ],
  ['1 and 2 are neither', [labelled(1, 2)], undefined, { refusal: 'bad-label' }],
  ['a class out of range is refused', [labelled(0, 1), labelled(3, 1)], 3, { refusal: 'bad-label' }],
  ['halves are no classes', [labelled(0.5, 1)], undefined, { refusal: 'bad-label' }],
])('of a label, %s', (_, profiles, classes, expected) => {
  expect(contractOf(profiles, 'y', classes === undefined ? {} : { classes })).toMatchObject(expected)
})

test('sites that share no label or no column are told so', () => {
  expect(contractOf([labelled(0, 1)], 'z')).toMatchObject({ refusal: 'no-label' })
  expect(contractOf([], 'y')).toMatchObject({ refusal: 'no-label' })
  const alone = profileOf(table(['w,y', '0,0', '1,1']))
  expect(contractOf([labelled(0, 1), alone], 'y')).toMatchObject({ refusal: 'no-columns' })
})

test('several labels are each 1, 0 or unknown, at a site perhaps of every row, and are learned from nowhere', () => {
  const sites = ['x,a,b\n1,0,1\n2,1,', 'x,a,b\n1,1,\n3,0,'].map((text) => profileOf(tableFrom(text)))
  const several = contractOf(sites, ['a', 'b'])
  expect(several).toMatchObject({
    value: {
      columns: [{ name: 'x' }],
      label: { rule: 'multi-label', labels: [{ column: 'a' }, { column: 'b' }] },
    },
  })
  if (several.ok) expect(dataContractSchema.parse(several.value)).toEqual(several.value)
  for (const labels of [['a'], ['a', 'a'], ['a', 'x'], numbers(29).map(String)])
    expect(contractOf(sites, labels)).toMatchObject({ refusal: 'bad-label' })
  expect(contractOf(sites, ['a', 'c'])).toMatchObject({ refusal: 'no-label' })
})
