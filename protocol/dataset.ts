import { z } from 'zod'
import { utf8 } from './bytes.ts'
import { count } from './codec.ts'
import { COLUMNS_MAX, NAME_CHARS_MAX, SITE_ROWS_MAX } from './limits.ts'

/**
 * What a node says in public of its data, where whoever runs it asks for that: what a researcher needs to write a task for
 * it, and nothing that a row could be told by. Of columns names and kinds and no value, of rows a power of two.
 */

/** Of all columns: 512 with usual names have room, and the whole has room in a frame. */
const NAMES_BYTES_MAX = 16_384

/** Shown on terminals and in pages: nothing in it may be taken for a command, or turn the text around it. */
const columnName = z
  .string()
  .min(1)
  .max(NAME_CHARS_MAX)
  .regex(/^[^\p{C}\p{Zl}\p{Zp}]*$/u, 'holds characters that are not shown')
const columns = z
  .array(z.strictObject({ name: columnName, kind: z.enum(['number', 'category', 'text']) }))
  .min(1)
  .max(COLUMNS_MAX)
  .refine((list) => utf8(list.map(({ name }) => name).join('')).length <= NAMES_BYTES_MAX, 'names that are too long')
  .readonly()
/** Of one image. */
const shape = z
  .array(count(2 ** 16, 1))
  .min(1)
  .max(3)
  .readonly()

const common = {
  /** As whoever runs the node calls it. */
  name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/),
  /** The largest power of two that is no more than the rows; 0 where there are none. */
  rowsAtLeast: count(SITE_ROWS_MAX).refine((rows) => rows === 0 || Number.isInteger(Math.log2(rows)), 'a power of two'),
} as const

export const datasetSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('table'), ...common, columns }),
  z.strictObject({ kind: z.literal('image'), ...common, shape, classes: count(2 ** 8, 1) }),
  /** A table, and an image beside each of its rows. */
  z.strictObject({ kind: z.literal('joint'), ...common, columns, shape }),
])
export type PublicDataset = z.output<typeof datasetSchema>

/** Of one, as the block that travels: the names, and two dozen bytes for each column. */
export const DATASET_BYTES_MAX = 32_768
