import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Millis } from '#protocol/ids.ts'

/** What a machine runs on just now. */
export type Power = 'mains' | 'battery'
export type PowerDoor = {
  /** Throws, in words for a person, where that cannot be told. */
  readonly ask: () => Promise<Power>
  /** How often it may be asked: files cost next to nothing, and a process does. */
  readonly everyMillis: Millis
}

/** What follows has the rest of a second. */
const FILES_MILLIS: Millis = 250
const PROCESS_MILLIS: Millis = 4000

/** By what the system says; no system but these says it to a program without help. */
export function systemPower(platform: NodeJS.Platform): PowerDoor {
  switch (platform) {
    case 'linux':
      return { ask: () => linuxPower('/sys/class/power_supply'), everyMillis: FILES_MILLIS }
    case 'darwin':
      return {
        ask: async () => macPower((await promisify(execFile)('pmset', ['-g', 'batt'], { timeout: 2000 })).stdout),
        everyMillis: PROCESS_MILLIS,
      }
    default:
      return {
        async ask() {
          throw new Error(`${platform} does not tell whether it runs on a battery`)
        },
        everyMillis: PROCESS_MILLIS,
      }
  }
}

/**
 * On the battery where one of the machine's own is being emptied and no supply is connected. A battery may be emptied beside
 * a weak supply, and a mouse has one, too.
 *
 * @param folder one folder for each supply
 */
export async function linuxPower(folder: string): Promise<Power> {
  const supplies = await readdir(folder).catch(() => undefined)
  if (!supplies) throw new Error(`there is no ${folder}, as in most containers`)
  let power: Power = 'mains'
  for (const supply of supplies) {
    const says = (what: string) => readFile(join(folder, supply, what), 'utf8').then((text) => text.trim(), unsaid)
    if ((await says('scope')) === 'Device') continue
    if ((await says('type')) !== 'Battery') {
      if ((await says('online')) === '1') return 'mains'
    } else if ((await says('status')) === 'Discharging') power = 'battery'
  }
  return power
}

/** @param said by `pmset -g batt` */
export function macPower(said: string): Power {
  const source = /drawing from '(AC|Battery|UPS) Power'/.exec(said)?.[1]
  if (!source) throw new Error('pmset does not say what it draws from')
  return source === 'AC' ? 'mains' : 'battery'
}

/** Not every supply says everything. */
function unsaid(): undefined {
  return undefined
}
