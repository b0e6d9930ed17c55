import type { DryRunView } from './api-client.ts'
import type { Call } from './command.ts'
import { EXIT, Failure } from './failure.ts'
import { orderFrom } from './order.ts'
import type { Output } from './output.ts'
import { forecastLines } from './render/forecast.ts'

/** `consilium check <task.json>`: what a run of it would be, before there is one. */
export async function execute({ args, output }: Call): Promise<number> {
  const { api, order } = await orderFrom(args, output)
  return showForecast(await api.dryRun(order), output)
}

/** Throws {@link Failure} where such a run could not be launched, or would not find its cohort among those who said. */
export function showForecast(forecast: DryRunView, output: Output): number {
  if (output.json) output.object(forecast)
  else if (forecast.ok) for (const line of forecastLines(forecast)) output.line(line)
  const { ok, errors, sites, population } = forecast
  if (!ok) {
    const lines = errors.map(({ pointer, message }) => [pointer, message] as const)
    throw new Failure(EXIT.usage, 'invalid_run', 'this run cannot be launched', { lines })
  }
  const refusing = sites.filter(({ accepts }) => accepts === false).length
  const mayCome = population.linked - refusing
  if (mayCome >= (population.needed ?? 0)) return EXIT.ok
  throw new Failure(
    EXIT.runFailed,
    'too_few_sites',
    `a round needs ${population.needed} sites, and ${mayCome} may come`,
    {
      fix: 'change what the sites refuse, take a smaller cohort, or have more of them linked',
    },
  )
}
