import type { Round } from '#coordinator/round/round.ts'
import type { RunEvent } from '#coordinator/run-events.ts'
import type { Advanced } from '#coordinator/runner.ts'
import type { Millis } from '#protocol/ids.ts'
import type { Fault, Who } from './faults.ts'

/** What is told of a play: events as they are written, faults as they strike, processes as they begin and end. */
export type Moment = { readonly at: Millis } & (
  | { readonly type: 'event'; readonly advanced: Advanced }
  | { readonly type: 'fault'; readonly fault: Fault }
  | { readonly type: 'process'; readonly who: Who; readonly what: string }
)

/** A part of a round that nodes are told of as one: a phase, or a step of the phase in which keys are shared. */
export type Stage =
  | Exclude<Round['phase'], 'keys' | 'closed' | 'aborted'>
  | `keys ${Extract<Round, { phase: 'keys' }>['step']}`

/** Which faults strike when something is written. */
export type Strikes = (advanced: Advanced) => readonly Fault[]

/** When a round comes to a stage. */
export function whenStage(stage: Stage, round: number, faults: readonly Fault[]): Strikes {
  return ({ before, after: { round: is } }) => {
    const begins = is?.round === round && stageOf(is) === stage
    return begins && !(before?.round?.round === round && stageOf(before.round) === stage) ? faults : []
  }
}

/** When so many events of a kind have been written. */
export function whenWritten(kind: RunEvent['kind'], times: number, strike: Strikes): Strikes {
  let written = 0
  return (advanced) => (advanced.event.kind === kind && ++written === times ? strike(advanced) : [])
}

function stageOf(round: Round): Stage | undefined {
  if (round.phase === 'closed' || round.phase === 'aborted') return undefined
  return round.phase === 'keys' ? `keys ${round.step}` : round.phase
}
