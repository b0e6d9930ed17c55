import type { DryRunView } from '#sdk/views/dry-run.ts'
import type { Call } from './command.ts'
import { EXIT, Failure } from './failure.ts'
import { orderFrom } from './order.ts'
import type { Output } from './output.ts'
import { forecastLines } from './render/forecast.ts'
import { isByPolicy, policyDenied } from './site-rules.ts'

/** `consilium check <task.json>`: what a run of it would be, before there is one. */
export async function execute({ args, output }: Call): Promise<number> {
  const { api, order } = await orderFrom(args, output)
  return showForecast(await api.runs.dryRun(order), output)
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
  const needed = population.needed ?? 0
  const refusing = sites.flatMap(({ node, operator, accepts, rule, detail }) =>
    accepts === false && rule !== null ? [{ site: operator ?? node, rule, detail }] : [],
  )
  const come = population.linked - refusing.length
  if (come >= needed) return EXIT.ok
  const byPolicy = refusing.filter(isByPolicy)
  if (population.linked >= needed && come + byPolicy.length >= needed) throw policyDenied(byPolicy, { needed, come })
  throw new Failure(EXIT.runFailed, 'too_few_sites', `a round needs ${needed} sites, and ${come} may come`, {
    fix: 'take a smaller cohort, or have more sites linked; the list says what keeps others away',
  })
}
