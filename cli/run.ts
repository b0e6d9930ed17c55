import { showForecast } from './check.ts'
import type { Call } from './command.ts'
import { EXIT } from './failure.ts'
import { orderFrom } from './order.ts'
import { describeRun } from './runs-show.ts'
import { watchRun } from './runs-watch.ts'

/** `consilium run <task.json or task.ts>` */
export async function execute({ args, output }: Call): Promise<number> {
  const { api, order } = await orderFrom(args, output)
  if (args.flag('dry-run')) return showForecast(await api.dryRun(order), output)
  const run = await api.launch(order, args.text('idempotency-key'))
  if (args.flag('watch')) return watchRun(api, run.id, output, { keys: !args.flag('no-input') })
  if (output.json) output.object(run)
  else {
    output.line(describeRun(run))
    output.note(`follow it with: consilium runs watch ${run.id}`)
  }
  return EXIT.ok
}
