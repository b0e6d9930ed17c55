import { existsSync } from 'node:fs'
import type { Arguments, Origin } from './arguments.ts'
import type { Call } from './command.ts'
import { EXIT } from './failure.ts'
import { profileOf } from './login.ts'
import { SETTINGS } from './profile.ts'
import { keySource } from './state.ts'

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
  const source = keySource(args, args.text('coordinator') ?? '')
  if (source && source.of !== 'file') return source.of === 'environment' ? 'of CONSILIUM_API_KEY' : 'of consilium login'
  const isThere = source && (args.given('key').origin === 'flag' || existsSync(source.file))
  return isThere ? `of the file ${source.file}` : 'none: consilium login <url>'
}
