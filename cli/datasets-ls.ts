import type { Call } from './command.ts'
import { EXIT } from './failure.ts'
import { FederationClient } from './federation-client.ts'
import { datasetLines } from './render/federations.ts'

/** `consilium datasets ls` */
export async function execute({ args, output }: Call): Promise<number> {
  const data = await (await FederationClient.open(args)).datasets()
  if (output.json) output.object({ data })
  else {
    for (const line of datasetLines(data)) output.line(line)
    if (data.length === 0) output.note('no node publishes anything: consilium node up --publish-dataset <name>')
  }
  return EXIT.ok
}
