import { sitesOf } from '#aggregation/quantise.ts'
import { lossOf } from '#protocol/accuracy.ts'
import { formatCredits } from '#protocol/amount.ts'
import { shown } from '#protocol/metrics.ts'
import type { ApiEvent } from '#sdk/sse.ts'
import type { Proof } from '#verify/verdict.ts'
import type { Output } from '../output.ts'
import { figureLines, figuresText, scoreLine } from '../render/figures.ts'
import { Live } from '../render/live.ts'
import { formatBytes, formatSeconds, formatTested } from '../render/units.ts'
import { follow, type PastRound, type RunProgress, settledRounds, watching } from '../run-progress.ts'

/** What is told of each single node would drown the rest. */
const OF_ONE_NODE = /^(node|update|keys|survivors|masks)\./

/** A run of virtual sites as it happens: a line for each round, once its model has been tested. */
export class SitesReport implements Disposable {
  readonly #output: Output
  readonly #live: Live | undefined
  readonly #sites: number
  readonly #backend: string
  readonly #started = performance.now()
  /** When each round was over, by its number. */
  readonly #overAt: number[] = []
  #progress: RunProgress = watching('')
  #told = 0

  constructor(output: Output, { sites, backend }: { readonly sites: number; readonly backend: string }) {
    this.#output = output
    this.#sites = sites
    this.#backend = backend
    this.#live = output.err.live && !output.json && !output.quiet ? new Live(output.err) : undefined
  }

  tell(event: Record<string, unknown> & { readonly type: string }): void {
    this.#progress = follow(this.#progress, event as ApiEvent)
    const { open, past, rounds } = this.#progress
    while (this.#overAt.length < past.length) this.#overAt.push(performance.now())
    // Its own clock stands still: how long things took is nothing that the run knows.
    if (this.#output.json && !OF_ONE_NODE.test(event.type)) this.#output.object({ ...event, time: undefined })
    for (const round of settledRounds(this.#progress, this.#told)) {
      this.#told++
      if (!this.#output.json) this.#say(this.#roundLine(round, rounds))
    }
    if (open) this.#live?.show(() => [`round ${open.round}: ${open.reported} reports, ${open.joined} joined`])
  }

  /** What was made, and that it holds. */
  end(proof: Proof, bundle: string | undefined): void {
    this.#live?.[Symbol.dispose]()
    const seconds = (performance.now() - this.#started) / 1000
    if (this.#output.json) {
      const { model, root, accuracy, outcome } = proof
      const elapsed_ms = Math.round(seconds * 1000)
      this.#output.object({
        ...{ type: 'sim.finished', ok: true, outcome, sites: this.#sites, backend: this.#backend },
        ...{ accuracy, ...(proof.evaluation?.figures && { figures: proof.evaluation.figures.map(shown) }) },
        ...{ model, record: root, bundle: bundle ?? null, elapsed_ms },
      })
      return
    }
    const { checked, accuracy, evaluation, coordinator } = proof
    const lines = [
      '',
      ...(evaluation && evaluation.rows > 0
        ? [
            scoreLine({ accuracy, loss: lossOf(evaluation) }, `${formatTested(testedOn(proof))}  (${this.#backend})`),
            ...figureLines(evaluation.figures?.map(shown)),
          ]
        : []),
      `model      ${proof.model}`,
      `budget     ${formatCredits(proof.budget)} credits = ${formatCredits(proof.paid)} paid + ${formatCredits(proof.released)} released`,
      `record     ${proof.root}`,
      `verify     ok (pinned): ${checked.blocks} blocks, ${formatBytes(checked.bytes)}, ${checked.signatures} signatures`,
      ...(bundle ? [`bundle     ${bundle}`, '', `  consilium verify ${bundle} --coordinator ${coordinator}`] : []),
    ]
    for (const line of lines) this.#output.line(line)
    this.#output.note(`${seconds.toFixed(1)} s`)
  }

  [Symbol.dispose](): void {
    this.#live?.[Symbol.dispose]()
  }

  #roundLine({ round, aborted, reports, cohort, evaluation }: PastRound, rounds: number): string {
    const head = `round ${String(round).padStart(String(rounds).length)}/${rounds}  ${reports}/${cohort} of ${this.#sites} sites`
    if (aborted !== null) return `round ${round}/${rounds}  aborted: ${aborted}`
    const figures = evaluation
      ? [
          `loss ${evaluation.loss.toFixed(4)}`,
          evaluation.accuracy === null ? '' : `accuracy ${evaluation.accuracy.toFixed(4)}`,
          figuresText(evaluation.figures),
        ]
          .filter((text) => text !== '')
          .join('  ')
      : 'not tested'
    const since = this.#overAt[this.#told - 2] ?? this.#started
    return `${head}  ${figures}  ${formatSeconds((this.#overAt[this.#told - 1] ?? since) - since)}`
  }

  #say(line: string): void {
    if (this.#live) this.#live.above(line)
    else this.#output.line(line)
  }
}

/** Under masks every site counts alike, and its rows are of nobody. */
function testedOn({ masking, evaluation }: Proof): { readonly rows: number | null; readonly sites: number | null } {
  if (!evaluation || masking === 'none') return { rows: evaluation?.rows ?? 0, sites: null }
  return { rows: null, sites: sitesOf(evaluation) }
}
