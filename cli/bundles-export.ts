import { resolve } from 'node:path'
import { type BundleForm, type BundleKind, bundleOf, kindOf } from '#protocol/bundle.ts'
import { parseCid } from '#protocol/cid.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { BadBlock, checkBlock } from '#verify/blocks.ts'
import type { Bundle } from '#verify/bundle.ts'
import { apiAt } from './api-client.ts'
import type { Arguments } from './arguments.ts'
import type { Call } from './command.ts'
import { EXIT, Failure } from './failure.ts'
import type { Output } from './output.ts'
import { checkIsAsked, openBundle, openRecord, readWhole, roundIn, runIdIn } from './record-source.ts'
import { formatBytes } from './render/units.ts'
import { apiKey } from './state.ts'
import { listenForStop } from './stopping.ts'
import { unreachable } from './thrown.ts'
import { type WholeFileOptions, writeWholeFile } from './whole-file.ts'

/**
 * `consilium bundles export`: a run, a round or anything else that has a CID, as one file, in which every block was hashed,
 * and of the run that was asked for. Who signed it and whether it holds is for verify.
 */
export async function execute({ args, output }: Call): Promise<number> {
  const from = args.required('from', 'the URL of a coordinator or gateway, a folder of blocks, or another bundle')
  const out = resolve(args.required('out', 'the file to write, run.car'))
  const form: BundleForm = { vectors: !args.flag('without-vectors') }
  using stopping = listenForStop()
  const to = { out, replace: args.flag('force'), signal: stopping.signal, told: new Progress(output) }
  const named = args.positionals[0]
  const isRun = named !== undefined && !parseCid(named).ok && /^https?:\/\//.test(from)
  let made: Made
  try {
    made = isRun ? await download(new URL(from).origin, named, form, args, to) : await collect(from, form, args, to)
  } catch (cause) {
    const exit = stopping.exit()
    if (exit === undefined) throw cause
    return exit
  }
  const { root, kind, blocks } = made
  if (output.json) output.object({ file: out, root, kind, vectors: form.vectors, blocks, bytes: to.told.bytes })
  else {
    output.line(`${out}  ${blocks} blocks, ${formatBytes(to.told.bytes)}${form.vectors ? '' : ', without vectors'}`)
    output.note(`consilium verify ${out} --expect ${root}${form.vectors ? '' : ' --without-vectors'}`)
  }
  return EXIT.ok
}

type Target = Omit<WholeFileOptions, 'check'> & { readonly out: string; readonly told: Progress }
type Made = { readonly root: Cid; readonly kind: BundleKind; readonly blocks: number }

/** As a coordinator streams it, in one request; read again from the disk before it is there. */
async function download(url: string, run: string, form: BundleForm, args: Arguments, to: Target): Promise<Made> {
  const found = await apiAt(url, await apiKey(args, url)).runs.get(run)
  const asked = { run: runIdIn(found, url), round: roundIn(args) }
  const body = await found.bundle({ round: asked.round, ...form })
  let made: Bundle | undefined
  const check = async (path: string): Promise<void> => {
    await using written = await openBundle(path)
    made = await readWhole(written.file)
    await checkIsAsked(asked, made.root, made.block)
  }
  await writeWholeFile(to.out, to.told.of(fromNetwork(url, body)), { ...to, check })
  return made as Made
}

/** A stream that breaks off is the network's fault, or the coordinator has lost a block: the same again may tell. */
async function* fromNetwork(url: string, body: ReadableStream<Uint8Array>): AsyncIterable<Bytes> {
  try {
    yield* body as ReadableStream<Bytes> & AsyncIterable<Bytes>
  } catch (cause) {
    throw unreachable(url, cause)
  }
}

/** Block by block, in the order of the file. */
async function collect(from: string, form: BundleForm, args: Arguments, to: Target): Promise<Made> {
  await using record = await openRecord(from, args.positionals[0], args)
  const { root, block } = record.kind === 'bundle' ? await readWhole(record.file) : record
  let kind: BundleKind = 'other'
  let blocks = 0
  const checked = async (cid: Cid): Promise<Bytes> => {
    const bytes = checkBlock(cid, await block(cid))
    if (cid === root) kind = kindOf({ cid, bytes })
    blocks += 1
    return bytes
  }
  try {
    await checkIsAsked(record.asked, root, block)
    await writeWholeFile(to.out, to.told.of(bundleOf(root, checked, form)), to)
  } catch (cause) {
    throw cause instanceof BadBlock ? notCollected(cause, form, blocks === 0) : cause
  }
  return { root, kind, blocks }
}

/** A source that has the root may have lost what is below it, vectors first of all. */
function notCollected({ message }: BadBlock, { vectors }: BundleForm, isRoot: boolean): Failure {
  if (isRoot) return new Failure(EXIT.notFound, 'no_record', message, { fix: '--from another source' })
  const fix = vectors
    ? 'vectors are kept for a while only: --without-vectors exports all the rest; or --from another source'
    : '--from another source'
  return new Failure(EXIT.unverified, 'bad_block', message, { fix })
}

const TOLD_MILLIS = 2000

/** Counts what goes by, and says now and then how far it has come. */
class Progress {
  readonly #output: Output
  #toldAt = Date.now()
  bytes = 0

  constructor(output: Output) {
    this.#output = output
  }

  async *of(pieces: AsyncIterable<Bytes>): AsyncIterable<Bytes> {
    for await (const piece of pieces) {
      this.bytes += piece.length
      yield piece
      if (Date.now() - this.#toldAt < TOLD_MILLIS) continue
      this.#toldAt = Date.now()
      this.#output.note(`${formatBytes(this.bytes)} …`)
    }
  }
}
