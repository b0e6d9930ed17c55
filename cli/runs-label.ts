import type { Relabelling } from '#sdk/runs.ts'
import { openApi } from './api-client.ts'
import type { Arguments } from './arguments.ts'
import type { Call } from './command.ts'
import { EXIT, Failure } from './failure.ts'
import { answerRun } from './run-answer.ts'

/** `consilium runs label <run>` */
export async function execute(call: Call): Promise<number> {
  const { args } = call
  const change = changeOf(args)
  const { runs } = await openApi(args)
  const run = await runs.relabel(args.positionals[0] as string, change)
  return answerRun(call, run, { until: 'ended' })
}

/** Which keys and values there may be, the API says. */
function changeOf(args: Arguments): Relabelling {
  const name = args.text('name')
  const set = args.texts('set').map((text): readonly [string, string] => {
    const [, key, value] = /^([^=]+)=(.+)$/s.exec(text) ?? []
    if (key === undefined || value === undefined)
      throw new Failure(EXIT.usage, 'bad_value', `--set is key=value, not ${text}`, {
        fix: 'to take a label off: --unset key',
      })
    return [key, value]
  })
  const labels = Object.fromEntries([...set, ...args.texts('unset').map((key) => [key, null] as const)])
  if (name === undefined && Object.keys(labels).length === 0)
    throw new Failure(EXIT.usage, 'missing_value', 'nothing is to be changed', {
      fix: 'give --name, --set key=value or --unset key',
    })
  // Its task's name again.
  return {
    ...(name !== undefined && { name: name === '' ? null : name }),
    ...(Object.keys(labels).length > 0 && { labels }),
  }
}
