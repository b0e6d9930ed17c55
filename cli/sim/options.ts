import { SUITE_X25519 } from '#aggregation/secagg/messages.ts'
import type { Masking } from '#protocol/plan.ts'
import { chanceOf } from '#sim/chance.ts'
import { CLIMATES, type ClimateName, climateOf } from '#sim/climate.ts'
import type { SimOptions } from '#sim/setting.ts'
import { type Arguments, usage } from '../arguments.ts'

/** What every seed of a call has in common. */
export type ClusterSettings = {
  readonly nodes: number
  readonly rounds: number
  readonly masking: Masking
  readonly coordinators: number
  readonly climate: ClimateName
}

const SEED_MAX = 2 ** 32 - 1
const NODES_MAX = 128
const COORDINATORS_MAX = 8
/** Fewer are no session. */
const MASKED_MIN = 3

/** What is played when nothing is said. */
const USUAL = { seed: 1, nodes: 5, rounds: 3, coordinators: 1, climate: 'storm' } as const

export function clusterSettings(args: Arguments): ClusterSettings {
  const stray = ['cohort', 'label', 'classes', 'alpha', 'bundle'].find((name) => args.text(name) !== undefined)
  if (stray) throw usage('missing_flag', `--${stray} is about sites that train`, 'add --sites <n> or --data <folder>')
  const masking = args.oneOf<Masking>('masking', ['none', 'secagg/1'])
  return {
    nodes: given(args, 'nodes', { min: masking === 'none' ? 2 : MASKED_MIN, max: NODES_MAX }),
    rounds: given(args, 'rounds', { min: 1, max: 1000 }),
    masking,
    coordinators: given(args, 'coordinators', { min: 1, max: COORDINATORS_MAX }),
    climate: args.text('weather') === undefined ? USUAL.climate : args.oneOf('weather', CLIMATES),
  }
}

/** Not as the flags' own defaults: they differ from those of sites that train. */
function given(
  args: Arguments,
  name: 'seed' | 'nodes' | 'rounds' | 'coordinators',
  range: { readonly min: number; readonly max: number },
): number {
  return args.text(name) === undefined ? USUAL[name] : args.integer(name, range)
}

/** A..B, both of them; or one. */
export function seedsOf(args: Arguments): readonly [first: number, last: number] {
  const range = args.text('seeds')
  if (range === undefined) {
    const seed = given(args, 'seed', { min: 0, max: SEED_MAX })
    return [seed, seed]
  }
  const [, first, last] = /^(\d+)\.\.(\d+)$/.exec(range)?.map(Number) ?? []
  if (first === undefined || last === undefined || first > last || last > SEED_MAX)
    throw usage('bad_value', `--seeds is two whole numbers, not ${range}`, '--seeds 1..100')
  return [first, last]
}

export function playOf(settings: ClusterSettings, seed: number): Omit<SimOptions, 'tell'> {
  const { climate, masking, ...rest } = settings
  // A session says so much more than a plain round that in bad weather most would come to nothing.
  const patience = masking === 'secagg/1' && climate !== 'calm' ? 3 : 1
  return {
    ...climateOf(climate, chanceOf(seed)('climate')),
    ...{ ...rest, seed, masking, patience, population: 'open', suite: SUITE_X25519, lost: () => false },
  }
}

/** As one would type it to see this seed alone. */
export function replayCommand(
  { nodes, rounds, masking, coordinators, climate }: ClusterSettings,
  seed: number,
): string {
  const masks = masking === 'none' ? '' : ` --masking ${masking}`
  const processes = coordinators === 1 ? '' : ` --coordinators ${coordinators}`
  return `consilium sim --seed ${seed} --nodes ${nodes} --rounds ${rounds}${masks}${processes} --weather ${climate}`
}
