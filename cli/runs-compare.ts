import { z } from 'zod'
import { type ApiClient, openApiClient, type RunView } from './api-client.ts'
import { usage } from './arguments.ts'
import type { Call } from './command.ts'
import { type Comparison, compare, comparisonCsv, comparisonLines } from './comparison.ts'
import { EXIT, Failure } from './failure.ts'
import { progressOf } from './run-past.ts'

/** `consilium runs compare <run> <run> …` */
export async function execute({ args, output }: Call): Promise<number> {
  if (args.positionals.length < 2)
    throw usage('missing_argument', 'runs compare needs two runs or more', 'consilium runs compare run_01KQ7 run_01KQ8')
  if (args.flag('csv') && output.json) throw usage('csv_or_json', '--csv and --json exclude each other', 'give one')
  const api = await openApiClient(args)
  const runs = await Promise.all(args.positionals.map((id) => api.run(id)))
  const both = runs.find(({ id }, index) => runs.findIndex((other) => other.id === id) !== index)
  if (both) throw usage('bad_value', `${both.id} is there twice`, 'name each run once')
  const compared = compare(await Promise.all(runs.map(async (run) => partOf(api, run))))
  if (output.json) output.object(compared)
  else for (const line of args.flag('csv') ? comparisonCsv(compared) : comparisonLines(compared)) output.line(line)
  return EXIT.ok
}

async function partOf(api: ApiClient, run: RunView): Promise<Comparison> {
  return { run, progress: await progressOf(api, run.id), task: await taskOf(api, run) }
}

/** What a run was to do; no more than its CID where the coordinator does not keep tasks by themselves. */
async function taskOf(api: ApiClient, { task, ...run }: RunView): Promise<unknown> {
  const terms = { masking: run.masking, population: run.population, rounds: run.rounds, budget: run.budget }
  try {
    return { ...terms, task: await api.request(`/v1/tasks/${encodeURIComponent(task)}`, z.looseObject({})) }
  } catch (cause) {
    if (cause instanceof Failure && cause.exit === EXIT.notFound) return { ...terms, task }
    throw cause
  }
}
