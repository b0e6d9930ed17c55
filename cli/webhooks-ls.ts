import { openApi } from './api-client.ts'
import type { Call } from './command.ts'
import { EXIT } from './failure.ts'
import { rowOf } from './render/rounds.ts'

/** `consilium webhooks ls` */
export async function execute({ args, output }: Call): Promise<number> {
  const endpoints = await (await openApi(args)).webhooks.list({ limit: 200 }).page()
  if (output.json) output.object(endpoints)
  else {
    for (const { id, enabled, events, url, gave_up } of endpoints.data)
      output.line(rowOf([id, enabled ? (gave_up ? 'failing' : 'on') : 'off', events.join(','), url], [29, 7, 24, 0]))
    if (endpoints.data.length === 0) output.note('nobody is told: consilium webhooks create https://…')
  }
  return EXIT.ok
}
