import { all, openApi } from './api-client.ts'
import type { Call } from './command.ts'
import { EXIT } from './failure.ts'
import { idOf, KINDS } from './identified.ts'

/** `consilium nodes resume <node>` */
export async function execute({ args, output }: Call): Promise<number> {
  const api = await openApi(args)
  const known = () => all(api.nodes.list({ which: 'known', limit: 200 }))
  const node = await api.nodes.resume(await idOf(args.positionals[0] as string, KINDS.node, known))
  if (output.json) output.object(node)
  else output.line(`${node.id} is invited to rounds that open from now on`)
  return EXIT.ok
}
