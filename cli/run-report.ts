import type { ApiEvent } from '#sdk/sse.ts'
import type { Output } from './output.ts'
import { boardLines, type SiteState } from './render/board.ts'
import { Live } from './render/live.ts'
import { figureIn, plainRow, tableHead, tableRow } from './render/table.ts'
import { follow, type RunProgress, roundsIn, settledRounds, watching } from './run-progress.ts'
import { Seats } from './seats.ts'

/** What is left is told anew this often, whatever happens. */
const TICK_MILLIS = 1000

/**
 * Tells a run while it happens: with --json every event as it is; on a terminal one block that is drawn over itself, and
 * the whole table at the end; elsewhere a line for each round once its model has been tested.
 */
export class RunReport implements Disposable {
  readonly #output: Output
  readonly #live: Live | undefined
  readonly #seats = new Seats()
  readonly #ticks: NodeJS.Timeout | undefined
  #progress: RunProgress
  readonly #introduced: boolean
  #told = 0
  /** Of processes of ours; else the seats are shown. */
  #sites: readonly SiteState[] | undefined
  #foot: readonly string[] = []

  /** @param introduced what is masked has been said already */
  constructor(output: Output, run: string, { introduced = false } = {}) {
    this.#introduced = introduced
    this.#output = output
    this.#progress = watching(run)
    const onTerminal = output.out.live && output.err.live && !output.json && !output.quiet
    this.#live = onTerminal ? new Live(output.err) : undefined
    this.#ticks = this.#live && setInterval(() => this.#draw(), TICK_MILLIS).unref()
  }

  get progress(): RunProgress {
    return this.#progress
  }

  /** Whether a block is drawn, for keys to be told of in it. */
  get isLive(): boolean {
    return this.#live !== undefined
  }

  tell(event: ApiEvent): void {
    this.#progress = follow(this.#progress, event)
    if (this.#output.json) return
    if (event.type === 'run.created' && !this.#introduced) this.#sayFirst()
    if (this.#live) {
      this.#seats.follow(event)
      return this.#draw()
    }
    const { rounds, past: all, run } = this.#progress
    for (const past of settledRounds(this.#progress, this.#told)) {
      const before = all.slice(0, this.#told++)
      const when = this.#output.verbose ? `time=${past.endedAt} run=${run} ` : ''
      this.#output.line(when + plainRow(past, roundsIn({ rounds, past: before })))
    }
  }

  showSites(sites: readonly SiteState[]): void {
    this.#sites = sites
    if (this.#live) this.#draw()
  }

  /** The last lines of the block. */
  showFoot(lines: readonly string[]): void {
    this.#foot = lines
    if (this.#live) this.#draw()
  }

  /** A line for whoever watches, above the block. */
  note(text: string): void {
    if (this.#live) this.#live.above(text)
    else this.#output.note(text)
  }

  /** Takes the block away and leaves the table. */
  [Symbol.dispose](): void {
    if (!this.#live) return
    clearInterval(this.#ticks)
    this.#live[Symbol.dispose]()
    const { past } = this.#progress
    const figure = figureIn(past)
    const rows = past.map((round) => tableRow(round, undefined, figure))
    if (past.length > 0) this.#output.line([tableHead(figure), ...rows].join('\n'))
  }

  #sayFirst(): void {
    const { masking, run } = this.#progress
    this.#output.line(`${maskingLine(masking)}  ${run}`)
  }

  #draw(): void {
    const { err } = this.#output
    this.#live?.show(() =>
      boardLines(
        this.#progress,
        this.#sites ?? this.#seats.states(),
        { columns: err.columns(), rows: err.rows(), unicode: err.unicode, now: Date.now() },
        this.#foot,
      ),
    )
  }
}

/** What a run protects: the first thing that is said of it. */
export function maskingLine(masking: string): string {
  return masking === 'none'
    ? 'masking none: the coordinator can read each single update (no raw data leaves a site)'
    : `masking ${masking}: nobody, the coordinator included, can read a single update; only their sum comes out`
}
