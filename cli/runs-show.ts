import { formatCredits } from '#protocol/amount.ts'
import type { Run } from '#sdk/runs.ts'
import type { RoundView, RunView } from '#sdk/views/runs.ts'
import { all, openApi } from './api-client.ts'
import type { Call } from './command.ts'
import { EXIT } from './failure.ts'
import type { Output } from './output.ts'
import { curvesOf } from './render/board.ts'
import { figureLines } from './render/figures.ts'
import { publicationLine } from './render/publications.ts'
import { roundLine, roundLines, seatLines } from './render/rounds.ts'
import { formatTested } from './render/units.ts'
import { plain } from './render/width.ts'
import { progressOf } from './run-past.ts'
import { waysOn } from './runs-watch.ts'

/** `consilium runs show <run>`: the run and its rounds, or with --round one of them, seat by seat. */
export async function execute({ args, output }: Call): Promise<number> {
  const api = await openApi(args)
  const run = await api.runs.get(args.positionals[0] as string)
  const text = args.text('round')
  if (text !== undefined) {
    return showRound(run, args.integer('round', { min: 1, max: Number.MAX_SAFE_INTEGER }), output)
  }
  const history = await historyOf(run)
  const published = await api.publications.list({ run: run.id })
  if (output.json) output.object({ ...run.view, history, publications: published.data })
  else {
    output.line(describeRun(run.view))
    for (const one of published.data) output.line(`${'pinned'.padEnd(10)} ${publicationLine(one, published.quorum)}`)
    for (const line of history.length > 0 ? ['', ...roundLines(history)] : []) output.line(line)
    if (args.flag('curves')) for (const line of await curvesFor(run, output)) output.line(line)
    if (run.view.status === 'paused') output.note(`\n${waysOn(run.id, history.at(-1)?.round)}`)
  }
  return EXIT.ok
}

export async function showRound(run: Run, number: number, output: Output): Promise<number> {
  const round = await run.round(number)
  if (output.json) output.object(round)
  else for (const line of [roundLine(round), '', ...seatLines(round.seats, round.purpose)]) output.line(line)
  return EXIT.ok
}

async function curvesFor(run: Run, { out }: Output): Promise<readonly string[]> {
  const drawn = curvesOf(await progressOf(run), { columns: out.columns(), unicode: out.unicode, lines: 8 })
  return drawn.length > 0 ? ['', ...drawn] : ['', 'no curve yet: fewer than two models have been tested']
}

/** Every round, however many pages that takes. */
export function historyOf(run: Run): Promise<readonly RoundView[]> {
  return all(run.rounds({ limit: 200 }))
}

function vectorsLine({ vectors, vectors_until }: RunView): string | null {
  if (vectors === 'expired') return 'expired: their hashes and lengths are in the record'
  return vectors_until && `kept until ${vectors_until}`
}

function labelsLine({ labels }: RunView): string | null {
  const all = Object.entries(labels)
  return all.length === 0 ? null : all.map((label) => label.join('=')).join(', ')
}

export function describeRun(run: RunView): string {
  const { evaluation } = run
  const credits = (micro: string) => formatCredits(BigInt(micro))
  const rows: readonly (readonly [string, string | null])[] = [
    ['run', run.id],
    ['name', run.name],
    ['labels', labelsLine(run)],
    ['status', run.reason === null ? run.status : `${run.status}: ${run.reason}`],
    ['round', run.round === null ? null : `${run.round}, ${run.phase}`],
    ['from', run.origin && `round ${run.origin.round} of ${run.origin.run}`],
    ['trained', run.purpose === 'ask' ? null : `${run.closed} of ${run.rounds} rounds`],
    ['masking', `${run.masking} (${run.population} population)`],
    ['created', run.created_at],
    [run.purpose === 'ask' ? 'question' : 'task', run.task],
    ['model', run.purpose === 'ask' ? null : run.model],
    ['record', run.manifest],
    ['vectors', vectorsLine(run)],
    evaluation && evaluation.accuracy === null
      ? ['loss', `${evaluation.loss.toFixed(4)} ${formatTested(evaluation)}`]
      : [
          'accuracy',
          evaluation &&
            `${evaluation.accuracy?.toFixed(4)} ${formatTested(evaluation)}, loss ${evaluation.loss.toFixed(4)}`,
        ],
    [
      'budget',
      run.purpose === 'ask'
        ? null
        : `${credits(run.budget)} credits, ${credits(run.paid)} paid, ${credits(run.released)} released`,
    ],
  ]
  return rows
    .flatMap(([name, value]) => {
      const line = value === null ? [] : [`${name.padEnd(10)} ${plain(value)}`]
      return name === 'accuracy' || name === 'loss' ? [...line, ...figureLines(evaluation?.figures)] : line
    })
    .join('\n')
}
