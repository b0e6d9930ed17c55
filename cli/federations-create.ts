import type { Call } from './command.ts'
import { EXIT } from './failure.ts'
import { FederationClient } from './federation-client.ts'

/** `consilium federations create <name>` */
export async function execute({ args, output }: Call): Promise<number> {
  const client = await FederationClient.open(args)
  const made = await client.found(
    args.positionals[0] as string,
    args.text('description') ?? null,
    args.text('idempotency-key'),
  )
  if (output.json) output.object(made)
  else {
    output.line(made.id)
    output.note(`ask nodes in: consilium invite create ${made.id}      runs of it: "federation": "${made.id}"`)
  }
  return EXIT.ok
}
