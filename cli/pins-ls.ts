import { openApi } from './api-client.ts'
import type { Call } from './command.ts'
import { EXIT } from './failure.ts'
import { publicationLine } from './render/publications.ts'

/** `consilium pins ls [run]` */
export async function execute({ args, output }: Call): Promise<number> {
  const client = await openApi(args)
  const named = args.positionals[0]
  const run = named === undefined ? undefined : (await client.runs.get(named)).id
  const found = await client.publications.list(run === undefined ? {} : { run })
  if (output.json) output.object(found)
  else {
    for (const one of found.data) output.line(`${one.run}  ${publicationLine(one, found.quorum)}  ${one.cid}`)
    if (found.quorum === 0) output.note('nothing is published: consilium coordinator up --pin-to providers.json')
    else if (found.data.length === 0)
      output.note('nothing is published yet: it is when a round of an open run has closed')
  }
  return EXIT.ok
}
