import { isMeant } from '#protocol/event-types.ts'
import type { ApiEvent } from '#sdk/sse.ts'
import { openApi } from './api-client.ts'
import type { Arguments } from './arguments.ts'
import type { Call } from './command.ts'
import { checkPatterns } from './event-patterns.ts'
import { EXIT } from './failure.ts'
import { eventLine } from './render/events.ts'
import { PAGE_EVENTS } from './run-past.ts'
import { sinceOf } from './since.ts'
import { listenForStop } from './stopping.ts'

/** `consilium runs logs <run>`: what happened, event by event. */
export async function execute({ args, output }: Call): Promise<number> {
  const wanted = filterOf(args, Date.now())
  const api = await openApi(args)
  const run = await api.runs.get(args.positionals[0] as string)
  using stopping = listenForStop()
  const events = args.flag('follow') ? run.events({ signal: stopping.signal }) : run.past({ limit: PAGE_EVENTS })
  for await (const event of events) {
    if (!wanted(event)) continue
    if (output.json) output.object(event)
    else output.line(eventLine(event, { withRun: false }))
  }
  return stopping.exit() ?? EXIT.ok
}

/** @param now by our clock, for a --since that counts back */
export function filterOf(args: Arguments, now: number): (event: ApiEvent) => boolean {
  const [site, types] = [args.text('site'), args.texts('type')]
  checkPatterns('type', types)
  const since = sinceOf(args, now)
  return ({ type, time, ...fields }) =>
    (since === undefined || Date.parse(time) >= since) &&
    (types.length === 0 || types.some((pattern) => isMeant(pattern, type))) &&
    (site === undefined || String(fields['node'] ?? '').startsWith(site) || fields['operator'] === site)
}
