import { all, openApi } from './api-client.ts'
import type { Call } from './command.ts'
import { EXIT } from './failure.ts'
import { nodeLines } from './render/nodes.ts'

/** `consilium nodes ls` */
export async function execute({ args, output }: Call): Promise<number> {
  const away = args.flag('all')
  const nodes = await all((await openApi(args)).nodes.list({ which: away ? 'known' : 'linked', limit: 200 }))
  if (output.json) output.object({ data: nodes })
  else {
    for (const line of nodeLines(nodes)) output.line(line)
    if (nodes.length === 0)
      output.note(away ? 'no nodes yet: consilium node up' : 'no node is linked: --all shows others')
  }
  return EXIT.ok
}
