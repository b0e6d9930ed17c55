import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Arguments } from './arguments.ts'
import { EXIT, Failure } from './failure.ts'

/** Where a coordinator keeps everything: --state, else CONSILIUM_HOME, else the user's state folder. */
export function coordinatorState(args: Arguments): string {
  return resolve(args.text('state') ?? userState(args))
}

/** A node's, which is another one by default: each folder belongs to one process. */
export function nodeState(args: Arguments): string {
  return resolve(args.text('state') ?? join(userState(args), 'node'))
}

function userState({ environment }: Arguments): string {
  return join(environment['XDG_STATE_HOME'] || join(homedir(), '.local/state'), 'consilium')
}

/** Where a key is: in a file, or here. */
type KeySource =
  | { readonly of: 'file'; readonly file: string }
  | { readonly of: 'environment' | 'profile'; readonly key: string }

/**
 * The API key for a coordinator: of --key's file, else CONSILIUM_API_KEY, else that of the profile, else the file of the
 * coordinator on this machine. None goes to whoever happens to be asked: a profile's is for its own coordinator, one from the
 * environment for that which the environment names, where it does, and the file's, which is the root's, stays on this machine.
 */
export async function apiKey(args: Arguments, url: string): Promise<string> {
  const source = keySource(args, url)
  if (source) return checkedKey(source.of === 'file' ? await keyFromFile(source.file) : source.key.trim())
  throw new Failure(EXIT.denied, 'no_api_key', `no API key is for ${url}`, { fix: FIX })
}

/** What would be refused on its way would be shown by whoever refuses it. */
export function checkedKey(key: string): string {
  if (/^[\x21-\x7e]+$/.test(key)) return key
  throw new Failure(EXIT.denied, 'no_api_key', 'what was given is no API key', { fix: FIX })
}

export function keySource(args: Arguments, url: string): KeySource | undefined {
  const file = args.text('key')
  if (file !== undefined) return { of: 'file', file }
  const { CONSILIUM_API_KEY: given, CONSILIUM_COORDINATOR: whose } = args.environment
  if (given && (!whose || isSame(whose, url))) return { of: 'environment', key: given }
  const { key, coordinator } = args.profile?.settings ?? {}
  if (key !== undefined && coordinator !== undefined && isSame(coordinator, url)) return { of: 'profile', key }
  return isOnThisMachine(url) ? { of: 'file', file: join(coordinatorState(args), 'api-key') } : undefined
}

export function isOnThisMachine(url: string): boolean {
  return URL.canParse(url) && /^(127\.\d+\.\d+\.\d+|localhost|\[::1\])$/.test(new URL(url).hostname)
}

function isSame(a: string, b: string): boolean {
  return a.replace(/\/+$/, '') === b.replace(/\/+$/, '')
}

export async function keyFromFile(file: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).trim()
  } catch (cause) {
    throw new Failure(EXIT.denied, 'no_api_key', `no API key: ${file} cannot be read`, {
      fix: FIX,
      cause,
    })
  }
}

const FIX = 'consilium login <url>, set CONSILIUM_API_KEY, or point --key at the file that the coordinator named'
