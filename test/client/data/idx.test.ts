import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { openDisk } from '#client/data/disk.ts'
import { DataFault } from '#client/data/fault.ts'
import { formatIdx, openIdx, parseIdx, readIdx } from '#client/data/idx.ts'
import { inBlob } from '#client/data/picked.ts'
import { FILE_BYTES_MAX, inMemory, type Piece } from '#client/data/source.ts'

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
  ['too many rows', [0, 0, 8, 1, 0xff, 0xff, 0xff, 0xff], 'images: 4294967295 rows, at most 4194304'],
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
    const file = await openDisk(path)
    await expect(readIdx(file)).rejects.toThrow(`${path}: ${FILE_BYTES_MAX + 1} bytes, at most ${FILE_BYTES_MAX}`)
    // Images may be larger, and still nothing is read of what their header does not fit.
    await expect(openIdx(file)).rejects.toThrow(`${path}: IDX elements of type 0, where bytes (8) belong`)
  } finally {
    await rm(folder, { recursive: true })
  }
})

test('rows come by their place from a file that does not fit, each read once for as long as there is room', async () => {
  const sides = [7, 2, 3]
  const bytes = Uint8Array.from({ length: 42 }, (_, index) => index)
  const whole = inMemory('images', formatIdx({ sides, bytes }))
  const asked: number[] = []
  const watched = {
    ...whole,
    read: (pieces: readonly Piece[]) => {
      asked.push(...pieces.map(({ offset }) => (offset - 16) / 6))
      return whole.read(pieces)
    },
  }
  const images = await openIdx(watched, 3 * 6)
  expect(images.sides).toEqual(sides)
  asked.length = 0
  const rowsFrom = async (...rows: number[]) => [...(await images.read(Int32Array.from(rows)))]
  const row = (at: number) => [...bytes.subarray(6 * at, 6 * at + 6)]
  expect(await rowsFrom(5, 0)).toEqual([...row(5), ...row(0)])
  expect(await rowsFrom(6, 3, 5)).toEqual([...row(6), ...row(3), ...row(5)])
  expect(await rowsFrom(0, 5, 6, 3)).toEqual([...row(0), ...row(5), ...row(6), ...row(3)])
  // Three rows have room: 5, 0 and 6.
  expect(asked).toEqual([5, 0, 6, 3, 3])
  expect(await rowsFrom()).toEqual([])
})

test('a file that becomes another one while it is trained on is a fault, not other rows', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'idx-'))
  try {
    const path = join(folder, 'images')
    const idx = { sides: [2, 4], bytes: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8) }
    await writeFile(path, formatIdx(idx))
    const images = await openIdx(await openDisk(path), 4)
    expect([...(await images.read(Int32Array.of(1)))]).toEqual([5, 6, 7, 8])
    await truncate(path, 14)
    await expect(images.read(Int32Array.of(0))).rejects.toThrow(`${path}: became another file while it was read`)
  } finally {
    await rm(folder, { recursive: true })
  }
})

test('a file that was picked in a page is read by its places too', async () => {
  const file = inBlob('images', new Blob([Uint8Array.from({ length: 100 }, (_, index) => index)]))
  const [two, three] = [new Uint8Array(2), new Uint8Array(3)]
  await file.read([
    { offset: 97, into: three },
    { offset: 5, into: two },
  ])
  expect([file.sizeBytes, ...two, ...three]).toEqual([100, 5, 6, 97, 98, 99])
})
