import { extname } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import type { BackendChoice } from './backends/choice.ts'
import type { End, Reply } from './conversation.ts'
import { openTrainer, type StartChannel, type TfjsTrainer, type TrainerOptions } from './trainer.ts'

/** A trainer in a thread of Node.js. */
export function openTfjsTrainer(
  options: Omit<TrainerOptions, 'backend'> & {
    readonly backend?: BackendChoice
    /** The thread's JavaScript heap, in MiB: a table that outgrows it ends the thread, and not the node. */
    readonly heapMiB?: number
  },
): Promise<TfjsTrainer> {
  const { backend = 'auto', heapMiB = HEAP_MIB } = options
  return openTrainer({ ...options, backend }, startingWith(heapMiB))
}

/** 65,536 rows of 512 columns are 256 MiB of cells while they are read. */
const HEAP_MIB = 1024
/** For a step that a GPU is at; one that hangs is not waited for. */
const END_MILLIS_MAX = 10_000

function startingWith(heapMiB: number): StartChannel {
  return (opening, { heard, died }) => {
    // `.ts` in a clone, `.js` in the package that is built from it.
    const worker = new Worker(new URL(`./worker${extname(import.meta.url)}`, import.meta.url), {
      workerData: opening,
      resourceLimits: { maxOldGenerationSizeMb: heapMiB },
    })
    worker.on('error', (cause) => died(cause instanceof Error ? cause.message : String(cause)))
    const exited = new Promise<void>((resolve) => worker.once('exit', () => resolve()))
    worker.on('exit', (code) => died(`it ended with code ${code}`))
    let leavesGpu = false
    worker.on('message', (reply: Reply) => {
      if (reply.kind === 'open') leavesGpu = reply.backend.name === 'webgpu'
      heard(reply)
    })
    return {
      post: (request) => worker.postMessage(request),
      async end() {
        if (leavesGpu) {
          worker.postMessage({ kind: 'end' } satisfies End)
          await Promise.race([exited, pause(END_MILLIS_MAX, undefined, { ref: false })])
        }
        await worker.terminate()
      },
    }
  }
}
