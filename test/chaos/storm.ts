import { setTimeout as pause } from 'node:timers/promises'
import { unitStream } from '#aggregation/rng.ts'
import { seed as seedOf } from '#test/aggregation/given.ts'
import type { Deployment } from './deployment.ts'

/** What may befall a deployment, and how likely each is beside the others. */
export type Risks = {
  readonly crashCoordinator?: number
  readonly pauseCoordinator?: number
  readonly crashNode?: number
  readonly pauseNode?: number
  /** Connections of a node are reset, or stall one way for a while. Where there are wires. */
  readonly resetWires?: number
  readonly stallWires?: number
  /** What else there is: a server that all share, say. */
  readonly others?: readonly {
    readonly name: string
    readonly likely: number
    readonly befall: (unit: () => number) => Promise<void>
  }[]
}

export type StormOptions = {
  readonly seed: number
  readonly risks: Risks
  /** From one blow to the next, on average. */
  readonly meanMillis: number
  /** No more crashes of coordinators than this. */
  readonly crashesMax: number
  /** The longest pause of a process. */
  readonly pauseMillis: number
}

/** What happened, and when coordinators were killed. */
export type Damage = { readonly blows: Record<string, number>; readonly kills: number[] }

type Blow = { readonly name: string; readonly likely: number; readonly befall: () => Promise<void> }

/** One blow after another, all drawn from the seed, until the signal fires. Then everybody goes on, at full strength. */
export async function storm(deployment: Deployment, options: StormOptions, signal: AbortSignal): Promise<Damage> {
  const { risks, meanMillis, crashesMax, pauseMillis } = options
  const unit = unitStream(seedOf(options.seed))
  const damage: Damage = { blows: {}, kills: [] }
  const { coordinators, nodes, wires } = deployment
  const pick = <T>(of: readonly T[]): T => of[Math.floor(unit() * of.length)] as T
  const wait = (millis: number) => pause(millis, undefined, { signal }).catch(() => undefined)
  const asleep = new Set<Promise<void>>()
  /** Beside what comes next: others may be killed while one sleeps. */
  const meanwhile = (sleep: Promise<void>): Promise<void> => {
    const over = sleep.finally(() => asleep.delete(over))
    asleep.add(over)
    return Promise.resolve()
  }
  const freeze = (post: (typeof coordinators)[number], millis: number) => {
    post.signal('SIGSTOP')
    return meanwhile(wait(millis).then(() => post.signal('SIGCONT')))
  }
  const blows: readonly Blow[] = [
    {
      name: 'coordinator killed',
      likely: risks.crashCoordinator ?? 0,
      befall: async () => {
        damage.kills.push(Date.now())
        await pick(coordinators).crash()
      },
    },
    {
      name: 'coordinator paused',
      likely: risks.pauseCoordinator ?? 0,
      befall: () => freeze(pick(coordinators), unit() * pauseMillis),
    },
    { name: 'node killed', likely: risks.crashNode ?? 0, befall: () => pick(nodes).crash() },
    { name: 'node paused', likely: risks.pauseNode ?? 0, befall: () => freeze(pick(nodes), unit() * pauseMillis) },
    {
      name: 'links reset',
      likely: wires.flat().length > 0 ? (risks.resetWires ?? 0) : 0,
      befall: async () => {
        for (const wire of pick(wires)) wire.reset()
      },
    },
    {
      name: 'links stalled',
      likely: wires.flat().length > 0 ? (risks.stallWires ?? 0) : 0,
      befall: () => {
        const [own, way] = [pick(wires), pick(['up', 'down'] as const)]
        for (const wire of own) wire.stall(way)
        return meanwhile(
          wait(unit() * pauseMillis).then(() => {
            for (const wire of own) wire.flow(way)
          }),
        )
      },
    },
    ...(risks.others ?? []).map(({ name, likely, befall }) => ({ name, likely, befall: () => befall(unit) })),
  ]
  while (!signal.aborted) {
    await wait(2 * meanMillis * unit())
    if (signal.aborted) break
    const possible = blows.filter(({ name }) => name !== 'coordinator killed' || damage.kills.length < crashesMax)
    const blow = draw(possible, unit())
    if (!blow) continue
    damage.blows[blow.name] = (damage.blows[blow.name] ?? 0) + 1
    await blow.befall()
  }
  await Promise.all(asleep)
  await Promise.all(deployment.posts().map((post) => post.check()))
  return damage
}

function draw(blows: readonly Blow[], unit: number): Blow | undefined {
  let left = unit * blows.reduce((sum, { likely }) => sum + likely, 0)
  return blows.find(({ likely }) => {
    left -= likely
    return left < 0
  })
}
