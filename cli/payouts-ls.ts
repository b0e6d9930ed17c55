import { formatCredits } from '#protocol/amount.ts'
import { all, openApi } from './api-client.ts'
import type { Call } from './command.ts'
import { EXIT } from './failure.ts'
import { rowOf } from './render/rounds.ts'

const WIDTHS = [30, 5, 48, 14, 0] as const

/** `consilium payouts ls [run]` */
export async function execute({ args, output }: Call): Promise<number> {
  const limit = args.integer('limit', { min: 1, max: 100_000 })
  const [run, node] = [args.positionals[0], args.text('node')]
  const { payments: paid } = await openApi(args)
  const found = await all(paid.list({ limit: Math.min(limit, 200), ...(run && { run }), ...(node && { node }) }), limit)
  if (output.json) output.object({ data: found })
  else {
    if (found.length > 0) output.line(rowOf(['run', 'round', 'node', 'credits', 'receipt'], WIDTHS))
    for (const { run, round, node, amount, receipt } of found)
      output.line(rowOf([run, String(round), node, formatCredits(BigInt(amount)), receipt], WIDTHS))
    if (found.length === 0) output.note('nothing has been paid')
    if (found.length === limit) output.note(`these are the newest ${limit}: --limit shows more`)
  }
  return EXIT.ok
}
