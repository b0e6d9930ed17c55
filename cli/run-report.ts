import type { ApiEvent } from '#sdk/sse.ts'
import type { Output } from './output.ts'
import { boardLines, type SiteState } from './render/board.ts'
import { Live } from './render/live.ts'
import { figureIn, plainRow, tableHead, tableRow } from './render/table.ts'
import { follow, type RunProgress, roundsIn, settledRounds, watching } from './run-progress.ts'

/**
 * Tells a run while it happens: with --json every event as it is; on a terminal one block that is drawn over itself, and
 * the whole table at the end; elsewhere a line for each round once its model has been tested.
 */
export class RunReport implements Disposable {
  readonly #output: Output
  readonly #live: Live | undefined
  #progress: RunProgress
  readonly #introduced: boolean
  #told = 0
  #sites: readonly SiteState[] = []

  /** @param introduced what is masked has been said already */
  constructor(output: Output, run: string, { introduced = false } = {}) {
    this.#introduced = introduced
    this.#output = output
    this.#progress = watching(run)
    const onTerminal = output.out.live && output.err.live && !output.json && !output.quiet
    this.#live = onTerminal ? new Live(output.err) : undefined
  }

  get progress(): RunProgress {
    return this.#progress
  }

  tell(event: ApiEvent): void {
    this.#progress = follow(this.#progress, event)
    if (this.#output.json) return
    if (event.type === 'run.created' && !this.#introduced) this.#sayFirst()
    if (this.#live) return this.#draw()
    const { rounds, past: all } = this.#progress
    for (const past of settledRounds(this.#progress, this.#told)) {
      const before = all.slice(0, this.#told++)
      this.#output.line(plainRow(past, roundsIn({ rounds, past: before })))
    }
  }

  showSites(sites: readonly SiteState[]): void {
    this.#sites = sites
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
      boardLines(this.#progress, this.#sites, { columns: err.columns(), rows: err.rows(), unicode: err.unicode }),
    )
  }
}

/** What a run protects: the first thing that is said of it. */
export function maskingLine(masking: string): string {
  return masking === 'none'
    ? 'masking none: the coordinator can read each single update (no raw data leaves a site)'
    : `masking ${masking}: nobody, the coordinator included, can read a single update; only their sum comes out`
}
