import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

/** What a machine runs on just now. */
export type Power = 'mains' | 'battery'
/** Throws, in words for a person, where that cannot be told. */
export type PowerDoor = () => Promise<Power>

/** By what the system says; no system but these says it to a program without help. */
export function systemPower(platform: NodeJS.Platform): PowerDoor {
  switch (platform) {
    case 'linux':
      return () => linuxPower('/sys/class/power_supply')
    case 'darwin':
      return async () => macPower((await promisify(execFile)('pmset', ['-g', 'batt'], { timeout: 2000 })).stdout)
    default:
      return async () => {
        throw new Error(`${platform} does not tell whether it runs on a battery`)
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
