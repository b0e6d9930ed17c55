import { audit } from '#sim/audit.ts'
import { type Outcome, simulate } from '#sim/cluster.ts'
import { STARTED_AT } from '#sim/setting.ts'
import type { Moment } from '#sim/story.ts'
import { EXIT, Failure } from '../failure.ts'
import type { Output } from '../output.ts'
import { Live } from '../render/live.ts'
import type { Stopping } from '../stopping.ts'
import { type ClusterSettings, playOf, replayCommand } from './options.ts'
import { outcomeData, outcomeLines, Telling } from './telling.ts'

/** Plays one seed and tells all of it. */
export async function playOne(settings: ClusterSettings, seed: number, output: Output): Promise<number> {
  const telling = new Telling(settings.nodes, STARTED_AT)
  const tell = (moment: Moment) => {
    if (output.json) output.object(telling.object(moment))
    else output.line(telling.line(moment))
  }
  const outcome = await audited(settings, seed, tell).catch((cause: unknown) => {
    throw broken([{ seed, cause }], settings)
  })
  if (output.json) output.object(outcomeData(outcome))
  else for (const line of outcomeLines(outcome)) output.line(line)
  return EXIT.ok
}

type Broken = { readonly seed: number; readonly cause: unknown }

/** Plays many, tells how far it is, and at the end which of them broke what. */
export async function playMany(
  settings: ClusterSettings,
  [first, last]: readonly [number, number],
  output: Output,
  stopping: Stopping,
): Promise<number> {
  const ends = new Map<string, number>()
  const failed: Broken[] = []
  const count = last - first + 1
  {
    using progress = new Progress(output, count)
    for (let seed = first; seed <= last && !stopping.signal.aborted; seed++) {
      try {
        const outcome = await audited(settings, seed)
        for (const { reason } of outcome.run.past) ends.set(reason ?? 'closed', (ends.get(reason ?? 'closed') ?? 0) + 1)
        if (output.json) output.object(outcomeData(outcome))
      } catch (cause) {
        failed.push({ seed, cause })
        if (output.json) output.object({ type: 'sim.finished', seed, ok: false, detail: messageOf(cause) })
      }
      progress.show(seed - first + 1, failed.length)
    }
  }
  const stop = stopping.exit()
  if (stop !== undefined) return stop
  const summary = [...ends].sort(([, a], [, b]) => b - a)
  if (output.json) {
    const failing = failed.map(({ seed }) => seed)
    output.object({ type: 'sim.summary', seeds: count, failed: failing, rounds: Object.fromEntries(summary) })
  } else {
    output.line(`seeds   ${count} from ${first} to ${last}, ${failed.length} broke a promise`)
    for (const [end, times] of summary) output.line(`rounds  ${String(times).padStart(6)}  ${end}`)
  }
  if (failed.length > 0) throw broken(failed, settings)
  return EXIT.ok
}

async function audited(settings: ClusterSettings, seed: number, tell?: (moment: Moment) => void): Promise<Outcome> {
  const outcome = await simulate({ ...playOf(settings, seed), ...(tell && { tell }) })
  await audit(outcome)
  return outcome
}

/** As many as a terminal shows. */
const TOLD_MAX = 20

function broken(failed: readonly Broken[], settings: ClusterSettings): Failure {
  const [one] = failed
  const what = failed.length === 1 ? messageOf(one?.cause) : `${failed.length} seeds broke a promise`
  return new Failure(EXIT.unverified, 'promise_broken', what, {
    lines: failed.slice(0, TOLD_MAX).map(({ seed }) => ['replay', replayCommand(settings, seed)] as const),
    cause: one?.cause,
  })
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}

/** One line, drawn over itself on a terminal; elsewhere one at every tenth. */
class Progress implements Disposable {
  readonly #output: Output
  readonly #live: Live | undefined
  readonly #count: number
  #told = 0

  constructor(output: Output, count: number) {
    this.#output = output
    this.#count = count
    this.#live = output.err.live && !output.json && !output.quiet ? new Live(output.err) : undefined
  }

  show(done: number, failed: number): void {
    const line = `${done} of ${this.#count} seeds${failed > 0 ? `, ${failed} broke a promise` : ''}`
    const tenth = Math.floor((10 * done) / this.#count)
    if (this.#live) this.#live.show(() => [line])
    else if (tenth > this.#told) this.#output.note(line)
    this.#told = tenth
  }

  [Symbol.dispose](): void {
    this.#live?.[Symbol.dispose]()
  }
}
