import { spawnSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Dial } from './dial-recorder.ts'

const RECORDER = join(import.meta.dirname, 'dial-recorder.ts')

/** A network that is nothing but its own loopback, where whatever else is dialled cannot be reached: for root alone. */
const LONELY = ['unshare', '--net', 'sh', '-c', 'ip link set lo up && exec "$0" "$@"']
const [command, ...rest] = LONELY as [string, ...string[]]
const canBeLonely = spawnSync(command, [...rest, 'true']).status === 0
export const alone: readonly string[] = canBeLonely ? LONELY : []
if (!canBeLonely)
  process.stderr.write('not in a network of its own, since none can be made here: what is dialled is only recorded\n')

/** What goes before a command whose dials are to be written to the file. */
export function recorded(file: string): readonly string[] {
  return ['env', `NODE_OPTIONS=--require ${RECORDER}`, `CONSILIUM_DIALS=${file}`]
}

export async function dialsIn(file: string): Promise<readonly Dial[]> {
  return (await readFile(file, 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
}

/** Destinations beyond this machine. */
export function outside(dials: readonly Dial[]): readonly string[] {
  return [...new Set(dials.map(({ to }) => to))].filter((to) => !/^(127\.|::1$|localhost$|\/)/.test(to))
}
