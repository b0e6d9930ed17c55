import type { Command } from './command.ts'
import { HELP } from './registry/explanations.ts'
import { PINS } from './registry/pins.ts'
import { PROCESSES } from './registry/processes.ts'
import { RECORDS } from './registry/records.ts'
import { RUNS } from './registry/runs.ts'

/** Every command, in the order in which help tells of them. */
export const COMMANDS: readonly Command[] = [...PROCESSES, ...RUNS, ...PINS, ...RECORDS, ...HELP]
