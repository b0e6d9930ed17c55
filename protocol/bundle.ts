import { type Course, carHeader, carSection, type Link, partNames, walk } from './car.ts'
import { codecOf, DAG_CBOR } from './cid.ts'
import { fieldLinksOf } from './codec.ts'
import { type Block, sealIn } from './envelope.ts'
import type { Bytes, Cid } from './ids.ts'

/**
 * A bundle is a CARv1 with one root: its blocks depth-first from the root, each once, nothing unreachable, nothing after.
 * One record therefore has one file, and a reader that walks the root again accounts for every byte. Two things narrow the
 * walk (docs/protocol.md, "Bundle"), besides that a task's public data is none of a record, and of the round that a forked
 * run starts from there is its manifest alone. Without vectors, what updates name as their vectors is left out: a shorter file under
 * the same root. And under a round, history ends where the round starts: of rounds before it there are manifest, model and
 * memory alone, and of its task no first model.
 */
export type BundleForm = { readonly vectors: boolean }

/** What the root of a bundle is. */
export type BundleKind = 'run' | 'round' | 'aborted' | 'other'

/** The bytes of the bundle under a root. */
export async function* bundleOf(
  root: Cid,
  block: (cid: Cid) => Promise<Bytes>,
  { vectors }: BundleForm,
): AsyncIterable<Bytes> {
  yield carHeader(root)
  for await (const found of walkBundle(root, block, () => vectors)) yield carSection(found)
}

/** Its blocks. @param takesVector asked of each vector when its turn has come */
export function walkBundle(
  root: Cid,
  block: (cid: Cid) => Promise<Bytes>,
  takesVector: (vector: Cid) => boolean | Promise<boolean>,
): AsyncIterable<Block> {
  return walk(root, block, courseOf(takesVector))
}

export function kindOf({ cid, bytes }: Block): BundleKind {
  const type = codecOf(cid) === DAG_CBOR ? sealIn(bytes)?.type : undefined
  return type === 'run' || type === 'round' || type === 'aborted' ? type : 'other'
}

/** What a link leads to: the body of a seal of this type, where it is one. */
type As = { readonly body: string } | 'vector' | 'task' | 'origin'

/** What names a vector, by the type of the body and the field. */
const VECTORS: ReadonlySet<string> = new Set(['report.vector', 'MaskedInput.cid'])

function courseOf(takesVector: (vector: Cid) => boolean | Promise<boolean>): Course<As> {
  let root: { readonly isRound: boolean; readonly body: Cid | undefined } | undefined
  return {
    takes: ({ cid, as }) => as !== 'vector' || takesVector(cid),
    links(block, as) {
      const { cid, bytes } = block
      if (codecOf(cid) !== DAG_CBOR) return partNames(block).map((part) => ({ cid: part }))
      const sealed = sealIn(bytes)
      root ??= { isRound: ['round', 'aborted'].includes(kindOf(block)), body: sealed?.body }
      if (sealed) return [{ cid: sealed.body, as: as === 'origin' ? as : { body: sealed.type } }]
      if (as === 'origin') return []
      const links = fieldLinksOf(bytes)
      if (as === 'task') {
        const isLeftOut = (field: string | undefined) =>
          field === 'publicData' || (field === 'genesis' && root?.isRound === true)
        return links.filter(({ field }) => !isLeftOut(field)).map(({ cid }) => ({ cid }))
      }
      if (as === undefined || as === 'vector') return links.map(({ cid }) => ({ cid }))
      const isPast = root.isRound && as.body === 'round' && cid !== root.body
      return links
        .filter(({ field }) => !isPast || field === 'model' || field === 'memory')
        .map(({ cid, field }): Link<As> => {
          if (VECTORS.has(`${as.body}.${field}`)) return { cid, as: 'vector' }
          if (as.body === 'run' && field === 'origin') return { cid, as: 'origin' }
          return field === 'task' ? { cid, as: 'task' } : { cid }
        })
    },
  }
}
