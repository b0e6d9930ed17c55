import type { Opening, Reply, Request } from './conversation.ts'
import { openTrainer, type TfjsTrainer, type TrainerOptions } from './trainer.ts'

/** The first thing that a page says to its training thread. */
export type PageOpening = Opening & {
  /** What the sources' paths name. */
  readonly files: ReadonlyMap<string, File>
  /** Where TF.js's WebAssembly lies. */
  readonly wasm: string
}

export type PageTrainerOptions = TrainerOptions &
  Pick<PageOpening, 'files' | 'wasm'> & {
    /** The thread's script. */
    readonly worker: string
  }

/** A trainer in a Web Worker of this page. */
export function openPageTrainer({ worker: script, files, wasm, ...options }: PageTrainerOptions): Promise<TfjsTrainer> {
  return openTrainer(options, (opening, { heard, died }) => {
    const worker = new Worker(script, { type: 'module', name: 'training' })
    worker.onerror = ({ message }) => died(message || 'its script cannot be loaded')
    worker.onmessageerror = () => died('it was sent what cannot be copied')
    worker.onmessage = ({ data: reply }: MessageEvent<Reply>) => heard(reply)
    worker.postMessage({ ...opening, files, wasm } satisfies PageOpening)
    return {
      post: (request: Request) => worker.postMessage(request),
      async end() {
        worker.terminate()
      },
    }
  })
}
