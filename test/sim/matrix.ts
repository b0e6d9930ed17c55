import { expect } from '@jest/globals'
import type { Masking } from '#protocol/plan.ts'
import { type Fault, FOR_GOOD } from '#sim/faults.ts'
import { type Stage, whenStage } from '#sim/story.ts'
import { play } from './play.ts'

/** One round of so many nodes, and what befalls some of them when it comes to a stage. */
export type Cell = {
  readonly of: number
  readonly masking: Masking
  readonly stage: Stage
  readonly how: (typeof HOW)[number]
  readonly nodes: readonly number[]
}

const LOST_MAX = 3
const HOW = ['killed', 'paused', 'partitioned'] as const
/** A dispute over keys, and so its judgement, takes a dealer that cheats. */
const STAGES: Readonly<Record<Masking, readonly Stage[]>> = {
  none: ['selection', 'reporting', 'aggregation', 'settlement', 'evaluation'],
  'secagg/1': [
    ...(['selection', 'keys enrolling', 'keys dealing', 'keys sharing', 'keys agreeing', 'reporting'] as const),
    ...(['consistency', 'unmasking', 'abandonment', 'aggregation', 'settlement', 'evaluation'] as const),
  ],
}

/** Every stage, every fault, every set of up to three of so many. */
export function cells(of: number): readonly Cell[] {
  return (['none', 'secagg/1'] as const).flatMap((masking) =>
    STAGES[masking].flatMap((stage) =>
      HOW.flatMap((how) => subsets(of).map((nodes): Cell => ({ of, masking, stage, how, nodes }))),
    ),
  )
}

function subsets(of: number): readonly (readonly number[])[] {
  const bits = (set: number) => Array.from({ length: of }, (_, node) => node).filter((node) => (set >> node) & 1)
  return Array.from({ length: 2 ** of }, (_, set) => bits(set)).filter(({ length }) => length > 0 && length <= LOST_MAX)
}

/**
 * Plays it. The play itself ends where any phase is open a second past its deadline; here it must have come to the stage,
 * and what became of the round has a name.
 * @returns `closed`, or the reason why not
 */
export async function playCell({ of, masking, stage, nodes, how }: Cell, seed: number): Promise<string> {
  const round = stage === 'evaluation' ? 2 : 1
  let struck = 0
  const { run } = await play({
    ...{ seed, nodes: of, rounds: 1, masking, strikes: whenStage(stage, round, faultsOf(how, nodes)) },
    // A session is abandoned when it cannot be certified.
    lost: (said) => stage === 'abandonment' && said.kind === 'confirm' && said.round === 1,
    tell: (moment) => {
      if (moment.type === 'fault') struck++
    },
  })
  expect(struck).toBe(how === 'partitioned' ? 1 : nodes.length)
  const past = run.past[round - 1]
  return past?.manifest ? 'closed' : String(past?.reason)
}

function faultsOf(how: Cell['how'], nodes: readonly number[]): readonly Fault[] {
  if (how === 'partitioned') return [{ kind: 'partition', nodes, direction: 'both', millis: FOR_GOOD }]
  return nodes.map((node) =>
    how === 'killed' ? { kind: 'death', node } : { kind: 'pause', who: { node }, millis: FOR_GOOD },
  )
}
