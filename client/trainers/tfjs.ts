import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { BackendChoice } from './backends/choice.ts'
import type { Reply } from './conversation.ts'
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

function startingWith(heapMiB: number): StartChannel {
  return (opening, { heard, died }) => {
    // `.ts` in a clone, `.js` in the package that is built from it.
    const worker = new Worker(new URL(`./worker${extname(import.meta.url)}`, import.meta.url), {
      workerData: opening,
      resourceLimits: { maxOldGenerationSizeMb: heapMiB },
    })
    worker.on('error', (cause) => died(cause instanceof Error ? cause.message : String(cause)))
    worker.on('exit', (code) => died(`it ended with code ${code}`))
    worker.on('message', (reply: Reply) => heard(reply))
    return {
      post: (request) => worker.postMessage(request),
      async end() {
        await worker.terminate()
      },
    }
  }
}
