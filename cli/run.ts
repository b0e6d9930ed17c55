import { showForecast } from './check.ts'
import type { Call } from './command.ts'
import { orderFrom } from './order.ts'
import { answerRun } from './run-answer.ts'
import { watchRun } from './runs-watch.ts'

/** `consilium run <task.json or task.ts>` */
export async function execute(call: Call): Promise<number> {
  const { args, output } = call
  const { api, order } = await orderFrom(args, output)
  if (args.flag('dry-run')) return showForecast(await api.dryRun(order), output)
  const run = await api.launch(order, args.text('idempotency-key'))
  if (args.flag('watch')) {
    const { cohort } = JSON.parse(order) as { readonly cohort: { readonly min: number } }
    return watchRun(api, run.id, output, { keys: !args.flag('no-input'), needed: cohort.min })
  }
  return answerRun(call, api, run, { until: 'ended', note: `follow it with: consilium runs watch ${run.id}` })
}
