import type { Call } from './command.ts'
import { setSwitch } from './node-switch.ts'

/** `consilium node pause` */
export function execute(call: Call): Promise<number> {
  return setSwitch('pause', call)
}
