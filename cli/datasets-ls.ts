import { all, openApi } from './api-client.ts'
import type { Call } from './command.ts'
import { EXIT } from './failure.ts'
import { datasetLines } from './render/federations.ts'

/** `consilium datasets ls` */
export async function execute({ args, output }: Call): Promise<number> {
  const data = await all((await openApi(args)).nodes.datasets({ limit: 200 }))
  if (output.json) output.object({ data })
  else {
    for (const line of datasetLines(data)) output.line(line)
    if (data.length === 0) output.note('no node publishes anything: consilium node up --publish-dataset <name>')
  }
  return EXIT.ok
}
