import { resolve } from 'node:path'
import { type BundleForm, bundleOf, kindOf } from '#protocol/bundle.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { BadBlock, type BlockSource, checkBlock } from '#verify/blocks.ts'
import type { Call } from './command.ts'
import { EXIT, Failure } from './failure.ts'
import type { Output } from './output.ts'
import { openRecord, readWhole } from './record-source.ts'
import { formatBytes } from './render/units.ts'
import { listenForStop } from './stopping.ts'
import { writeWholeFile } from './whole-file.ts'

/** `consilium bundles export`: a run, a round or anything else that has a CID, as one file. Each block is hashed on its way. */
export async function execute({ args, output }: Call): Promise<number> {
  const from = args.required('from', 'the URL of a coordinator or gateway, a folder of blocks, or another bundle')
  const out = resolve(args.required('out', 'the file to write, run.car'))
  const form: BundleForm = { vectors: !args.flag('without-vectors') }
  await using record = await openRecord(from, args.positionals[0], args)
  const { root, block } = record.kind === 'bundle' ? await readWhole(record.file) : record
  using stopping = listenForStop()
  const told = new Progress(output)
  const checked = async (cid: Cid): Promise<Bytes> => {
    const bytes = checkBlock(cid, await block(cid))
    told.blocks += 1
    return bytes
  }
  try {
    const source = told.of(bundleOf(root, checked, form))
    await writeWholeFile(out, source, { replace: args.flag('force'), signal: stopping.signal })
  } catch (cause) {
    const exit = stopping.exit()
    if (exit !== undefined) return exit
    throw cause instanceof BadBlock ? await notExported(cause, form, root, block) : cause
  }
  const kind = kindOf({ cid: root, bytes: checkBlock(root, await block(root)) })
  const { blocks, bytes } = told
  if (output.json) output.object({ file: out, root, kind, vectors: form.vectors, blocks, bytes })
  else {
    output.line(`${out}  ${blocks} blocks, ${formatBytes(bytes)}${form.vectors ? '' : ', without vectors'}`)
    output.note(`consilium verify ${out} --expect ${root}${form.vectors ? '' : ' --without-vectors'}`)
  }
  return EXIT.ok
}

/** A source that has the root may have lost what is below it, vectors first of all. */
async function notExported(cause: BadBlock, { vectors }: BundleForm, root: Cid, block: BlockSource): Promise<Failure> {
  if ((await block(root)) === undefined)
    return new Failure(EXIT.notFound, 'no_record', `the source has no ${root}`, { fix: '--from another one' })
  const fix = vectors
    ? 'vectors are kept for a while only: --without-vectors exports all the rest; or --from another source'
    : '--from another source'
  return new Failure(EXIT.unverified, 'bad_block', cause.message, { fix })
}

const TOLD_MILLIS = 2000

/** Counts what goes by, and says now and then how far it has come. */
class Progress {
  readonly #output: Output
  #toldAt = Date.now()
  blocks = 0
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
      this.#output.note(`${this.blocks} blocks, ${formatBytes(this.bytes)} …`)
    }
  }
}
