import type { Candidate } from './choice.ts'

/** TF.js's WebAssembly with our kernels: every machine has it. */
export const wasm: Candidate = {
  name: 'wasm',
  async start() {
    await import('@tensorflow/tfjs-backend-wasm')
    // Loaded here, since a page that trains on a GPU needs none of it.
    const { mendWasm } = await import('../kernels/mend.ts')
    mendWasm()
    return { registered: 'wasm', adapter: 'WebAssembly, one thread', software: false, deterministic: true }
  },
}
