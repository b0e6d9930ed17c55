import { formatCredits } from '#protocol/amount.ts'
import { all, openApi } from './api-client.ts'
import type { Call } from './command.ts'
import { EXIT } from './failure.ts'
import { rowOf } from './render/rounds.ts'

const WIDTHS = [48, 20, 14, 0] as const

/** `consilium earnings` */
export async function execute({ args, output }: Call): Promise<number> {
  const balances = await all((await openApi(args)).payments.balances({ limit: 200 }))
  if (output.json) output.object({ data: balances })
  else {
    if (balances.length > 0) output.line(rowOf(['node', 'operator', 'credits', 'updates'], WIDTHS))
    for (const { node, operator, earned, updates } of balances)
      output.line(rowOf([node, operator ?? '-', formatCredits(BigInt(earned)), String(updates)], WIDTHS))
    if (balances.length === 0) output.note('nobody has been paid: a run pays when its rounds close')
  }
  return EXIT.ok
}
