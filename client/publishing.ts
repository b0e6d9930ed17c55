import { cidOf, DAG_CBOR } from '#protocol/cid.ts'
import { encode } from '#protocol/codec.ts'
import { datasetSchema, type PublicDataset } from '#protocol/dataset.ts'
import type { OwnWord } from './measuring.ts'

/** What a node says in public of its data, or that it takes back what it has said. */
export function datasetWord(published: PublicDataset | null): OwnWord {
  if (published === null) return { word: { kind: 'dataset', dataset: null }, blocks: [] }
  const bytes = encode(datasetSchema, published)
  const block = { cid: cidOf(DAG_CBOR, bytes), bytes }
  return { word: { kind: 'dataset', dataset: block.cid }, blocks: [block] }
}
