import { commandsFor } from '#storage/blobs/kubo-profile.ts'
import type { Call } from './command.ts'
import { EXIT } from './failure.ts'
import { KUBO_NETWORKS } from './kubo.ts'

/** `consilium kubo config`: what makes a daemon's repository right, for a shell. */
export async function execute({ args, output }: Call): Promise<number> {
  const network = args.oneOf('network', KUBO_NETWORKS)
  const commands = commandsFor(network)
  if (output.json) output.object({ network, commands })
  else for (const command of commands) output.line(command)
  return EXIT.ok
}
