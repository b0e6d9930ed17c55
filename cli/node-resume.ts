import type { Call } from './command.ts'
import { setSwitch } from './node-switch.ts'

/** `consilium node resume` */
export function execute(call: Call): Promise<number> {
  return setSwitch('resume', call)
}
