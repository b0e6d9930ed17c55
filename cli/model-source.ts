import { type Shape, shapeOf } from '#protocol/architecture.ts'
import { architectureSchema } from '#protocol/architecture-schema.ts'
import { parseCid } from '#protocol/cid.ts'
import type { AddressedModel } from '#protocol/formats/model-file.ts'
import type { Bytes, Cid, NodeId } from '#protocol/ids.ts'
import { ROUNDS_MAX } from '#protocol/limits.ts'
import { modelSchema } from '#protocol/manifest.ts'
import type { Result } from '#protocol/result.ts'
import { NotAFile } from '#protocol/unixfs.ts'
import { type AskedFor, checkAsked } from '#verify/asked.ts'
import { BadBlock, Blocks } from '#verify/blocks.ts'
import { openApi } from './api-client.ts'
import { type Arguments, usage } from './arguments.ts'
import { EXIT, Failure } from './failure.ts'
import { anotherRecord, openRecord, runIdIn } from './record-source.ts'
import { pinsOf } from './verify.ts'

/** A model that a signed record names, its weights still where they are: every block of them is hashed as it is read. */
export type ModelSource = AsyncDisposable &
  AddressedModel & {
    /** Of the run, with the round where one was asked for: `run_…` or `run_…-round-3`. */
    readonly name: string
    readonly shape: Shape
    /** The record that names it, and who signed that. */
    readonly record: Cid
    readonly coordinator: NodeId
    readonly weights: () => AsyncIterable<Bytes>
  }

/** @param named `<run>`, whose last model it is, or `<run>:<round>` */
export async function openModel(named: string, args: Arguments): Promise<ModelSource> {
  const api = await openApi(args)
  const { run, round } = parseNamed(named)
  const found = await api.runs.get(run)
  // Files are called by it: one that leads elsewhere is none.
  const id = runIdIn(found, api.transport.url)
  const told = round === undefined ? found.view.manifest : (await found.round(round)).record
  const root = parseCid(told ?? '')
  if (!root.ok) throw notEnded(id, round)
  await using doors = new AsyncDisposableStack()
  const source = doors.use(await openRecord(api.transport.url, root.value, args))
  if (source.kind !== 'blocks') throw new Error('a coordinator has blocks')
  const blocks = new Blocks(source.block)
  const made = await modelIn(blocks, root.value, { run: id, round }, args).catch((cause: unknown) => {
    throw badBlock(cause)
  })
  const open = doors.move()
  return {
    ...made,
    ...{ name: round === undefined ? id : `${id}-round-${round}`, record: root.value },
    weights: () => reading(blocks.file(made.manifest.weights, made.shape.parameters * 4)),
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  }
}

function parseNamed(named: string): { readonly run: string; readonly round: number | undefined } {
  const [run = '', text, ...rest] = named.split(':')
  if (text === undefined) return { run, round: undefined }
  const round = Number(text)
  if (rest.length === 0 && /^\d+$/.test(text) && round >= 1 && round <= ROUNDS_MAX) return { run, round }
  throw usage('which_model', `${named} is no run and round`, 'run_01KQ7, or run_01KQ7:3 for the model of round 3')
}

async function modelIn(blocks: Blocks, root: Cid, asked: AskedFor, args: Arguments) {
  const pin = args.text('coordinator-key')
  const { coordinator } = pin === undefined ? {} : pinsOf(args, 'coordinator-key')
  const { round } = asked
  const kind = round === undefined ? 'run' : 'round'
  const record = await blocks.signed(root, kind, coordinator)
  if (!record.ok) {
    if (record.refusal === 'wrong-type') throw new Failure(EXIT.notFound, 'no_model', `round ${round} made no model`)
    throw new Failure(EXIT.unverified, 'not_the_record', `the record ${root} does not hold: ${record.refusal}`, {
      lines: [['detail', record.detail ?? '']],
    })
  }
  const { value } = record.value
  const is = checkAsked(asked, 'round' in value ? value : { run: value.run })
  if (!is.ok) throw anotherRecord(is.detail ?? is.refusal)
  const cid = value.model
  const manifest = held(cid, await blocks.read(cid, modelSchema))
  const architecture = held(manifest.architecture, await blocks.read(manifest.architecture, architectureSchema))
  const shape = held(manifest.architecture, shapeOf(architecture))
  const layout = (tensors: readonly { readonly name: string; readonly shape: readonly number[] }[]) =>
    JSON.stringify(tensors.map((one) => [one.name, one.shape]))
  if (layout(manifest.tensors) !== layout(shape.tensors))
    throw new Failure(EXIT.unverified, 'bad_model', `the tensors of ${cid} are not those of its architecture`)
  return { cid, manifest, architecture, shape, coordinator: record.value.from }
}

function held<T>(cid: Cid, read: Result<T>): T {
  if (read.ok) return read.value
  throw new Failure(EXIT.unverified, 'bad_model', `${cid} is not what its record says: ${read.detail ?? read.refusal}`)
}

async function* reading(weights: AsyncIterable<Bytes>): AsyncIterable<Bytes> {
  try {
    yield* weights
  } catch (cause) {
    throw badBlock(cause)
  }
}

function badBlock(cause: unknown): unknown {
  const isOtherwise = cause instanceof BadBlock || cause instanceof NotAFile
  return isOtherwise ? new Failure(EXIT.unverified, 'bad_block', cause.message) : cause
}

function notEnded(id: string, round: number | undefined): Failure {
  const what = round === undefined ? `${id} has not ended` : `round ${round} of ${id} has not ended`
  return new Failure(EXIT.conflict, 'not_ended', `${what}: its record is sealed when it does`, {
    fix:
      round === undefined ? `${id}:n takes the model of a round that has closed; consilium runs show ${id}` : undefined,
  })
}
