import { all, openApi } from './api-client.ts'
import type { Call } from './command.ts'
import { EXIT } from './failure.ts'

/** `consilium pins check`: exit 10 while one of them is not there, 3 where one does not take the token. */
export async function execute({ args, output }: Call): Promise<number> {
  const providers = await all((await openApi(args)).publications.providers())
  if (output.json) output.object({ data: providers })
  for (const { name, state, detail } of output.json ? [] : providers)
    output.line([name.padEnd(16), state.padEnd(12), detail ?? ''].join('  ').trimEnd())
  if (providers.length === 0)
    output.note('there is no pinning service: consilium coordinator up --pin-to providers.json')
  if (providers.some(({ state }) => state === 'unreachable')) return EXIT.network
  return providers.every(({ state }) => state === 'ready') ? EXIT.ok : EXIT.denied
}
