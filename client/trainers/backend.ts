import {
  type BackendChoice,
  type Candidate,
  type Choosing,
  chooseBackend,
  type OpenBackend,
  type PassedOver,
  tryBackend,
} from './backends/choice.ts'
import { cpu } from './backends/cpu.ts'
import { dawn } from './backends/dawn.ts'
import { cuda, node } from './backends/tensorflow.ts'
import { wasm } from './backends/wasm.ts'

/** What trains in Node, fastest first. */
const CANDIDATES: readonly Candidate[] = [cuda, dawn, node, wasm, cpu]

/** Sets TF.js's backend for this thread. Throws when none of the wanted ones computes right. */
export function openBackend(choice: BackendChoice, choosing?: Choosing): Promise<OpenBackend> {
  return chooseBackend(CANDIDATES, choice, choosing)
}

/** Each backend that trains here when it is asked for, or why it does not; and the one that is taken when none is. */
export async function listBackends(): Promise<{
  readonly automatic: OpenBackend
  readonly backends: readonly (OpenBackend | PassedOver)[]
}> {
  const backends: (OpenBackend | PassedOver)[] = []
  for (const candidate of CANDIDATES) backends.push(await tryBackend(candidate))
  return { automatic: await openBackend('auto'), backends }
}
