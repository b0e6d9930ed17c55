import { digestOf } from '#protocol/cid.ts'
import { linksOf } from '#protocol/codec.ts'
import type { Cid, RunId } from '#protocol/ids.ts'
import { modelSchema } from '#protocol/manifest.ts'
import type { BlobStore, EventLog } from '#protocol/ports.ts'
import { taskSchema } from '#protocol/task.ts'
import { readBlock, readRecord } from './record.ts'
import type { Run } from './run.ts'

/**
 * Which files runs need. A vector is named by what is in it, so two runs may have one between them: a site that trains the
 * same task again on the same rows reports the same bytes, and nothing keeps a member from giving as its masked vector the
 * sum of an earlier round. What one run lets expire must not be taken from the record of another, or from its own.
 *
 * Kept in memory as far as it was read, 8 bytes a file: who is asked again reads on from there.
 */
export class Needs {
  readonly #log: EventLog
  readonly #blobs: BlobStore
  readonly #known = new Map<RunId, Known>()

  constructor({ log, blobs }: { readonly log: EventLog; readonly blobs: BlobStore }) {
    this.#log = log
    this.#blobs = blobs
  }

  /** Those of the files that none of the runs needs. @param runs every one there is */
  async unneeded(files: Iterable<Cid>, runs: readonly Run[]): Promise<readonly Cid[]> {
    const left = new Map([...files].map((cid) => [markOf(cid), cid]))
    for (const run of runs) {
      if (left.size === 0) break
      // Other work has its turn between two runs.
      await new Promise((resolve) => setImmediate(resolve))
      const { record, vectors } = await this.#readOn(run)
      for (const mark of record) left.delete(mark)
      for (const mark of vectors) left.delete(mark)
    }
    return [...left.values()]
  }

  async #readOn(run: Run): Promise<Pick<Known, 'record' | 'vectors'>> {
    const { spec, past, round } = run
    const known = this.#known.get(spec.run) ?? { rounds: 0, position: 0, record: [], vectors: [] }
    this.#known.set(spec.run, known)
    if (known.record.length === 0) known.record.push(...(await this.#beginningsOf(run)))
    for (const { manifest } of past.slice(known.rounds)) {
      if (manifest !== null) known.record.push(...(await this.#filesOf(manifest)))
      known.rounds++
    }
    if (isExpired(run)) known.vectors = []
    else
      for await (const entry of this.#log.read(spec.run, known.position)) {
        // Whatever an entry names: to tell which of it is a vector would take longer than to keep it all.
        known.vectors.push(...linksOf(entry).map(markOf))
        known.position++
      }
    const open = round?.phase === 'settlement' ? await this.#filesOf(round.manifest) : []
    return { record: [...known.record, ...open], vectors: known.vectors }
  }

  /** What a run starts from, and what its nodes train on; a question starts from nothing. */
  async #beginningsOf({ spec }: Run): Promise<readonly number[]> {
    if (spec.purpose === 'ask') return [markOf(spec.memory)]
    const { weights } = await readBlock(this.#blobs, spec.genesis, modelSchema)
    const { kind: _kind, ...files } = (await readBlock(this.#blobs, spec.task, taskSchema)).publicData ?? {}
    return [spec.memory, weights, ...Object.values(files)].map(markOf)
  }

  /** Files that a round's record names, its vectors apart. */
  async #filesOf(manifest: Cid): Promise<readonly number[]> {
    const { aggregate, memory, model, purpose } = await readRecord(this.#blobs, manifest, 'round')
    const files = [aggregate, memory]
    if (purpose !== 'ask') files.push((await readBlock(this.#blobs, model, modelSchema)).weights)
    return files.map(markOf)
  }
}

/** Of one run, as far as it was read: the marks of its files, and how many rounds and entries that were. */
type Known = { rounds: number; position: number; readonly record: number[]; vectors: number[] }

function isExpired({ phase, expired, past }: Run): boolean {
  return phase === 'ended' && expired === past.length
}

/** 48 bits of its hash. Should two files ever have one mark, the one is kept with the other. */
function markOf(cid: Cid): number {
  const digest = digestOf(cid)
  const view = new DataView(digest.buffer, digest.byteOffset, digest.byteLength)
  return view.getUint32(0) * 65_536 + view.getUint16(4)
}
