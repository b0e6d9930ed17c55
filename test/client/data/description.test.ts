import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { describe as describeData } from '#client/data/description.ts'
import { formatIdx } from '#client/data/idx.ts'
import { temporaryFolder } from '#test/folder.ts'

const ROWS = 'age,sex,note\n41,0,well\n,1,ill\n67.5,1,well\n70,0,\n81,1,ill\n'

test('a table is described by names, kinds and a power of two below its rows: no value is in it', async () => {
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'site.csv')
  await writeFile(path, ROWS)
  const described = await describeData({ kind: 'csv', path }, 'echo')
  expect(described).toEqual({
    ...{ kind: 'table', name: 'echo', rowsAtLeast: 4 },
    columns: [
      { name: 'age', kind: 'number' },
      { name: 'sex', kind: 'category' },
      { name: 'note', kind: 'text' },
    ],
  })
})

test('images are described by their shape and the number of classes, with a table or without', async () => {
  await using folder = await temporaryFolder()
  const [images, labels, table] = ['images', 'labels', 'table'].map((name) => join(folder.path, name)) as [
    ...[string, string, string],
  ]
  await writeFile(images, formatIdx({ sides: [5, 2, 3], bytes: new Uint8Array(30) }))
  await writeFile(labels, formatIdx({ sides: [5], bytes: Uint8Array.of(0, 3, 1, 0, 2) }))
  await writeFile(table, ROWS)
  expect(await describeData({ kind: 'idx', images, labels }, 'x')).toEqual({
    ...{ kind: 'image', name: 'x', rowsAtLeast: 4, shape: [2, 3], classes: 4 },
  })
  const joint = await describeData({ kind: 'joint', table, images }, 'x')
  expect(joint).toMatchObject({ kind: 'joint', rowsAtLeast: 4, shape: [2, 3] })
  expect('classes' in joint).toBe(false)
})

test('a column that would draw on a terminal is not published, and the fault repeats nothing of it', async () => {
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'site.csv')
  await writeFile(path, 'age,\u001b[2Jx\n1,2\n')
  await expect(describeData({ kind: 'csv', path }, 'echo')).rejects.toThrow(
    /^cannot be published: columns 1 name holds/,
  )
})
