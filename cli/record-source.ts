import { type FileHandle, open, stat } from 'node:fs/promises'
import { parseCid } from '#protocol/cid.ts'
import { type Bytes, type Cid, parseRunId, type RunId } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX, ROUNDS_MAX } from '#protocol/limits.ts'
import { BlobCorrupt, BlobMissing, BlobTooLarge } from '#protocol/ports.ts'
import { openFolderReader } from '#storage/blobs/folder-reader.ts'
import { openHttp } from '#storage/blobs/http-node.ts'
import { openRemoteBlobs } from '#storage/blobs/remote.ts'
import { systemClock } from '#storage/clock.ts'
import { type AskedFor, checkAsked } from '#verify/asked.ts'
import { BadBlock, type BlockSource, Blocks } from '#verify/blocks.ts'
import { type Bundle, type BundleFile, readBundle } from '#verify/bundle.ts'
import { apiAt } from './api-client.ts'
import { type Arguments, usage } from './arguments.ts'
import { EXIT, Failure } from './failure.ts'
import { apiKey } from './state.ts'
import { unreachable } from './thrown.ts'

/** Where a record is read from. None of them is trusted: what is read is verified. */
export type RecordSource = AsyncDisposable &
  (
    | { readonly kind: 'bundle'; readonly file: BundleFile }
    | { readonly kind: 'blocks'; readonly root: Cid; readonly block: BlockSource }
  ) & {
    /** What the record has to be of, where it was asked for by more than its CID: which CID that is, is somebody's word. */
    readonly asked?: AskedFor | undefined
  }

/**
 * A CAR file, a folder of blocks, or the URL of a gateway or coordinator; with `--round`, that round of the run.
 *
 * @param named the run or a CID, where the source can hold several
 */
export async function openRecord(from: string, named: string | undefined, args: Arguments): Promise<RecordSource> {
  const round = roundIn(args)
  await using doors = new AsyncDisposableStack()
  const opened = doors.use(await openSource(from, named, round, args))
  if (opened.kind === 'bundle' && round === undefined && (named === undefined || opened.asked)) {
    doors.move()
    return opened
  }
  const { root, block } = opened.kind === 'bundle' ? await readWhole(opened.file) : opened
  const run = opened.kind === 'bundle' && named !== undefined && !opened.asked ? cidOf(named) : root
  const isFound = round === undefined || opened.kind === 'round'
  const found = isFound ? { root: run, asked: opened.asked } : await roundOf(run, round, block, opened.asked)
  const all = doors.move()
  return { kind: 'blocks', ...found, block, [Symbol.asyncDispose]: () => all.disposeAsync() }
}

/** Throws {@link Failure} where a record is not of what it was asked for; {@link BadBlock} where its root cannot be read. */
export async function checkIsAsked(asked: AskedFor | undefined, root: Cid, block: BlockSource): Promise<void> {
  if (asked === undefined) return
  const blocks = new Blocks(block)
  const kind = await blocks.kindOf(root)
  if (kind === 'other') throw anotherRecord(`${root} is no record of a run or round`)
  const signed = await blocks.signed(root, kind)
  if (!signed.ok) throw anotherRecord(`${root} is no record that holds: ${signed.refusal}`)
  const { value } = signed.value
  const { run } = value
  const checked = checkAsked(asked, 'round' in value ? { run, round: value.round } : { run })
  if (!checked.ok) throw anotherRecord(checked.detail ?? checked.refusal)
}

export function anotherRecord(detail: string): Failure {
  return new Failure(EXIT.unverified, 'another_record', detail, {
    fix: 'the CID came from the coordinator: ask its people; a record is also found by its CID, where you have that',
  })
}

/** The round that is asked for. */
export function roundIn(args: Arguments): number | undefined {
  return args.text('round') === undefined ? undefined : args.integer('round', { min: 1, max: ROUNDS_MAX })
}

/** `round` where what was found is the round already. */
type Source =
  | RecordSource
  | (AsyncDisposable & {
      readonly kind: 'round'
      readonly root: Cid
      readonly block: BlockSource
      readonly asked?: AskedFor | undefined
    })

async function openSource(
  from: string,
  named: string | undefined,
  round: number | undefined,
  args: Arguments,
): Promise<Source> {
  if (/^https?:\/\//.test(from)) return openGatewayRecord(from, named, round, args)
  const found = await stat(from)
  if (found.isDirectory()) return openFolder(from, named)
  const run = parseRunId(named ?? '')
  return { ...(await openBundle(from)), ...(run.ok && { asked: { run: run.value } }) }
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

/** Throws {@link Failure} where the file is no bundle to its last byte. */
export async function readWhole(file: BundleFile): Promise<Bundle> {
  const bundle = await readBundle(file)
  if (bundle.ok) return bundle.value
  throw new Failure(EXIT.unverified, 'not_a_bundle', `this is no bundle (${bundle.refusal}): ${bundle.detail}`, {
    fix: 'consilium bundles export writes one; ipfs dag export does, of a whole run',
  })
}

/**
 * The sealed manifest of a closed round, or the record of an aborted one; and what that has to be of.
 *
 * @param asked the run, where it was asked for by its id
 */
async function roundOf(
  root: Cid,
  round: number,
  block: BlockSource,
  asked: AskedFor | undefined,
): Promise<{ readonly root: Cid; readonly asked: AskedFor }> {
  const run = await new Blocks(block).signed(root, 'run').catch((cause: unknown) => {
    throw cause instanceof BadBlock ? new Failure(EXIT.notFound, 'no_record', cause.message) : cause
  })
  if (!run.ok) throw usage('not_a_run', `--round is of a run, and ${root} is no record of one`)
  const entry = run.value.value.rounds.find((other) => other.round === round)
  const found = entry?.manifest ?? entry?.aborted
  if (found) return { root: found, asked: { run: (asked ?? run.value.value).run, round } }
  const { rounds } = run.value.value
  throw new Failure(EXIT.notFound, 'no_such_round', `the run has ${rounds.length} rounds, and no round ${round}`)
}

function cidOf(named: string): Cid {
  const cid = parseCid(named)
  if (cid.ok) return cid.value
  throw usage(
    'which_run',
    `here a run goes by the CID of its record, or, of a bundle, by its whole id, not by ${named}`,
    WHICH,
  )
}

const WHICH = 'bafy… (the record that consilium runs show tells, or that verify prints for a bundle)'

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
async function openFolder(folder: string, named: string | undefined): Promise<Source> {
  if (named === undefined)
    throw usage('which_run', 'a folder of blocks can hold many runs: name the record by its CID', WHICH)
  const root = cidOf(named)
  const reader = openFolderReader(folder)
  return {
    ...{ kind: 'blocks', root, block: (cid) => reader.block(cid) },
    [Symbol.asyncDispose]: async () => reader[Symbol.dispose](),
  }
}

/** Blocks over HTTP: `<url>/ipfs/<cid>` of any trustless gateway. A run's id is looked up at the coordinator's API. */
async function openGatewayRecord(
  from: string,
  asked: string | undefined,
  round: number | undefined,
  args: Arguments,
): Promise<Source> {
  const { origin, pathname } = new URL(from)
  const named = asked ?? pathname.split('/').find((part) => parseCid(part).ok)
  if (named === undefined) throw usage('which_run', 'a gateway can hold many runs: say which', 'run_01K… or bafy…')
  const cid = parseCid(named)
  const told = cid.ok ? { root: cid.value, asked: undefined } : await rootOf(origin, named, round, args)
  const http = openHttp()
  const blobs = openRemoteBlobs({ url: origin, fetch: http.fetch, clock: systemClock })
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
  const doors = { block, [Symbol.asyncDispose]: async () => http[Symbol.asyncDispose]() }
  return told.asked?.round === undefined ? { kind: 'blocks', ...told, ...doors } : { kind: 'round', ...told, ...doors }
}

/** A round is sealed when it ends, also while its run goes on. */
async function rootOf(
  origin: string,
  named: string,
  round: number | undefined,
  args: Arguments,
): Promise<{ readonly root: Cid; readonly asked: AskedFor }> {
  const run = await apiAt(origin, await apiKey(args, origin)).runs.get(named)
  const told = round === undefined ? run.view.manifest : (await run.round(round)).record
  const root = parseCid(told ?? '')
  if (root.ok) return { root: root.value, asked: { run: runIdIn(run, origin), round } }
  if (round !== undefined)
    throw new Failure(
      EXIT.conflict,
      'round_not_ended',
      `round ${round} has not ended: its record is sealed when it does`,
    )
  throw new Failure(EXIT.conflict, 'run_not_ended', `${run.id} has not ended: its record is sealed when it does`, {
    fix: `consilium runs watch ${run.id} follows it to its end; --round n takes a round that has`,
  })
}

/** The whole id of a run that was asked for, also by its start. Throws {@link Failure} where what was answered is none. */
export function runIdIn({ id }: { readonly id: string }, url: string): RunId {
  const run = parseRunId(id)
  if (run.ok) return run.value
  throw new Failure(EXIT.unexpected, 'bad_answer', `${url} answered a run without a run's id`)
}
