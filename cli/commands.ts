import { COMMON } from './arguments.ts'
import type { Command } from './command.ts'
import { ACCESS } from './registry/access.ts'
import { HELP } from './registry/explanations.ts'
import { FEDERATIONS } from './registry/federations.ts'
import { HISTORY } from './registry/history.ts'
import { MODELS } from './registry/models.ts'
import { NODES } from './registry/nodes.ts'
import { PINS } from './registry/pins.ts'
import { PROCESSES } from './registry/processes.ts'
import { RECORDS } from './registry/records.ts'
import { RUNS } from './registry/runs.ts'
import { SETTINGS } from './registry/settings.ts'
import { TASKS } from './registry/tasks.ts'
import { WEBHOOKS } from './registry/webhooks.ts'

/** Every command, in the order in which help tells of them. */
export const COMMANDS: readonly Command[] = [
  ...PROCESSES,
  ...TASKS,
  ...RUNS,
  ...HISTORY,
  ...MODELS,
  ...NODES,
  ...FEDERATIONS,
  ...PINS,
  ...ACCESS,
  ...WEBHOOKS,
  ...RECORDS,
  ...SETTINGS,
  ...HELP,
]

/** What a line names: a command by one or two words, and what it is given. Options of every command may come first. */
export function commandIn(
  argv: readonly string[],
): { readonly command: Command; readonly rest: readonly string[] } | undefined {
  const line = commandFirst(argv)
  for (const words of [2, 1]) {
    const name = line.slice(0, words).join(' ')
    const command = line.length >= words && COMMANDS.find((other) => other.name === name)
    if (command) return { command, rest: line.slice(words) }
  }
  return undefined
}

/** `consilium --json runs ls` is `consilium runs ls --json`. */
export function commandFirst(argv: readonly string[]): readonly string[] {
  let first = 0
  for (let word = argv[first]; word !== undefined; word = argv[first]) {
    const option = COMMON.find(({ name, short }) => word.split('=')[0] === `--${name}` || word === `-${short}`)
    if (!option || option.name === 'help') break
    first += option.value !== undefined && option.bare === undefined && !word.includes('=') ? 2 : 1
  }
  return first > 0 && first < argv.length ? [...argv.slice(first), ...argv.slice(0, first)] : argv
}
