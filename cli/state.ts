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

/**
 * The API key: of --key's file, else CONSILIUM_API_KEY, else that of the profile, else the coordinator's own file when it is
 * on this machine. A profile's key is for its own coordinator: no other URL may have it.
 */
export async function apiKey(args: Arguments): Promise<string> {
  const named = args.text('key')
  if (named === undefined && args.environment['CONSILIUM_API_KEY']) return args.environment['CONSILIUM_API_KEY']
  if (named === undefined && hasProfileKey(args)) return args.profile?.settings['key'] as string
  return keyFromFile(named ?? join(coordinatorState(args), 'api-key'))
}

export function hasProfileKey(args: Arguments): boolean {
  const { key, coordinator } = args.profile?.settings ?? {}
  return key !== undefined && coordinator !== undefined && args.text('coordinator') === coordinator
}

export async function keyFromFile(file: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).trim()
  } catch (cause) {
    throw new Failure(EXIT.denied, 'no_api_key', `no API key: ${file} cannot be read`, {
      fix: 'consilium login <url>, set CONSILIUM_API_KEY, or point --key at the file that the coordinator named',
      cause,
    })
  }
}
