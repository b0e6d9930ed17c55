import { openApiClient, type RunView } from './api-client.ts'
import type { Call } from './commands.ts'
import { EXIT } from './failure.ts'
import { formatCredits, formatTested } from './render/units.ts'

/** `consilium runs show <run>` */
export async function execute({ args, output }: Call): Promise<number> {
  const run = await (await openApiClient(args)).run(args.positionals[0] as string)
  if (output.json) output.object(run)
  else output.line(describeRun(run))
  return EXIT.ok
}

export function describeRun(run: RunView): string {
  const { evaluation } = run
  const credits = (micro: string) => formatCredits(BigInt(micro))
  const rows: readonly (readonly [string, string | null])[] = [
    ['run', run.id],
    ['name', run.name],
    ['status', run.reason === null ? run.status : `${run.status}: ${run.reason}`],
    ['round', run.round === null ? null : `${run.round} of ${run.rounds}, ${run.phase}`],
    ['masking', `${run.masking} (${run.population} population)`],
    ['created', run.created_at],
    [run.purpose === 'ask' ? 'question' : 'task', run.task],
    ['model', run.purpose === 'ask' ? null : run.model],
    ['record', run.manifest],
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
  return rows.flatMap(([name, value]) => (value === null ? [] : [`${name.padEnd(10)} ${value}`])).join('\n')
}
