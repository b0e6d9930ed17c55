import { listBackends } from '#client/trainers/backend.ts'
import { describeBackend, why } from './backend.ts'
import type { Call } from './command.ts'
import { EXIT } from './failure.ts'

/** `consilium node backends` */
export async function execute({ output }: Call): Promise<number> {
  const { automatic, backends } = await listBackends()
  const chosen = (name: string) => name === automatic.name
  if (output.json) {
    const listed = backends.map((each) =>
      'reason' in each
        ? { name: each.backend, usable: false, automatic: false, reason: each.reason, fix: each.fix ?? null }
        : {
            ...{ name: each.name, usable: true, automatic: chosen(each.name), adapter: each.adapter },
            ...{ software: each.software, deterministic: each.deterministic },
          },
    )
    output.object({ automatic: automatic.name, backends: listed, passed_over: automatic.passedOver })
    return EXIT.ok
  }
  for (const each of backends) {
    if ('reason' in each) output.line(`no   ${why(each)}`)
    else output.line(`yes  ${describeBackend(each)}${chosen(each.name) ? '  (automatic)' : ''}`)
    const slower = 'reason' in each ? undefined : automatic.passedOver.find((other) => other.backend === each.name)
    if (slower) output.line(`     not automatic: ${slower.reason}`)
  }
  return EXIT.ok
}
