import { usage } from './arguments.ts'
import type { Call } from './command.ts'
import { noSetting } from './config-get.ts'
import { EXIT } from './failure.ts'
import { profileOf } from './login.ts'
import { keepSettings, SECRET, SETTINGS } from './profile.ts'

/** `consilium config set <name> [value]`: without a value it is set no more. */
export async function execute({ args, output }: Call): Promise<number> {
  const [name = '', value] = args.positionals
  if (name === SECRET)
    throw usage('secret', 'a key on a command line is seen by everybody on the machine', 'consilium login <url>')
  if (!SETTINGS.some((setting) => setting === name)) throw noSetting(name)
  if (value !== undefined) check(name, value)
  const { name: profile, file } = profileOf(args)
  keepSettings(file, profile, { [name]: value })
  if (output.json) output.object({ profile, name, value: value ?? null })
  else
    output.line(value === undefined ? `${name} is not set in ${profile} any more` : `${name} is ${value} in ${profile}`)
  return EXIT.ok
}

function check(name: string, value: string): void {
  if (name === 'coordinator' && !(URL.canParse(value) && /^https?:$/.test(new URL(value).protocol)))
    throw usage('bad_value', `coordinator is an http or https URL, not ${value}`)
  if (name === 'timeout' && !/^\d{1,5}$/.test(value))
    throw usage('bad_value', `timeout is in whole seconds, not ${value}`)
}
