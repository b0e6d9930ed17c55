import { apiAt } from './api-client.ts'
import { type Arguments, usage } from './arguments.ts'
import type { Call } from './command.ts'
import { EXIT } from './failure.ts'
import { keepSettings, SECRET } from './profile.ts'
import { readSecret } from './prompt.ts'
import { checkedKey, keyFromFile } from './state.ts'

/** `consilium login <url>`: tries a key, and keeps it with its coordinator for the commands that follow. */
export async function execute({ args, output }: Call): Promise<number> {
  const url = urlOf(args.positionals[0] as string)
  const file = args.text('key')
  const key =
    file === undefined
      ? await readSecret(process.stdin, (text) => output.err.write(text), args)
      : await keyFromFile(file)
  const who = await apiAt(url, checkedKey(key)).whoami()
  const { name, file: config } = profileOf(args)
  keepSettings(config, name, { coordinator: url, [SECRET]: key }, { current: true })
  if (output.json) output.object({ profile: name, coordinator: url, config, key: who })
  else {
    output.line(`logged in to ${url} as ${who.name} (${who.scopes.join(', ')})`)
    output.note(`the key is kept in ${config}, which only you may read; consilium logout takes it away`)
  }
  return EXIT.ok
}

function urlOf(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url && /^https?:$/.test(url.protocol) && url.username === '' && url.password === '')
    return text.replace(/\/+$/, '')
  throw usage('bad_value', 'a coordinator has an http or https URL without a name or password in it')
}

export function profileOf({ profile }: Arguments): NonNullable<Arguments['profile']> {
  if (profile) return profile
  throw new Error('a command of settings has a profile')
}
