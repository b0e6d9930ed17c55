import type { RunView } from '#sdk/views/runs.ts'
import { showForecast } from './check.ts'
import type { Call } from './command.ts'
import { orderFrom } from './order.ts'
import { answerRun } from './run-answer.ts'
import { watchRun } from './runs-watch.ts'

/** `consilium run <task.json or task.ts>` */
export async function execute(call: Call): Promise<number> {
  const { args, output } = call
  const { api, order } = await orderFrom(args, output)
  if (args.flag('dry-run')) return showForecast(await api.runs.dryRun(order), output)
  const run = await api.runs.create(order, { idempotencyKey: args.text('idempotency-key') })
  // A key that may launch runs may be one that sees none.
  const before = await api.runs
    .list({ limit: RUNS_LOOKED_AT })
    .page()
    .catch(() => undefined)
  const others = before?.data.map(({ view }) => view)
  const twin = others && twinOf(run.view, others)
  if (twin) output.note(`${twin.id} was of this very task: ${AGAIN}`)
  if (args.flag('watch')) {
    return watchRun(api, run, output, { keys: !args.flag('no-input'), needed: order.cohort.min })
  }
  return answerRun(call, run, { until: 'ended', note: `follow it with: consilium runs watch ${run.id}` })
}

const RUNS_LOOKED_AT = 50
const AGAIN =
  'sites confirm a sum only of the same sites as then, or of very different ones; another seed makes it another task'

type Sums = Pick<RunView, 'id' | 'task' | 'masking' | 'closed'>

/** A masked run of the same task: it began with the same model, and what a site makes of that is in at most two sums. */
export function twinOf(run: Sums, others: readonly Sums[]): Sums | undefined {
  if (run.masking === 'none') return undefined
  return others.find(
    ({ id, task, masking, closed }) => id !== run.id && task === run.task && masking !== 'none' && closed > 0,
  )
}
