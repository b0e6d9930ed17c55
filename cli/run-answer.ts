import type { Run } from '#sdk/runs.ts'
import type { RunView } from '#sdk/views/runs.ts'
import { Absences } from './absences.ts'
import type { Call } from './command.ts'
import { EXIT, Failure } from './failure.ts'
import { PAGE_EVENTS } from './run-past.ts'
import { describeRun } from './runs-show.ts'
import { runFailed, waysOn } from './runs-watch.ts'
import { listenForStop } from './stopping.ts'

/** What is waited for. A run that has ended comes to nothing else any more. */
const UNTIL = ['ended', 'paused', 'running'] as const
type Until = (typeof UNTIL)[number]
const OVER: ReadonlySet<string> = new Set(['completed', 'failed', 'stopped'])

type Manner = {
  /** What --wait waits for where it says nothing. */
  readonly until: Until
  /** What to do next, where it was not waited for. */
  readonly note?: string | undefined
  /** That the run is stopped is what was wanted. */
  readonly stops?: boolean
}

/**
 * Tells how a command leaves a run: at once, or with --wait once it has come so far. Throws {@link Failure} where it then
 * came to another end, or waits for its owner.
 */
export async function answerRun(
  { args, output }: Call,
  run: Run,
  { until: standard, note, stops = false }: Manner,
): Promise<number> {
  if (!args.has('wait')) {
    say(run.view)
    if (note !== undefined) output.note(note)
    return EXIT.ok
  }
  const until = args.flag('wait') ? standard : args.oneOf('wait', UNTIL)
  using stopping = listenForStop()
  output.note(`waiting until ${run.id} is ${until}; Ctrl-C ends the waiting, not the run`)
  const reached = await standing(run, until, stopping.signal)
  if (!reached) return stopping.exit() ?? EXIT.unexpected
  say(reached)
  const failure = await shortfall(run, reached, { until, stops })
  if (failure) throw failure
  return EXIT.ok

  function say(told: RunView): void {
    if (output.json) output.object(told)
    else output.line(describeRun(told))
  }
}

/** @returns undefined when the signal fires before */
async function standing(run: Run, until: Until, signal: AbortSignal): Promise<RunView | undefined> {
  let last = -1
  for await (const { seq } of run.past({ limit: PAGE_EVENTS })) last = seq
  const { view: now } = await run.refresh()
  if (isThere(now.status, until)) return now
  for await (const { type } of run.events({ signal, after: last })) {
    if (!/^r(un|ound)\./.test(type)) continue
    const { view: now } = await run.refresh()
    if (isThere(now.status, until)) return now
  }
  return signal.aborted ? undefined : (await run.refresh()).view
}

/** A paused run comes to no end by itself: whoever waits for one is told. */
function isThere(status: string, until: Until): boolean {
  return OVER.has(status) || status === 'paused' || (until === 'running' && status === 'running')
}

/** What came of it, where that is not what was waited for. */
async function shortfall(
  run: Run,
  { id, status, reason, over }: RunView,
  { until, stops }: { until: Until; stops: boolean },
): Promise<Failure | undefined> {
  if (status === 'failed' || (status === 'stopped' && !stops)) return runFailed(id, { outcome: status, reason })
  if (status !== 'paused' || until === 'paused') return undefined
  const { seats } = over > 0 ? await run.round(over) : { seats: [] }
  return new Failure(EXIT.paused, 'run_paused', `${id} is paused: ${reason}`, {
    lines: new Absences().lines(seats),
    fix: waysOn(id, undefined),
  })
}
