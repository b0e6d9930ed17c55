import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { FILE_BYTES_MAX } from '#client/data/bounds.ts'
import { DataFault } from '#client/data/fault.ts'
import { formatIdx, parseIdx } from '#client/data/idx.ts'
import { readIdx } from '#client/data/idx-file.ts'

const parse = (bytes: readonly number[]) => parseIdx('images', Uint8Array.from(bytes))

test('the bytes are those of the format: two zeros, 8, the sides, big-endian, the elements', () => {
  const file = [0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6]
  expect([...formatIdx({ sides: [2, 3], bytes: Uint8Array.of(1, 2, 3, 4, 5, 6) })]).toEqual(file)
  expect(parse(file).sides).toEqual([2, 3])
  expect([...parse(file).bytes]).toEqual([1, 2, 3, 4, 5, 6])
})

test('what is written is read again, and no shorter or longer file is', () => {
  const sides = fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 1, maxLength: 4 })
  fc.assert(
    fc.property(sides, fc.nat(), (sides, cut) => {
      const size = sides.reduce((product, side) => product * side, 1)
      const file = formatIdx({ sides, bytes: Uint8Array.from({ length: size }, (_, index) => index) })
      expect(parseIdx('x', file).sides).toEqual(sides)
      expect(() => parseIdx('x', file.subarray(0, cut % file.length))).toThrow(DataFault)
      expect(() => parse([...file, 0])).toThrow(DataFault)
    }),
  )
})

test.each([
  ['another magic number', [1, 0, 8, 1, 0, 0, 0, 0], 'images: not an IDX file'],
  ['floats', [0, 0, 13, 1, 0, 0, 0, 0], 'images: IDX elements of type 13, where bytes (8) belong'],
  ['too many sides', [0, 0, 8, 5, 0, 0, 0, 0], 'images: 5 sides, at most 4'],
  ['too many rows', [0, 0, 8, 1, 0xff, 0xff, 0xff, 0xff], 'images: 4294967295 rows, at most 65536'],
  ['huge images', [0, 0, 8, 2, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff], /^images: 12 bytes, where/],
])('%s are refused by the header, before anything is allocated', (_, file, message) => {
  expect(() => parse(file)).toThrow(message)
})

test('a file larger than a site may have is refused by its size, unread', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'idx-'))
  try {
    const path = join(folder, 'large')
    await writeFile(path, '')
    await truncate(path, FILE_BYTES_MAX + 1)
    await expect(readIdx(path)).rejects.toThrow(`${path}: ${FILE_BYTES_MAX + 1} bytes, at most ${FILE_BYTES_MAX}`)
  } finally {
    await rm(folder, { recursive: true })
  }
})
