import { nodeSecret } from '#client/node.ts'
import { signerOf } from '#protocol/envelope.ts'
import type { Call } from './command.ts'
import { EXIT } from './failure.ts'
import { nodeState } from './state.ts'

/** `consilium node id` */
export async function execute({ args, output }: Call): Promise<number> {
  const state = nodeState(args)
  const { id } = signerOf(await nodeSecret(state))
  if (output.json) output.object({ node: id, state })
  else output.line(id)
  return EXIT.ok
}
