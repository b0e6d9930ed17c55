import { bundleOf } from '#protocol/bundle.ts'
import type { Cid, RunId } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import { type BlobStore, StorageFull } from '#protocol/ports.ts'
import type { Publications } from './publications.ts'
import type { Run } from './run.ts'

/** The bundle of a run of a thousand rounds over a model of 64 MiB; a larger one is not made. */
const BUNDLE_BYTES_MAX = 64 * 2 ** 30

/**
 * Records of runs that have ended, without their vectors, as files in the public store: what pinning services keep for good.
 * Each is made once, and found again by what was published, so that a restart makes none anew.
 */
export class ShortBundles {
  readonly #doors: ShortBundlesDoors
  readonly #known = new Map<RunId, Promise<Cid | undefined>>()

  constructor(doors: ShortBundlesDoors) {
    this.#doors = doors
  }

  /** Undefined where it has no record, or there is no room for a second one. */
  of({ spec: { run }, manifest }: Run): Promise<Cid | undefined> {
    const known = this.#known.get(run)
    if (known || !manifest) return known ?? Promise.resolve(undefined)
    const made = this.#make(run, manifest as Cid)
    this.#known.set(run, made)
    // A fault of the world passes: the next one who asks tries again.
    made.catch(() => this.#known.delete(run))
    return made
  }

  async #make(run: RunId, manifest: Cid): Promise<Cid | undefined> {
    const { blobs, publications } = this.#doors
    const [published] = await publications.select((one) => one.run === run && one.what === 'bundle')
    if (published && (await blobs.has(published.cid))) return published.cid
    const block = (cid: Cid) => blobs.getBlock(cid, BLOCK_BYTES_MAX)
    try {
      return await blobs.put(bundleOf(manifest, block, { vectors: false }), BUNDLE_BYTES_MAX)
    } catch (cause) {
      if (cause instanceof StorageFull) return undefined
      throw cause
    }
  }
}

export type ShortBundlesDoors = {
  readonly blobs: Pick<BlobStore, 'getBlock' | 'has' | 'put'>
  readonly publications: Pick<Publications, 'select'>
}
