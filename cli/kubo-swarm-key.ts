import { randomBytes } from '#crypto'
import { toHex } from '#protocol/bytes.ts'
import type { Call } from './command.ts'
import { EXIT } from './failure.ts'

/** `consilium kubo swarm-key`: a new key, in the form of a repository's `swarm.key`. It goes to stdout and nowhere else. */
export async function execute({ output }: Call): Promise<number> {
  const lines = ['/key/swarm/psk/1.0.0/', '/base16/', toHex(randomBytes(32))]
  if (output.json) output.object({ swarm_key: `${lines.join('\n')}\n` })
  else for (const line of lines) output.line(line)
  return EXIT.ok
}
