import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { drain, pause, resume } from '#client/switches.ts'
import type { Call } from './command.ts'
import { EXIT, Failure } from './failure.ts'
import { nodeState } from './state.ts'

/** What a node is switched to, whether it runs or not. */
export type Switch = 'pause' | 'resume' | 'drain'

const SET: Readonly<Record<Switch, (state: string) => Promise<void>>> = { pause, resume, drain }
const MEANS: Readonly<Record<Switch, string>> = {
  pause: 'paused    it takes no rounds and trains nothing; what it owes the others of a masked round it still does',
  resume: 'resumed   it takes rounds, and what it was training goes on',
  drain: 'draining  if it runs, it finishes the seat that it has and ends',
}

export async function setSwitch(to: Switch, { args, output }: Call): Promise<number> {
  const state = nodeState(args)
  if (!(await stat(join(state, 'node.key')).catch(() => undefined)))
    throw new Failure(EXIT.notFound, 'no_node', `there is no node in ${state}`, {
      fix: 'give --state, the folder that node up was given',
    })
  await SET[to](state)
  if (output.json) output.object({ state, switched: to })
  else output.line(MEANS[to])
  return EXIT.ok
}
