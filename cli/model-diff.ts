import { decodeWeights } from '#aggregation/weights.ts'
import { collect } from '#protocol/bytes.ts'
import { tensorBytes, WeightsStream } from '#protocol/formats/weights-stream.ts'
import { usage } from './arguments.ts'
import type { Call } from './command.ts'
import { EXIT, Failure } from './failure.ts'
import { type ModelSource, openModel } from './model-source.ts'
import { rowOf } from './render/rounds.ts'

/** Of one tensor in both models, as sums over its values. */
type Sums = { readonly a: number; readonly b: number; readonly both: number; readonly moved: number }

/** `consilium model diff <run> <run>`: how far apart two models are, tensor by tensor. Exits as diff does. */
export async function execute({ args, output }: Call): Promise<number> {
  const [first, second] = args.positionals
  if (first === undefined || second === undefined)
    throw usage('missing_argument', 'model diff needs two models', 'consilium model diff run_01KQ7:1 run_01KQ7:2')
  await using a = await openModel(first, args)
  await using b = await openModel(second, args)
  const same = a.cid === b.cid
  const shapes = new Map(b.manifest.tensors.map(({ name, shape }) => [name, shape.join()]))
  const isAlike =
    a.manifest.tensors.length === b.manifest.tensors.length &&
    a.manifest.tensors.every(({ name, shape }) => shapes.get(name) === shape.join())
  if (!isAlike)
    throw new Failure(EXIT.data, 'other_tensors', 'the two models have other tensors: they cannot be compared')
  const tensors: { readonly name: string; readonly sums: Sums }[] = []
  for await (const found of sumsOf(a, b)) tensors.push(found)
  const all = { name: 'all', sums: tensors.reduce((sum, { sums }) => added(sum, sums), NOTHING) }
  if (output.json) {
    const told = [...tensors, all].map(({ name, sums }) => ({ name, ...figuresOf(sums) }))
    output.object({ same, a: a.cid, b: b.cid, tensors: told.slice(0, -1), all: told.at(-1) })
  } else {
    output.line(same ? `the same model  ${a.cid}` : `a  ${a.cid}\nb  ${b.cid}`)
    const width = Math.max(...tensors.map(({ name }) => name.length), 6)
    const widths = [width, 12, 12, 12, 0]
    output.line(rowOf(['tensor', '|a|', '|b|', '|b - a|', 'cosine'], widths))
    for (const { name, sums } of [...tensors, all]) {
      const { norm_a, norm_b, distance, cosine } = figuresOf(sums)
      const norms = [norm_a, norm_b, distance].map((norm) => norm.toPrecision(5))
      output.line(rowOf([name, ...norms, cosine === null ? '-' : cosine.toFixed(6)], widths))
    }
  }
  return same ? EXIT.ok : EXIT.differ
}

const NOTHING: Sums = { a: 0, b: 0, both: 0, moved: 0 }

/** Both files at once, a tensor of each at a time. Their order is that of the architecture, which is the same in both. */
async function* sumsOf(a: ModelSource, b: ModelSource) {
  await using left = new WeightsStream(a.weights())
  await using right = new WeightsStream(b.weights())
  for (const { name, shape } of a.manifest.tensors) {
    const bytes = tensorBytes(shape)
    const [from, to] = [await floatsOf(left, bytes), await floatsOf(right, bytes)]
    yield { name, sums: compared(from, to) }
  }
}

function compared(from: Float32Array, to: Float32Array): Sums {
  let [a, b, both, moved] = [0, 0, 0, 0]
  for (let at = 0; at < from.length; at++) {
    const [x, y] = [from[at] as number, to[at] as number]
    a += x * x
    b += y * y
    both += x * y
    moved += (y - x) ** 2
  }
  return { a, b, both, moved }
}

async function floatsOf(stream: WeightsStream, bytes: number): Promise<Float32Array> {
  const floats = decodeWeights(await collect(stream.take(bytes), bytes), bytes / 4)
  if (floats.ok) return floats.value
  throw new Failure(EXIT.data, 'bad_weights', `the weights cannot be read: ${floats.detail ?? floats.refusal}`)
}

function added(one: Sums, other: Sums): Sums {
  return { a: one.a + other.a, b: one.b + other.b, both: one.both + other.both, moved: one.moved + other.moved }
}

/** No direction has a cosine where one of the two has none. */
function figuresOf({ a, b, both, moved }: Sums) {
  const cosine = a > 0 && b > 0 ? Math.max(-1, Math.min(1, both / Math.sqrt(a) / Math.sqrt(b))) : null
  return { norm_a: Math.sqrt(a), norm_b: Math.sqrt(b), distance: Math.sqrt(moved), cosine }
}
