import { formatCredits } from '#protocol/amount.ts'
import { parseCid } from '#protocol/cid.ts'
import { BadBlock, Blocks } from '#verify/blocks.ts'
import { coordinatorUrl } from './api-client.ts'
import { usage } from './arguments.ts'
import type { Call } from './command.ts'
import { EXIT, Failure } from './failure.ts'
import { openRecord } from './record-source.ts'
import { pinsOf } from './verify.ts'

/** `consilium receipt show <CID>`: one receipt, whose hash and signature are checked here. Whoever was paid has no API key. */
export async function execute({ args, output }: Call): Promise<number> {
  const cid = parseCid(args.positionals[0] as string)
  if (!cid.ok)
    throw usage('bad_value', `a receipt goes by its CID, not by ${args.positionals[0]}`, 'consilium payouts ls')
  await using source = await openRecord(coordinatorUrl(args), cid.value, args)
  if (source.kind !== 'blocks') throw new Error('a coordinator has blocks')
  const { coordinator } = args.text('coordinator-key') === undefined ? {} : pinsOf(args, 'coordinator-key')
  const read = await new Blocks(source.block).signed(cid.value, 'receipt', coordinator).catch((cause: unknown) => {
    throw cause instanceof BadBlock ? new Failure(EXIT.notFound, 'no_receipt', cause.message) : cause
  })
  if (!read.ok)
    throw new Failure(EXIT.unverified, 'not_a_receipt', `${cid.value} is no receipt that holds: ${read.refusal}`, {
      lines: read.detail === undefined ? [] : [['detail', read.detail]],
    })
  const { from, value } = read.value
  const pinned = coordinator !== undefined
  const { run, round, seat, node, update, manifest, amount } = value
  if (output.json) {
    const told = { run, round, seat, node, update, manifest, amount: String(amount) }
    output.object({ receipt: cid.value, ...told, signed_by: from, pinned })
  } else {
    const rows = [
      ...[['receipt', cid.value] as const, ['run', `${run}, round ${round}, seat ${seat}`] as const],
      ...[['node', node] as const, ['amount', `${formatCredits(amount)} credits`] as const],
      ...[['update', update] as const, ['manifest', manifest] as const],
      ['signed by', `${from}${pinned ? '' : '  (unpinned: --coordinator-key pins who signed)'}`] as const,
    ]
    for (const [name, text] of rows) output.line(`${name.padEnd(10)} ${text}`)
  }
  return EXIT.ok
}
