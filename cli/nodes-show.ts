import { all, openApi } from './api-client.ts'
import type { Call } from './command.ts'
import { EXIT } from './failure.ts'
import { idOf, KINDS } from './identified.ts'
import { checkLines, describeNode, paceLines } from './render/nodes.ts'

/** `consilium nodes show <node>` */
export async function execute({ args, output }: Call): Promise<number> {
  const api = await openApi(args)
  const known = () => all(api.nodes.list({ which: 'known', limit: 200 }))
  const node = await api.nodes.get(await idOf(args.positionals[0] as string, KINDS.node, known))
  if (output.json) output.object(node)
  else
    for (const line of [...describeNode(node), ...checkLines(node.checks), ...paceLines(node.rounds)]) output.line(line)
  return EXIT.ok
}
