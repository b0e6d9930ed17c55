import { usage } from './arguments.ts'
import type { Call } from './command.ts'
import { EXIT, Failure } from './failure.ts'
import { profileOf } from './login.ts'
import { SECRET, SETTINGS } from './profile.ts'

/** `consilium config get [name]`: what the file says; the key is never shown. */
export async function execute({ args, output }: Call): Promise<number> {
  const { name: profile, settings } = profileOf(args)
  const name = args.positionals[0]
  const shown = Object.fromEntries(Object.entries(settings).filter(([setting]) => setting !== SECRET))
  if (name === undefined) {
    if (output.json) output.object({ profile, settings: shown, has_key: settings[SECRET] !== undefined })
    else for (const [setting, value] of Object.entries(shown)) output.line(`${setting.padEnd(12)} ${value}`)
    return EXIT.ok
  }
  if (name === SECRET) throw usage('secret', 'the key is not shown', 'consilium whoami tells which one it is')
  if (!SETTINGS.some((setting) => setting === name)) throw noSetting(name)
  const value = shown[name]
  if (value === undefined) throw new Failure(EXIT.notFound, 'not_set', `${name} is not set in ${profile}`)
  if (output.json) output.object({ profile, name, value })
  else output.line(value)
  return EXIT.ok
}

export function noSetting(name: string): Failure {
  return usage('bad_value', `there is no setting ${name}`, `settings are ${SETTINGS.join(' and ')}`)
}
