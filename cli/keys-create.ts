import { openApi } from './api-client.ts'
import { type Arguments, usage } from './arguments.ts'
import type { Call } from './command.ts'
import { EXIT } from './failure.ts'

/** `consilium keys create`: the key alone goes to stdout, so that it can go straight to where it is kept. */
export async function execute({ args, output }: Call): Promise<number> {
  const made = await (await openApi(args)).keys.create(
    {
      name: args.required('name', 'who or what has the key: --name nightly'),
      scopes: args.required('scopes', 'what it is for: --scopes runs:read,runs:write').split(','),
      federation: args.text('federation') ?? null,
      expiresAt: expiryOf(args),
    },
    { idempotencyKey: args.text('idempotency-key') },
  )
  if (output.json) output.object(made)
  else output.line(made.key)
  output.note(`${made.id}  ${made.name}  shown this once: keep it where nobody else can read it`)
  return EXIT.ok
}

function expiryOf(args: Arguments): string | null {
  const text = args.text('expires')
  if (text === undefined) return null
  const at = new Date(text)
  if (Number.isNaN(at.getTime())) throw usage('bad_value', `--expires is a time, as 2027-01-31, not ${text}`)
  return at.toISOString()
}
