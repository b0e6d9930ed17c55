import type { Candidate } from './choice.ts'

/** TF.js's kernels in JavaScript: what the others are held against, and what runs where nothing else does. */
export const cpu: Candidate = {
  name: 'cpu',
  async start() {
    await import('@tensorflow/tfjs-backend-cpu')
    return { registered: 'cpu', adapter: 'JavaScript', software: false, deterministic: true }
  },
}
