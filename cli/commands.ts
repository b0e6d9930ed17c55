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
