import { createInterface } from 'node:readline/promises'
import { usage } from './arguments.ts'
import type { Call } from './command.ts'

/** Asks at a terminal before what cannot be taken back; --yes answers. A script is asked nothing, as before. */
export async function confirm({ args, output }: Call, question: string): Promise<void> {
  if (args.flag('yes') || args.flag('dry-run') || output.json || process.stdin.isTTY !== true || !output.err.live)
    return
  if (args.flag('no-input')) throw usage('no_input', question, 'add --yes')
  const reader = createInterface({ input: process.stdin, output: process.stderr })
  const answer = await reader.question(`${question} [y/N] `).finally(() => reader.close())
  if (!/^y(es)?$/i.test(answer.trim())) throw usage('not_confirmed', 'nothing was done')
}
