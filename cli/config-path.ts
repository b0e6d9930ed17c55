import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Arguments, Origin } from './arguments.ts'
import type { Call } from './command.ts'
import { EXIT } from './failure.ts'
import { profileOf } from './login.ts'
import { SETTINGS } from './profile.ts'
import { coordinatorState, hasProfileKey } from './state.ts'

/** `consilium config path`: where the file is; with --explain what would be used now, and because of what. */
export async function execute({ args, output }: Call): Promise<number> {
  const { file, name } = profileOf(args)
  if (!args.flag('explain')) {
    if (output.json) output.object({ path: file, exists: existsSync(file) })
    else output.line(file)
    return EXIT.ok
  }
  const rows = [
    { name: 'profile', value: name, from: WHY[args.given('profile').origin] },
    ...SETTINGS.map((setting) => {
      const { value, origin } = args.given(setting)
      return { name: setting, value: value ?? null, from: WHY[origin] }
    }),
    { name: 'key', value: null, from: keyFrom(args) },
  ]
  if (output.json) output.object({ path: file, exists: existsSync(file), settings: rows })
  else {
    output.line(file)
    for (const row of rows)
      output.line(`  ${row.name.padEnd(12)} ${(row.value ?? '').padEnd(28)} ${row.from}`.trimEnd())
  }
  return EXIT.ok
}

const WHY: Readonly<Record<Origin, string>> = {
  flag: 'by its flag',
  environment: 'by its variable',
  config: 'by the file of settings',
  default: 'by default',
  none: 'by the file of settings, which names the current one',
}

/** Which key it would be, never the key. */
function keyFrom(args: Arguments): string {
  if (args.given('key').origin === 'flag') return `of the file ${args.text('key')}`
  if (args.environment['CONSILIUM_API_KEY']) return 'of CONSILIUM_API_KEY'
  if (hasProfileKey(args)) return 'of consilium login'
  const file = join(coordinatorState(args), 'api-key')
  return existsSync(file) ? `of the file ${file}` : 'none: consilium login <url>'
}
