import { openApi } from './api-client.ts'
import { usage } from './arguments.ts'
import type { Call } from './command.ts'
import { showRound } from './runs-show.ts'

/** `consilium rounds show <run> <n>` */
export async function execute({ args, output }: Call): Promise<number> {
  const [run = '', number = ''] = args.positionals
  if (!/^[1-9]\d{0,8}$/.test(number))
    throw usage('bad_value', `rounds are counted from 1, not ${number || 'nothing'}`, `consilium rounds show ${run} 1`)
  return showRound(await (await openApi(args)).runs.get(run), Number(number), output)
}
