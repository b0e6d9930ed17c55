import {
  findBackendFactory,
  getBackend,
  memory,
  registerBackend,
  removeBackend,
  setBackend,
} from '@tensorflow/tfjs-core'

/** Backends that keep what a tensor lay in for the next one of that size, and every program, without bound. */
const POOLED: ReadonlySet<string> = new Set(['webgpu', 'webgl'])

/**
 * What a GPU's backend keeps of work that was done. Work of one shape finds there what it needs again; of what was left by
 * another it would take nothing, until the GPU's memory is full of that and refuses a step.
 */
export class Pool {
  #shape: string | undefined
  /** After work of this shape was done once. */
  #bytesOnce: number | undefined

  /** Call before work, when no tensor is left of what was done. @param shape all that its tensors' sizes follow from */
  async admit(shape: string): Promise<void> {
    const name = getBackend()
    if (!POOLED.has(name)) return
    const bytes = bytesHeld()
    if (shape === this.#shape) {
      this.#bytesOnce ??= bytes
      // Last batches may differ: of one data set they have other rows than of another.
      if (bytes <= 2 * this.#bytesOnce) return
    }
    if (this.#shape !== undefined) await renew(name)
    this.#shape = shape
    this.#bytesOnce = undefined
  }
}

/** The same device, and nothing kept. */
async function renew(name: string): Promise<void> {
  const factory = findBackendFactory(name)
  removeBackend(name)
  registerBackend(name, factory)
  await setBackend(name)
}

/** WebGPU and WebGL have a name each for it. */
function bytesHeld(): number {
  const gpu = memory() as ReturnType<typeof memory> & {
    readonly numBytesAllocatedInGPU?: number
    readonly numBytesInGPUAllocated?: number
  }
  return gpu.numBytesAllocatedInGPU ?? gpu.numBytesInGPUAllocated ?? 0
}
