import { totalOf } from '#payments/allocate.ts'
import { equalBytes } from '#protocol/bytes.ts'
import { EXTENSIONS_MAX, ROUNDS_MAX } from '#protocol/limits.ts'
import { accept, type Refused, type Result, refuse } from '#protocol/result.ts'
import { conclude, goOn } from './concluding.ts'
import type { Once } from './once.ts'
import { cutShort } from './round/stopped.ts'
import type { Run, RunRefusal } from './run.ts'
import type { Extended, RunEvent } from './run-events.ts'

/**
 * What a run's owner decides while it goes on, and what follows of it. That a decision was made and what it changes is one
 * event: there is nothing in between at which a crash could leave the run.
 */

/** An open round goes to its end first; where none is open, none opens. What is owed already is done all the same. */
export function pause(run: Run, reason: string): Result<Run, RunRefusal> {
  const over = endingOf(run)
  if (over) return over
  if (run.pausing !== null || run.phase === 'paused') return refuse('paused-already')
  return accept(settled({ ...run, pausing: reason }))
}

/** Also before the pause has begun: then it never does. */
export function resume(run: Run): Result<Run, RunRefusal> {
  if (run.phase !== 'paused' && run.pausing === null) return refuse('not-paused')
  const resumed = { ...run, pausing: null, failures: 0 }
  return accept(run.phase === 'paused' ? goOn(resumed) : resumed)
}

/**
 * More training rounds, paid from a budget of their own, which is reserved before the first of them opens. An evaluate round
 * that is open goes on: what it says of the model so far is then one figure more.
 */
export function extend(run: Run, added: Extract<RunEvent, { kind: 'extended' }>): Result<Run, RunRefusal> {
  const { rounds, budget, once } = added
  if (extensionMadeBy(run, once)) return refuse('extended-already')
  const over = endingOf(run)
  if (over) return over
  if (run.spec.purpose === 'ask') return refuse('wrong-phase', 'a question is asked until it is answered')
  if (run.shown?.met) return refuse('stop-rule-met', run.shown.met)
  if (run.extensions.length >= EXTENSIONS_MAX) return refuse('too-many-extensions', `at most ${EXTENSIONS_MAX}`)
  const extensions = [...run.extensions, { from: nextRound(run), rounds, budget, once }]
  const planned = totalOf({ ...run.spec, extensions }).rounds
  // One of them is the evaluate round's.
  if (planned >= ROUNDS_MAX) return refuse('too-many-rounds', `${planned}, at most ${ROUNDS_MAX - 1}`)
  return accept({ ...run, extensions })
}

/** What a request under this key has added before. */
export function extensionMadeBy({ extensions }: Run, once: Once | null): Extended | undefined {
  return once === null ? undefined : extensions.find((one) => one.once && equalBytes(one.once.key, once.key))
}

/** What is owed to others is done first: a sum that is being made, a budget that is being reserved, a record. */
export function stop(run: Run, reason: string): Result<Run, RunRefusal> {
  const over = endingOf(run)
  if (over) return over
  const stopping = { ...run, stopping: reason }
  if (run.round) return accept(conclude({ ...stopping, round: cutShort(run.round, 'run-stopped', run.at) }))
  return accept(settled(stopping))
}

/** What its owner decided takes effect as soon as nothing is open and nothing is owed that comes before it. */
function settled(run: Run): Run {
  return run.phase === 'funding' || run.round || run.unrecorded ? run : goOn(run)
}

function endingOf(run: Run): Refused<RunRefusal> | undefined {
  if (run.phase === 'ended' || run.phase === 'finishing') return refuse('run-ended')
  return run.stopping === null ? undefined : refuse('run-stopped', run.stopping)
}

function nextRound({ round, past }: Run): number {
  return (round?.round ?? past.length) + 1
}
