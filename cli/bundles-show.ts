import { createReadStream } from 'node:fs'
import type { BundleKind } from '#protocol/bundle.ts'
import { type Piece, pieceOf } from '#storage/piece.ts'
import { Blocks } from '#verify/blocks.ts'
import type { Bundle } from '#verify/bundle.ts'
import type { Call } from './command.ts'
import { EXIT } from './failure.ts'
import { openBundle, readWhole } from './record-source.ts'
import { formatBytes } from './render/units.ts'

/** `consilium bundles show`: what a bundle is, once every block of it was hashed; what it claims is for verify. */
export async function execute({ args, output }: Call): Promise<number> {
  const path = args.positionals[0] as string
  await using record = await openBundle(path)
  const bundle = await readWhole(record.file)
  const said = await saidBy(bundle)
  const piece = args.flag('piece') ? await pieceOf(createReadStream(path, { highWaterMark: 2 ** 20 })) : undefined
  const { root, kind, form, blocks } = bundle
  if (output.json) {
    const { sizeBytes } = record.file
    const filecoin = piece && { piece: piece.piece, comm_p: piece.commP, padded_bytes: piece.paddedBytes.toString() }
    output.object({ root, kind, vectors: form.vectors, blocks, bytes: sizeBytes, ...said, ...filecoin })
    return EXIT.ok
  }
  const rows: readonly (readonly [string, string])[] = [
    ['root', root],
    ['kind', KINDS[kind]],
    ...Object.entries(said).map(([name, value]) => [name, String(value)] as const),
    ['vectors', form.vectors ? 'all that it names' : 'left out: verify --without-vectors'],
    ['size', `${blocks} blocks, ${formatBytes(record.file.sizeBytes)}`],
    ...pieceRows(piece),
  ]
  for (const [name, value] of rows) output.line(`${name.padEnd(12)} ${value}`)
  output.note('what it says of itself; consilium verify redoes it')
  return EXIT.ok
}

const KINDS: Readonly<Record<BundleKind, string>> = {
  run: 'a run',
  round: 'a round',
  aborted: 'a round that came to nothing',
  other: 'no record of a run or round',
}

/** By its root, which is signed. */
async function saidBy({ kind, root, block }: Bundle): Promise<Readonly<Record<string, string | number>>> {
  const blocks = new Blocks(block)
  if (kind === 'run') {
    const run = await blocks.signed(root, 'run')
    if (!run.ok) return { unreadable: run.refusal }
    const { run: id, outcome, rounds, model } = run.value.value
    return { run: id, coordinator: run.value.from, outcome, rounds: rounds.length, model }
  }
  if (kind === 'round' || kind === 'aborted') {
    const round = await blocks.signed(root, kind)
    if (!round.ok) return { unreadable: round.refusal }
    const { run: id, round: number, purpose } = round.value.value
    return { run: id, coordinator: round.value.from, round: number, purpose }
  }
  return {}
}

function pieceRows(piece: Piece | undefined): readonly (readonly [string, string])[] {
  if (!piece) return []
  return [
    ['piece', piece.piece],
    ['commP', piece.commP],
    ['padded', `${piece.paddedBytes} bytes`],
  ]
}
