import type { Call } from './command.ts'
import { setSwitch } from './node-switch.ts'

/** `consilium node drain` */
export function execute(call: Call): Promise<number> {
  return setSwitch('drain', call)
}
