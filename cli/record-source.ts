import { type FileHandle, open, stat } from 'node:fs/promises'
import { parseCid } from '#protocol/cid.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import { BlobCorrupt, BlobMissing, BlobTooLarge } from '#protocol/ports.ts'
import { openFolderReader } from '#storage/blobs/folder-reader.ts'
import { openRemoteBlobs } from '#storage/blobs/remote.ts'
import { systemClock } from '#storage/clock.ts'
import type { BlockSource } from '#verify/blocks.ts'
import type { BundleFile } from '#verify/bundle.ts'
import { ApiClient, unreachable } from './api-client.ts'
import { type Arguments, usage } from './arguments.ts'
import { EXIT, Failure } from './failure.ts'
import { apiKey } from './state.ts'

/** Where a run's record is read from. None of them is trusted: what is read is verified. */
export type RecordSource = AsyncDisposable &
  (
    | { readonly kind: 'bundle'; readonly file: BundleFile }
    | { readonly kind: 'blocks'; readonly root: Cid; readonly block: BlockSource }
  )

/** A CAR file, a folder of blocks, or the URL of a gateway or coordinator. */
export async function openRecord(from: string, args: Arguments): Promise<RecordSource> {
  if (/^https?:\/\//.test(from)) return openGatewayRecord(from, args)
  const found = await stat(from)
  if (found.isDirectory()) return openFolder(from, args)
  return openBundle(from)
}

/** @param path of a CAR file */
export async function openBundle(path: string): Promise<Extract<RecordSource, { kind: 'bundle' }>> {
  const handle = await open(path)
  const { size } = await handle.stat()
  return {
    kind: 'bundle',
    file: { sizeBytes: size, read: (offset, length) => readFully(handle, offset, Math.min(length, BLOCK_BYTES_MAX)) },
    [Symbol.asyncDispose]: () => handle.close(),
  }
}

async function readFully(handle: FileHandle, offset: number, length: number): Promise<Bytes> {
  const bytes = new Uint8Array(length)
  let filled = 0
  while (filled < length) {
    const { bytesRead } = await handle.read(bytes, filled, length - filled, offset + filled)
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return bytes.subarray(0, filled)
}

/** A folder of blocks: any, or a coordinator's own, also while it runs. */
async function openFolder(folder: string, args: Arguments): Promise<RecordSource> {
  const root = parseCid(args.text('run') ?? '')
  if (!root.ok)
    throw usage(
      'which_run',
      'a folder of blocks can hold many runs: name the record by its CID',
      '--run bafy… (the record that consilium runs show tells, or that verify prints for a bundle)',
    )
  const reader = openFolderReader(folder)
  return {
    ...{ kind: 'blocks', root: root.value, block: (cid) => reader.block(cid) },
    [Symbol.asyncDispose]: async () => reader[Symbol.dispose](),
  }
}

/** Blocks over HTTP: `<url>/ipfs/<cid>` of any trustless gateway. A run's id is looked up at the coordinator's API. */
async function openGatewayRecord(from: string, args: Arguments): Promise<RecordSource> {
  const { origin, pathname } = new URL(from)
  const named = args.text('run') ?? pathname.split('/').find((part) => parseCid(part).ok)
  if (named === undefined)
    throw usage('which_run', 'a gateway can hold many runs: say which', '--run run_01K… or --run bafy…')
  const cid = parseCid(named)
  const root = cid.ok ? cid.value : await rootOf(origin, named, args)
  const blobs = openRemoteBlobs({ url: origin, ticket: () => undefined, clock: systemClock })
  const block = async (wanted: Cid): Promise<Bytes | undefined> => {
    try {
      return await blobs.getBlock(wanted, BLOCK_BYTES_MAX)
    } catch (cause) {
      if (cause instanceof BlobMissing) return undefined
      // Bytes that are not the block's: the verifier is to see that for itself.
      if (cause instanceof BlobCorrupt || cause instanceof BlobTooLarge) return new Uint8Array(0)
      throw unreachable(origin, cause)
    }
  }
  return { kind: 'blocks', root, block, [Symbol.asyncDispose]: async () => undefined }
}

async function rootOf(origin: string, id: string, args: Arguments): Promise<Cid> {
  const run = await new ApiClient(origin, await apiKey(args)).run(id)
  const root = parseCid(run.manifest ?? '')
  if (root.ok) return root.value
  throw new Failure(EXIT.conflict, 'run_not_ended', `${run.id} has not ended: its record is sealed when it does`, {
    fix: `consilium runs watch ${run.id} follows it to its end`,
  })
}
