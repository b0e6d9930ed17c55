import { openApi } from './api-client.ts'
import type { Call } from './command.ts'
import { EXIT } from './failure.ts'

/** `consilium federations create <name>` */
export async function execute({ args, output }: Call): Promise<number> {
  const api = await openApi(args)
  const made = await api.federations.create(
    { name: args.positionals[0] as string, description: args.text('description') ?? null },
    { idempotencyKey: args.text('idempotency-key') },
  )
  if (output.json) output.object(made)
  else {
    output.line(made.id)
    output.note(`ask nodes in: consilium invite create ${made.id}      runs of it: "federation": "${made.id}"`)
  }
  return EXIT.ok
}
