import { findBackendFactory, registerBackend, removeBackend } from '@tensorflow/tfjs-core'
import { type Loss, type Started, Unavailable } from './choice.ts'
import { isFallback } from './renderer.ts'

/**
 * TF.js on a device of our own, of a page's `navigator.gpu` or of one like it: TF.js's own registration would take a null
 * adapter for one, and keep the device from us, whose loss must be seen.
 *
 * @param asked by name: then an adapter will do that computes in software
 * @param none what to say where there is no adapter
 */
export async function startWebGpu(gpu: GPU, asked: boolean, none: () => Unavailable): Promise<Started> {
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' })
  if (!adapter) throw none()
  const software = isFallback(adapter)
  const name = nameOf(adapter.info)
  if (software && !asked)
    throw new Unavailable(`${name} computes in software, which is slower than wasm`, 'a GPU, or --backend webgpu')
  const { WebGPUBackend } = await import('@tensorflow/tfjs-backend-webgpu')
  const device = await adapter.requestDevice({ requiredLimits: limitsOf(adapter) })
  endLast()
  if (findBackendFactory('webgpu')) removeBackend('webgpu')
  registerBackend('webgpu', () => new WebGPUBackend(device, adapter.info))
  const { promise: lost, resolve: lose } = Promise.withResolvers<Loss>()
  let ended = false
  const end = () => {
    if (ended) return
    ended = true
    removeBackend('webgpu')
    device.destroy()
  }
  endLast = end
  void device.lost.then(
    ({ reason, message }) => ended || lose({ reason: `the GPU was lost: ${message || reason}`, refused: false }),
  )
  device.addEventListener('uncapturederror', (event) => {
    event.preventDefault()
    // What it leaves is undefined, zeros for the most part: no less lost than a lost device.
    lose({ reason: `the GPU refused a step: ${event.error.message.split('\n', 1)}`, refused: true })
  })
  // Sums of floats are added up in the order in which the GPU's threads come.
  return { registered: 'webgpu', adapter: name, software, deterministic: false, lost, end }
}

/** TF.js has one such backend at a time. */
let endLast = () => {}

/** Those that TF.js asks for: a device has no more than what it was asked to have. */
function limitsOf({ limits }: GPUAdapter): Record<string, number> {
  const names = [
    'maxComputeWorkgroupStorageSize',
    'maxComputeWorkgroupsPerDimension',
    'maxStorageBufferBindingSize',
    'maxBufferSize',
    'maxComputeWorkgroupSizeX',
    'maxComputeInvocationsPerWorkgroup',
  ] as const
  return Object.fromEntries(names.map((name) => [name, limits[name]]))
}

/** Pages are told less than Node is. */
function nameOf({ description, vendor, architecture }: GPUAdapterInfo): string {
  return description || [vendor, architecture].filter(Boolean).join(' ') || 'a GPU without a name'
}
