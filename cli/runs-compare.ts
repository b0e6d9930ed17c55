import type { Consilium } from '#sdk/client.ts'
import { ApiError } from '#sdk/errors.ts'
import type { Run } from '#sdk/runs.ts'
import type { RunView } from '#sdk/views/runs.ts'
import { openApi } from './api-client.ts'
import { usage } from './arguments.ts'
import type { Call } from './command.ts'
import { type Comparison, compare, comparisonCsv, comparisonLines } from './comparison.ts'
import { EXIT } from './failure.ts'
import { progressOf } from './run-past.ts'

/** `consilium runs compare <run> <run> …` */
export async function execute({ args, output }: Call): Promise<number> {
  if (args.positionals.length < 2)
    throw usage('missing_argument', 'runs compare needs two runs or more', 'consilium runs compare run_01KQ7 run_01KQ8')
  if (args.flag('csv') && output.json) throw usage('csv_or_json', '--csv and --json exclude each other', 'give one')
  const api = await openApi(args)
  const runs = await Promise.all(args.positionals.map((id) => api.runs.get(id)))
  const both = runs.find(({ id }, index) => runs.findIndex((other) => other.id === id) !== index)
  if (both) throw usage('bad_value', `${both.id} is there twice`, 'name each run once')
  const compared = compare(await Promise.all(runs.map(async (run) => partOf(api, run))))
  if (output.json) output.object(compared)
  else for (const line of args.flag('csv') ? comparisonCsv(compared) : comparisonLines(compared)) output.line(line)
  return EXIT.ok
}

async function partOf(api: Consilium, run: Run): Promise<Comparison> {
  return { run: run.view, progress: await progressOf(run), task: await taskOf(api, run.view) }
}

/** What a run was to do; no more than its CID where the coordinator does not keep tasks by themselves. */
async function taskOf({ tasks }: Consilium, { task, ...run }: RunView): Promise<unknown> {
  const terms = { masking: run.masking, population: run.population, rounds: run.rounds, budget: run.budget }
  try {
    return { ...terms, task: await tasks.get(task) }
  } catch (cause) {
    if (cause instanceof ApiError && cause.status === 404) return { ...terms, task }
    throw cause
  }
}
