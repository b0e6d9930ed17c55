import type { Run } from '#sdk/runs.ts'
import { type ApiEvent, isLast } from '#sdk/sse.ts'
import { feedOf, followAll } from './all-events.ts'
import { openApi } from './api-client.ts'
import type { Call } from './command.ts'
import { EXIT } from './failure.ts'
import type { Output } from './output.ts'
import { eventLine } from './render/events.ts'
import { PAGE_EVENTS } from './run-past.ts'
import { listenForStop } from './stopping.ts'

/** Of a run that has a past, so much is told before what is new. */
const PAST_EVENTS = 10

/** `consilium events tail [run]`: what happens from now on, in one run or in all. */
export async function execute({ args, output }: Call): Promise<number> {
  const api = await openApi(args)
  const run = args.positionals[0]
  using stopping = listenForStop()
  const tell = (event: ApiEvent) => tellEvent(output, event, run === undefined)
  if (run === undefined) {
    const opened = () => output.note('what happens in all runs, from now on; Ctrl-C ends')
    for await (const event of followAll(api.transport, feedOf(api), { signal: stopping.signal, opened })) tell(event)
  } else await tailRun(await api.runs.get(run), stopping.signal, tell)
  return stopping.exit() ?? EXIT.ok
}

function tellEvent(output: Output, event: ApiEvent, withRun: boolean): void {
  if (output.json) output.object(event)
  else output.line(eventLine(event, { withRun }))
}

async function tailRun(run: Run, signal: AbortSignal, tell: (event: ApiEvent) => void) {
  let latest: ApiEvent[] = []
  for await (const event of run.past({ limit: PAGE_EVENTS })) latest = [...latest.slice(1 - PAST_EVENTS), event]
  for (const event of latest) tell(event)
  const last = latest.at(-1)
  // Nothing comes after it, and whoever waited for that would wait for ever.
  if (last && isLast(last)) return
  for await (const event of run.events({ signal, ...(last && { after: last.seq }) })) tell(event)
}
