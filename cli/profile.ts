import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Arguments, Profile } from './arguments.ts'
import { EXIT, Failure } from './failure.ts'

/** What a profile may hold. The key is put there by `consilium login` alone: it is never on a command line. */
export const SETTINGS = ['coordinator', 'timeout'] as const
export const SECRET = 'key'
const SIZE_MAX = 1024 * 1024

/** Profiles by name, and which one is meant when none is named. */
export type ConfigFile = {
  readonly current: string
  readonly profiles: Readonly<Record<string, Readonly<Record<string, string>>>>
}

/** `$XDG_CONFIG_HOME/consilium/config.json` */
function configPath({ environment }: Pick<Arguments, 'environment'>): string {
  return join(environment['XDG_CONFIG_HOME'] || join(homedir(), '.config'), 'consilium/config.json')
}

/** The profile that is meant: of --profile, else CONSILIUM_PROFILE, else the file's own choice. */
export function readProfile(args: Arguments): Profile {
  const file = configPath(args)
  const config = readConfig(file)
  const asked = args.text('profile')
  const name = asked ?? config.current
  const settings = Object.hasOwn(config.profiles, name) ? config.profiles[name] : undefined
  if (settings === undefined && asked !== undefined && !NEW.has(args.command.name))
    throw new Failure(EXIT.usage, 'no_profile', `${file} has no profile ${asked}`, {
      fix: `consilium login <url> --profile ${asked}`,
    })
  return { name, file, settings: settings ?? {} }
}

/** They make a profile that is not there yet. */
const NEW = new Set(['login', 'config set'])

/** Without a file: nothing. Throws {@link Failure} where it is not one of ours. */
function readConfig(file: string): ConfigFile {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return { current: 'default', profiles: {} }
    throw cause
  }
  const found = text.length <= SIZE_MAX ? parse(text) : undefined
  if (found) return found
  throw new Failure(EXIT.usage, 'bad_config', `${file} is no file of settings`, {
    fix: 'mend it, or move it away and consilium login again',
  })
}

function parse(text: string): ConfigFile | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (!isRecord(value) || typeof value['current'] !== 'string' || !isRecord(value['profiles'])) return undefined
  const profiles = Object.entries(value['profiles'])
  const isOurs = profiles.every(
    ([, settings]) => isRecord(settings) && Object.values(settings).every((setting) => typeof setting === 'string'),
  )
  return isOurs ? (value as ConfigFile) : undefined
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
}

/** Changes what is kept under a name; `undefined` takes a setting away. The file is its owner's alone, and whole at any time. */
export function keepSettings(
  file: string,
  name: string,
  changes: Readonly<Record<string, string | undefined>>,
  { current }: { readonly current?: boolean } = {},
): void {
  if (!/^[\w.-]{1,64}$/.test(name) || name === '__proto__')
    throw new Failure(EXIT.usage, 'bad_value', `a profile is named by letters, digits, dots and dashes, not ${name}`)
  const config = readConfig(file)
  const before = Object.hasOwn(config.profiles, name) ? config.profiles[name] : {}
  const settings = Object.fromEntries(
    Object.entries({ ...before, ...changes }).filter(([, value]) => value !== undefined),
  )
  const next = { current: current ? name : config.current, profiles: { ...config.profiles, [name]: settings } }
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  const part = `${file}.${process.pid}`
  writeFileSync(part, `${JSON.stringify(next, null, 2)}\n`, { mode: 0o600 })
  renameSync(part, file)
}
