import { MEMBERS_MAX, MEMBERS_MIN } from '#aggregation/secagg/messages.ts'
import type { Architecture } from '#protocol/architecture.ts'
import { strategySchema, type Task } from '#protocol/task.ts'
import type { RunSpec } from './run-spec.ts'

/** `refused`: it is there and not with what this run asks for; `absent`: it is not built. */
export type Compatibility = {
  readonly feature: string
  readonly state: 'used' | 'available' | 'refused' | 'absent'
  readonly detail: string
}

/** Every way of making the next model that anybody may ask about; those that can be had are in the task's own shape. */
const STRATEGIES = ['fedavg', 'fedadam', 'fedyogi', 'fedadagrad', 'scaffold'] as const
const BUILT: ReadonlySet<string> = new Set(strategySchema.options.map(({ shape }) => shape.kind.value))

type Order = { readonly spec: RunSpec; readonly task: Task; readonly architecture: Architecture }

/**
 * What goes together and what does not, as rows: what this order uses, what it could use, what is refused with it and why, and
 * what nobody can have yet. Read off the shapes and bounds by which requests are judged, so that it says what they do.
 */
export function compatibilityOf({ spec, task, architecture }: Order): readonly Compatibility[] {
  return [
    ...masks(spec),
    ...STRATEGIES.map((kind) => strategy(kind, task)),
    ...local(task, architecture),
    row('codec: ring32', 'used', 'whole numbers mod 2^32, so that every sum is exact and can be had again'),
    row(
      'codec: top-k',
      'absent',
      spec.secure ? 'and no masked sum could have it: which lanes are sent depends on the data' : 'every lane is sent',
    ),
    row('codec: rand-k', 'absent', 'lanes by a shared seed, which masks would bear'),
    ...robust(spec),
    row(
      'asynchronous rounds',
      'absent',
      spec.secure ? "and a round's masks are for one model alone" : 'rounds come one after another',
    ),
    row('central noise', 'refused', 'the sum is published exactly, so noise that is added after it hides nothing'),
    row('noise in the updates', 'absent', 'nothing bounds what the sum says of a row'),
    row(
      'valuation',
      'absent',
      spec.secure ? 'a masked sum cannot leave one out: equal pay' : 'equal pay for every update in the model',
    ),
    row('stop rule', spec.stopWhen ? 'used' : 'available', 'ends the run before all planned rounds have closed'),
    row(
      'draws by pace',
      spec.cohort.paced ? 'used' : 'available',
      'by measured times, which nobody else has: such a draw cannot be had again',
    ),
  ]
}

function masks({ secure, cohort, population }: RunSpec): readonly Compatibility[] {
  const seats = `${MEMBERS_MIN} to ${MEMBERS_MAX} seats`
  const fits = cohort.min >= MEMBERS_MIN && cohort.max <= MEMBERS_MAX
  const suite = (name: string, number: 1 | 2) =>
    row(
      name,
      secure ? (secure.suite === number ? 'used' : 'available') : fits ? 'available' : 'refused',
      `under masks, ${seats}`,
    )
  return [
    row('secure aggregation', secure ? 'used' : fits ? 'available' : 'refused', `secagg/1, ${seats}`),
    row(
      'plain rounds',
      secure ? (population === 'hospital' ? 'refused' : 'available') : 'used',
      'not in hospital populations',
    ),
    suite('X25519', 1),
    suite('X25519 with ML-KEM-768', 2),
    row(
      'weights by examples',
      secure ? 'refused' : 'used',
      secure ? 'under masks all count alike: sums over rounds would give counts away' : 'counts are public',
    ),
  ]
}

function strategy(kind: (typeof STRATEGIES)[number], task: Task): Compatibility {
  const state = task.strategy.kind === kind ? 'used' : BUILT.has(kind) ? 'available' : 'absent'
  return row(`strategy: ${kind}`, state, 'from the mean update to the next model')
}

function local(task: Task, { layers }: Architecture): readonly Compatibility[] {
  const given = task.start === 'given'
  const adapted = layers.some((layer) => 'adapter' in layer && layer.adapter !== undefined)
  const uses = (is: boolean) => (is ? 'used' : 'available')
  return [
    row('FedProx', uses(task.proximalMicro !== undefined), 'the local objective pulls to the incoming weights'),
    row('gradient clipping', uses(task.gradientNormMicro !== undefined), 'of a step, at the site'),
    row('adapters', uses(adapted), 'frozen weights with a low-rank update: only that is sent'),
    row(
      'given start',
      uses(given),
      given ? 'hospital sites take none unless their operator says so' : 'weights instead of a seed',
    ),
    row('metrics', uses(task.metrics !== undefined), 'beside accuracy and loss: each adds lanes to every vector'),
    row('public data', uses(task.publicData !== undefined), 'for nodes that bring none'),
  ]
}

function robust({ secure }: RunSpec): readonly Compatibility[] {
  const detail = secure
    ? 'it looks at single updates, and masks hide these'
    : 'it looks at single updates; a strategy sees their mean'
  return ['median', 'trimmed mean', 'Krum'].map((name) => row(`robust: ${name}`, secure ? 'refused' : 'absent', detail))
}

function row(feature: string, state: Compatibility['state'], detail: string): Compatibility {
  return { feature, state, detail }
}
