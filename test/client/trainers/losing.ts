import { isMainThread } from 'node:worker_threads'
import type { BackendLoss } from '#client/trainers/trainer.ts'
import type { TrainProgress } from '#protocol/ports.ts'

/**
 * Preloaded into a process of its own and run by it: a fit whose trainer is closed in the middle, and one whose thread loses
 * the GPU, as it would to a new driver. The device is destroyed between two submissions, and whatever waits for it fails.
 * Says what came of them.
 */
export type Lost = {
  readonly losses: readonly BackendLoss[]
  readonly progress: readonly TrainProgress[]
  readonly delta: readonly number[]
  readonly backend: string
  /** What a fit said that was on a GPU when its trainer was closed. */
  readonly closed: string
}

/** More than the probe makes, fewer than the fit. */
const SUBMISSIONS = 40

if (isMainThread) await fitOnce()
else await loseDevice()

async function loseDevice(): Promise<void> {
  const { globals } = await import('webgpu')
  const { prototype } = (globals as { readonly GPUAdapter: { readonly prototype: GPUAdapter } }).GPUAdapter
  const { requestDevice } = prototype
  prototype.requestDevice = async function (descriptor) {
    const device = await requestDevice.call(this, descriptor)
    const submit = device.queue.submit.bind(device.queue)
    let submissions = 0
    device.queue.submit = (buffers) => {
      if (++submissions === SUBMISSIONS) device.destroy()
      else submit(buffers)
    }
    return device
  }
}

async function fitOnce(): Promise<void> {
  const [{ openTfjsTrainer }, { longTask }] = await Promise.all([
    import('#client/trainers/tfjs.ts'),
    import('./tasks.ts'),
  ])
  const data = { kind: 'csv', path: String(process.argv[2]) } as const
  const [model, never] = [new Float32Array(3), new AbortController().signal]
  const other = await openTfjsTrainer({ data, backend: 'webgpu' })
  const closed = await other
    .fit(model, longTask, never, () => void other[Symbol.asyncDispose]())
    .then(String, (cause: unknown) => String(cause))
  const losses: BackendLoss[] = []
  const progress: TrainProgress[] = []
  await using trainer = await openTfjsTrainer({
    ...{ data, backend: 'webgpu' },
    backendLost: (loss) => losses.push(loss),
  })
  const { delta } = await trainer.fit(model, longTask, never, (at) => progress.push(at))
  const said: Lost = { losses, progress, delta: [...delta], backend: trainer.backend, closed }
  process.stdout.write(JSON.stringify(said))
}
