import type { Millis } from '#protocol/ids.ts'
import { type Draw, pick } from './chance.ts'
import type { Disk, Store } from './disk.ts'
import type { Blow } from './life.ts'
import type { Direction } from './network.ts'

/** What goes wrong beside the weather. Chances are per call, the others are so many times during a run. */
export type Faults = {
  /** Chance that a coordinator's process dies at one append to the log, half of the time after it was durable. */
  readonly crash: number
  /** … at one call of any of its doors. */
  readonly crashAnywhere: number
  /** Chance that a node's process dies at one append to its journal, and comes back with that. */
  readonly nodeCrash: number
  readonly nodeCrashAnywhere: number
  /** Nodes that die for good at some time during the run. */
  readonly deaths: number
  /** Nodes whose process is killed at some time during the run, and comes back. */
  readonly restarts: number
  /** Some nodes are cut off for a while, one way or both. */
  readonly partitions: number
  /** A process, a coordinator's or a node's, stops for a while and goes on with its timers overdue. */
  readonly pauses: number
  /** A disk is full for a while, or a part of it. */
  readonly fullDisks: number
  /** A disk takes its time for a while. */
  readonly slowDisks: number
  /** A node's clock is off by up to this when the run begins, either way. */
  readonly skewMillis: Millis
  /** A clock is set: a node's either way, a coordinator's forward. */
  readonly jumps: number
}

export const NO_FAULTS: Faults = {
  ...{ crash: 0, crashAnywhere: 0, nodeCrash: 0, nodeCrashAnywhere: 0, deaths: 0, restarts: 0 },
  ...{ partitions: 0, pauses: 0, fullDisks: 0, slowDisks: 0, skewMillis: 0, jumps: 0 },
}

/** A fault as it is drawn, and as people are told of it. */
export type Fault =
  | { readonly kind: 'death'; readonly node: number }
  /** Killed, and begun again after a while. */
  | { readonly kind: 'restart'; readonly node: number; readonly millis: Millis }
  | {
      readonly kind: 'partition'
      readonly nodes: readonly number[]
      readonly direction: Direction
      readonly millis: Millis
    }
  | { readonly kind: 'pause'; readonly who: Who; readonly millis: Millis }
  | { readonly kind: 'full-disk'; readonly who: Who; readonly stores: readonly Store[]; readonly millis: Millis }
  | { readonly kind: 'slow-disk'; readonly who: Who; readonly slowestMillis: Millis; readonly millis: Millis }
  | { readonly kind: 'jump'; readonly who: Who; readonly byMillis: Millis }

/** A node, or a process of the coordinator; their disks are one. */
export type Who = { readonly node: number } | { readonly coordinator: number }

export type Scheduled = { readonly atMillis: Millis; readonly fault: Fault }

/** Longer than any play. */
export const FOR_GOOD: Millis = 86_400_000
/** A process that was killed comes back within this. */
export const AWAY_MILLIS_MAX: Millis = 4000
const LONG_MILLIS: Millis = 6000
/** Below the second by which a deadline may be missed, though a turn waits for the one before it. */
const SLOWEST_MILLIS: Millis = 300
const JUMP_MILLIS_MAX: Millis = 5000
const DRIFT_MAX = 0.001
const COORDINATOR_STORES = [['log'], ['blobs'], ['vault'], ['withheld'], ['log', 'blobs', 'vault', 'withheld']] as const
const NODE_STORES = [['journal'], ['outbox'], ['journal', 'outbox']] as const

/** What happens when, within so long after the run began. */
export function scheduled(
  draw: Draw,
  faults: Faults,
  around: { readonly nodes: number; readonly coordinators: number; readonly spanMillis: Millis },
): readonly Scheduled[] {
  const number = (below: number) => Math.floor(draw() * below)
  const node = () => ({ node: number(around.nodes) })
  const coordinator = () => ({ coordinator: number(around.coordinators) })
  const anyone = () => (draw() < 0.5 ? coordinator() : node())
  const millis = () => 200 + number(LONG_MILLIS)
  const some = () => {
    const chosen = Array.from({ length: around.nodes }, (_, index) => index).filter(() => draw() < 0.4)
    return chosen.length > 0 ? chosen : [number(around.nodes)]
  }
  const stores = (who: Who): readonly Store[] =>
    pick<readonly Store[]>(draw, 'node' in who ? NODE_STORES : COORDINATOR_STORES)
  const makers: readonly (readonly [number, () => Fault])[] = [
    [faults.deaths, () => ({ kind: 'death', ...node() })],
    [faults.restarts, () => ({ kind: 'restart', ...node(), millis: number(AWAY_MILLIS_MAX) })],
    [
      faults.partitions,
      () => ({ kind: 'partition', nodes: some(), direction: pick(draw, ['up', 'down', 'both']), millis: millis() }),
    ],
    [faults.pauses, () => ({ kind: 'pause', who: anyone(), millis: millis() })],
    [
      faults.fullDisks,
      () => {
        const who = anyone()
        return { kind: 'full-disk', who, stores: stores(who), millis: millis() }
      },
    ],
    [
      faults.slowDisks,
      () => ({ kind: 'slow-disk', who: anyone(), slowestMillis: 1 + number(SLOWEST_MILLIS), millis: millis() }),
    ],
    [
      faults.jumps,
      () => {
        const who = anyone()
        const byMillis = number(JUMP_MILLIS_MAX) * ('node' in who && draw() < 0.5 ? -1 : 1)
        return { kind: 'jump', who, byMillis }
      },
    ],
  ]
  return makers
    .flatMap(([times, make]) =>
      Array.from({ length: times }, () => ({ atMillis: number(around.spanMillis), fault: make() })),
    )
    .sort((a, b) => a.atMillis - b.atMillis)
}

/** How wrong a node's clock is from the beginning. */
export function skewOf(draw: Draw, { skewMillis }: Faults): { readonly offMillis: Millis; readonly drift: number } {
  if (skewMillis === 0) return { offMillis: 0, drift: 0 }
  return { offMillis: Math.floor((2 * draw() - 1) * skewMillis), drift: (2 * draw() - 1) * DRIFT_MAX }
}

/** A process dies at any of its calls by chance. @param append the chance where it appends to a log */
export function blowBy(draw: Draw, { append, call }: { readonly append: number; readonly call: number }): Blow {
  return ({ door, name }) => {
    const isAppend = (door === 'log' || door === 'journal') && name.endsWith('.append')
    const chance = call + (isAppend ? append : 0)
    if (chance === 0 || draw() >= chance) return undefined
    return draw() < 0.5 ? 'before' : 'after'
  }
}

/** A process dies at this one of all its calls, counted over its lives from 0. */
export function blowAt(place: number, when: 'before' | 'after'): Blow {
  let called = 0
  return () => (called++ === place ? when : undefined)
}

/** @returns ends it */
export function fail(disk: Disk, fault: Extract<Fault, { kind: 'full-disk' | 'slow-disk' }>): () => void {
  return fault.kind === 'full-disk' ? disk.fill(fault.stores) : disk.slow(fault.slowestMillis)
}
