import { mendWasm } from '../kernels/mend.ts'
import type { Candidate } from './choice.ts'

/** TF.js's WebAssembly with our kernels: every machine has it. */
export const wasm: Candidate = {
  name: 'wasm',
  async start() {
    await import('@tensorflow/tfjs-backend-wasm')
    mendWasm()
    return { registered: 'wasm', adapter: 'WebAssembly, one thread', software: false, deterministic: true }
  },
}
