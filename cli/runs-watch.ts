import type { Consilium } from '#sdk/client.ts'
import type { Run } from '#sdk/runs.ts'
import { type ApiEvent, tellsOfPause } from '#sdk/sse.ts'
import { Absences } from './absences.ts'
import { openApi } from './api-client.ts'
import type { Call } from './command.ts'
import { EXIT, Failure } from './failure.ts'
import type { Output } from './output.ts'
import { figureLines } from './render/figures.ts'
import { formatTested } from './render/units.ts'
import type { RunEnd } from './run-progress.ts'
import { RunReport } from './run-report.ts'
import { Shortage } from './shortage.ts'
import { Declined } from './site-rules.ts'
import { listenForStop } from './stopping.ts'
import { failureOf } from './thrown.ts'
import { type Act, type Asking, footLines, listenToKeys, press } from './watch-keys.ts'

/** `consilium runs watch <run>` */
export async function execute({ args, output }: Call): Promise<number> {
  const api = await openApi(args)
  const run = await api.runs.get(args.positionals[0] as string)
  return watchRun(api, run, output, { keys: !args.flag('no-input') })
}

/**
 * Follows a run to its end, or until it waits for its owner. Ctrl-C stops watching, not the run; at a terminal it asks which
 * of the two is meant. Throws {@link Failure} when the run fails, was stopped or is paused.
 * @param keys whether keys are listened to where there is a terminal
 * @param needed sites that a round needs, where that is known: that too few are there is told, and if their own rules kept them away, that is why it failed
 */
export async function watchRun(
  { transport: { url } }: Consilium,
  run: Run,
  output: Output,
  { keys, needed }: { readonly keys: boolean; readonly needed?: number },
): Promise<number> {
  const { id } = run
  using stopping = listenForStop()
  const left = new AbortController()
  let exit: number | undefined
  let end: RunEnd | undefined
  let purpose = 'train'
  const declined = new Declined()
  const absences = new Absences()
  const shortage = new Shortage(needed)
  {
    using report = new RunReport(output, id)
    const act = (what: Act) => {
      if (what === 'stop')
        return void run.stop('by its owner').catch((cause: unknown) => report.note(failureOf(cause).message))
      exit = what === 'detach' ? EXIT.ok : EXIT.interrupted
      left.abort()
    }
    using _keys = keys && report.isLive ? askedByKeys(report, act) : undefined
    for await (const event of run.events({ signal: AbortSignal.any([stopping.signal, left.signal]) })) {
      if (output.json) output.object(event)
      report.tell(event)
      declined.follow(event)
      absences.follow(event)
      const short = shortage.follow(event)
      if (short !== undefined) report.note(short)
      if (await isWaiting(run, event)) throw runPaused(event, absences.lines(await seatsOf(run, event)))
    }
    ;({ end, purpose } = report.progress)
  }
  if (!end) {
    output.note(`the run goes on: consilium runs watch ${id} follows it, consilium runs stop ${id} ends it`)
    return exit ?? stopping.exit() ?? EXIT.unexpected
  }
  if (end.outcome === 'failed' && needed !== undefined) throw declined.denied(needed) ?? runFailed(id, end)
  if (end.outcome !== 'completed') throw runFailed(id, end)
  if (!output.json) {
    const { evaluation, model } = end
    if (evaluation) output.line(`accuracy   ${evaluation.accuracy.toFixed(4)} ${formatTested(evaluation)}`)
    for (const line of figureLines(evaluation?.figures)) output.line(line)
    if (purpose === 'train') output.line(`model      ${model}`)
    output.note(`${purpose === 'ask' ? 'its answer' : 'verify it'} with: consilium verify ${url} --run ${id}`)
  }
  return EXIT.ok
}

/** What is pressed, shown in the foot of the block. */
function askedByKeys(report: RunReport, act: (what: Act) => void): Disposable | undefined {
  let asking: Asking = 'nothing'
  const keys = listenToKeys(process.stdin, (key) => {
    const next = press(asking, key)
    asking = next.asking
    report.showFoot(footLines(asking))
    if (next.act) act(next.act)
  })
  if (keys) report.showFoot(footLines(asking))
  return keys
}

/** Whether the run is paused since this event, and not only was: what follows tells of one that was resumed. */
export async function isWaiting(run: Run, event: ApiEvent): Promise<boolean> {
  if (!tellsOfPause(event)) return false
  const { round } = event
  const { status, over } = (await run.refresh()).view
  return status === 'paused' && over === (round ?? over)
}

/** Of the round that a run is paused after; none where it is paused for another reason than what became of them. */
async function seatsOf(run: Run, { round, type }: ApiEvent) {
  return type === 'run.paused' && typeof round === 'number' ? (await run.round(round)).seats : []
}

/** @param event the one that says so */
export function runPaused({ run, reason, paused, round, type }: ApiEvent, lines: Failure['lines'] = []): Failure {
  return new Failure(EXIT.paused, 'run_paused', `${run} is paused: ${String(reason ?? paused)}`, {
    lines,
    // Of a round that closed there is nothing to look at.
    fix: waysOn(run, type === 'run.paused' && typeof round === 'number' ? round : undefined),
  })
}

/** What to do about a run that is paused. */
export function waysOn(run: string, round: number | undefined): string {
  const look =
    round === undefined ? '' : `consilium runs show ${run} --round ${round} tells what became of each seat; then `
  return `${look}consilium runs resume ${run}, or runs stop ${run}`
}

export function runFailed(run: string, { outcome, reason }: Pick<RunEnd, 'outcome' | 'reason'>): Failure {
  if (outcome === 'stopped') return new Failure(EXIT.stopped, 'run_stopped', `${run} was stopped: ${reason}`)
  return new Failure(EXIT.runFailed, 'run_failed', `${run} failed: ${reason ?? 'no reason given'}`, {
    fix: `consilium runs show ${run} tells its rounds; are enough nodes linked, and do they take its task?`,
  })
}
