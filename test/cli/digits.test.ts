import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { DIGIT_CLASSES, DIGIT_SIDE, readDigits, writeDigits } from '#cli/digits.ts'
import { openDisk } from '#client/data/disk.ts'
import { readIdx } from '#client/data/idx.ts'

test('ten thousand real digits are dealt to five sites, each with its labels, none lost', async () => {
  const digits = await readDigits()
  expect(digits.labels).toHaveLength(10_000)
  expect(digits.images).toHaveLength(10_000 * DIGIT_SIDE * DIGIT_SIDE)
  const folder = await mkdtemp(join(tmpdir(), 'digits-'))
  try {
    const folders = Array.from({ length: 5 }, (_, site) => join(folder, `site-${site + 1}`, 'data'))
    const seed = new Uint8Array(32).fill(3)
    const sources = await writeDigits(digits, folders, { alpha: 0.5, minimum: 400, seed })
    const counts = new Float64Array(DIGIT_CLASSES)
    const inks = new Float64Array(DIGIT_CLASSES)
    for (const source of sources) {
      if (source.kind !== 'idx') throw new Error('digits are images')
      const images = await readIdx(await openDisk(source.images))
      const labels = await readIdx(await openDisk(source.labels))
      const [rows] = labels.sides as [number]
      expect(images.sides).toEqual([rows, DIGIT_SIDE, DIGIT_SIDE])
      expect(rows).toBeGreaterThanOrEqual(400)
      for (const [row, label] of labels.bytes.entries()) {
        counts[label] = (counts[label] as number) + 1
        const image = images.bytes.subarray(row * DIGIT_SIDE ** 2, (row + 1) * DIGIT_SIDE ** 2)
        inks[label] = (inks[label] as number) + image.reduce((sum, shade) => sum + shade, 0)
      }
    }
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(10_000)
    for (let digit = 0; digit < DIGIT_CLASSES; digit++) {
      const rows = digits.labels.reduce((sum, label) => sum + Number(label === digit), 0)
      const from = digits.labels.indexOf(digit) * DIGIT_SIDE ** 2
      const ink = digits.images.subarray(from, from + rows * DIGIT_SIDE ** 2).reduce((sum, shade) => sum + shade, 0)
      expect([counts[digit], inks[digit]]).toEqual([rows, ink])
    }
    // Each a known shape: a one has the least ink, a zero the most or nearly.
    const means = [...inks].map((ink, digit) => ink / (counts[digit] as number))
    expect(means.indexOf(Math.min(...means))).toBe(1)
  } finally {
    await rm(folder, { recursive: true })
  }
})
