import { formatCredits } from '#protocol/amount.ts'
import { type ApiClient, openApiClient, type RoundView, type RunView } from './api-client.ts'
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
  const api = await openApiClient(args)
  const id = args.positionals[0] as string
  const text = args.text('round')
  if (text !== undefined) {
    return showRound(api, id, args.integer('round', { min: 1, max: Number.MAX_SAFE_INTEGER }), output)
  }
  const run = await api.run(id)
  const history = await historyOf(api, run.id)
  const published = await api.publications(run.id)
  if (output.json) output.object({ ...run, history, publications: published.data })
  else {
    output.line(describeRun(run))
    for (const one of published.data) output.line(`${'pinned'.padEnd(10)} ${publicationLine(one, published.quorum)}`)
    for (const line of history.length > 0 ? ['', ...roundLines(history)] : []) output.line(line)
    if (args.flag('curves')) for (const line of await curvesFor(api, run.id, output)) output.line(line)
    if (run.status === 'paused') output.note(`\n${waysOn(run.id, history.at(-1)?.round)}`)
  }
  return EXIT.ok
}

export async function showRound(api: ApiClient, id: string, number: number, output: Output): Promise<number> {
  const round = await api.round(id, number)
  if (output.json) output.object(round)
  else for (const line of [roundLine(round), '', ...seatLines(round.seats, round.purpose)]) output.line(line)
  return EXIT.ok
}

async function curvesFor(api: ApiClient, id: string, { out }: Output): Promise<readonly string[]> {
  const drawn = curvesOf(await progressOf(api, id), { columns: out.columns(), unicode: out.unicode, lines: 8 })
  return drawn.length > 0 ? ['', ...drawn] : ['', 'no curve yet: fewer than two models have been tested']
}

/** Every round, however many pages that takes. */
export async function historyOf(api: ApiClient, id: string): Promise<readonly RoundView[]> {
  const rounds: RoundView[] = []
  for (let after: string | null = '0'; after !== null; ) {
    const { data, next }: { data: RoundView[]; next: string | null } = await api.rounds(id, after)
    rounds.push(...data)
    after = next
  }
  return rounds
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
    [
      'accuracy',
      evaluation && `${evaluation.accuracy.toFixed(4)} ${formatTested(evaluation)}, loss ${evaluation.loss.toFixed(4)}`,
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
      return name === 'accuracy' ? [...line, ...figureLines(evaluation?.figures)] : line
    })
    .join('\n')
}
