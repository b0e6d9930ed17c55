import { datasetSchema, type PublicDataset } from '#protocol/dataset.ts'
import { readCsvFile } from './csv-file.ts'
import type { FileSource } from './dataset.ts'
import { openDisk } from './disk.ts'
import { DataFault } from './fault.ts'
import { openIdx, readIdx } from './idx.ts'
import { powerOfTwoBelow, profileOf } from './profile.ts'

/**
 * What a site may say in public of its data: names and kinds of columns, the shape and number of classes of images, and a
 * power of two for its rows. Of what a profile knows besides (levels, gaps) nothing is in it. Throws {@link DataFault}, and
 * the world's faults.
 */
export async function describe(source: FileSource, name: string): Promise<PublicDataset> {
  const described = datasetSchema.safeParse({ name, ...(await traitsOf(source)) })
  if (described.success) return described.data
  const [issue] = described.error.issues
  throw new DataFault(`cannot be published: ${issue?.path.join(' ')} ${issue?.message}`)
}

async function traitsOf(source: FileSource): Promise<object> {
  switch (source.kind) {
    case 'csv':
      return { kind: 'table', ...(await tableOf(source.path)) }
    case 'idx': {
      const { rows, shape } = await imagesOf(source.images)
      const { bytes: labels } = await readIdx(await openDisk(source.labels))
      const classes = labels.reduce((most, label) => Math.max(most, label), 0) + 1
      return { kind: 'image', rowsAtLeast: powerOfTwoBelow(rows), shape, classes }
    }
    case 'joint': {
      const { shape } = await imagesOf(source.images)
      return { kind: 'joint', ...(await tableOf(source.table)), shape }
    }
  }
}

async function tableOf(path: string) {
  const { rowsAtLeast, columns } = profileOf(await readCsvFile(path))
  return { rowsAtLeast, columns: columns.map(({ name, kind }) => ({ name, kind })) }
}

/** From the header alone. */
async function imagesOf(path: string) {
  const { sides } = await openIdx(await openDisk(path), 0)
  const [rows = 0, ...shape] = sides
  return { rows, shape }
}
