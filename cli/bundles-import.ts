import { join } from 'node:path'
import { codecOf, DAG_CBOR } from '#protocol/cid.ts'
import { linksOf } from '#protocol/codec.ts'
import type { Block } from '#protocol/envelope.ts'
import type { Cid } from '#protocol/ids.ts'
import type { BlobStore } from '#protocol/ports.ts'
import { fileSizeOf, readFile } from '#protocol/unixfs.ts'
import { openFileBlobs } from '#storage/blobs/files.ts'
import { checkBlock } from '#verify/blocks.ts'
import type { Bundle } from '#verify/bundle.ts'
import type { Arguments } from './arguments.ts'
import type { Call } from './command.ts'
import { EXIT, Failure } from './failure.ts'
import { openBundle, readWhole } from './record-source.ts'
import { formatBytes } from './render/units.ts'
import { verdictLines } from './render/verdict.ts'
import { listenForStop } from './stopping.ts'
import { pinsOf, verifyHere } from './verify.ts'

/**
 * `consilium bundles import`: the blocks of a bundle into a coordinator's folder, or any other, which is then one that
 * verify and export read. Nothing is kept of a record that does not hold.
 */
export async function execute({ args, output }: Call): Promise<number> {
  const pins = pinsOf(args)
  const folder = args.required('into', "a coordinator's --state folder, while it is stopped, or a new one")
  await using record = await openBundle(args.positionals[0] as string)
  const bundle = await readWhole(record.file)
  if (bundle.kind !== 'other') {
    const verdict = await verifyHere(record, { ...pins, allowExpired: args.flag('without-vectors') }, output)
    if (!verdict.ok)
      throw new Failure(EXIT.unverified, 'unverified', verdictLines(verdict, output.out).join(' '), NOTHING_KEPT)
  } else if (pins.coordinator !== undefined || (pins.expect ?? bundle.root) !== bundle.root) {
    throw new Failure(EXIT.unverified, 'unverified', `${bundle.root} is no record of a run or round`, NOTHING_KEPT)
  }
  await using blobs = await openStore(folder, args)
  using stopping = listenForStop()
  output.note(`keeping ${bundle.blocks} blocks, ${formatBytes(bundle.bytes)} …`)
  await keepAll(bundle, blobs, stopping.signal)
  const exit = stopping.exit()
  if (exit !== undefined) return exit
  const { root, kind, form, blocks, bytes } = bundle
  if (output.json) output.object({ root, kind, vectors: form.vectors, blocks, bytes, into: folder })
  else output.line(`${root}  ${blocks} blocks, ${formatBytes(bytes)}, into ${folder}`)
  return EXIT.ok
}

const NOTHING_KEPT = { fix: 'nothing was kept of it; consilium verify tells more' }

async function openStore(folder: string, args: Arguments) {
  const quotaBytes = args.integer('quota', { min: 1, max: Number.MAX_SAFE_INTEGER })
  try {
    return await openFileBlobs({ folder: join(folder, 'blobs'), quotaBytes })
  } catch (cause) {
    if (!(cause instanceof Error) || !cause.message.includes('in use')) throw cause
    throw new Failure(EXIT.conflict, 'in_use', cause.message, {
      fix: 'stop the coordinator there, import, and start it again',
      cause,
    })
  }
}

/** So many manifests are durable at once. */
const TOGETHER = 256

/**
 * Files as files, so that they can be forgotten as such; manifests block by block; the root at last: who finds it finds all.
 */
async function keepAll({ root, block, cids }: Bundle, blobs: BlobStore, signal: AbortSignal): Promise<void> {
  const files = new Set<Cid>(codecOf(root) === DAG_CBOR ? [] : [root])
  let manifests: Block[] = []
  for (const [cid] of cids()) {
    if (codecOf(cid) !== DAG_CBOR) continue
    const manifest = { cid, bytes: checkBlock(cid, await block(cid)) }
    for (const link of linksOf(manifest.bytes)) if (codecOf(link) !== DAG_CBOR) files.add(link)
    if (cid !== root) manifests.push(manifest)
    if (manifests.length < TOGETHER) continue
    await blobs.putBlocks(manifests)
    manifests = []
    if (signal.aborted) return
  }
  await blobs.putBlocks(manifests)
  for (const cid of files) {
    if (signal.aborted) return
    await keepFile(cid, block, blobs)
  }
  if (codecOf(root) === DAG_CBOR) await blobs.putBlocks([{ cid: root, bytes: checkBlock(root, await block(root)) }])
}

/** What a manifest names need not be in the bundle: a vector, or what is of another round. */
async function keepFile(cid: Cid, block: Bundle['block'], blobs: BlobStore): Promise<void> {
  const bytes = await block(cid)
  if (bytes === undefined) return
  const size = fileSizeOf({ cid, bytes })
  if (!size.ok) return blobs.putBlocks([{ cid, bytes: checkBlock(cid, bytes) }])
  const file = readFile(cid, 0, size.value, async (part) => checkBlock(part, await block(part)))
  await blobs.put(file, size.value, undefined, cid)
}
