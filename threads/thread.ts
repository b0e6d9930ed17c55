import { extname } from 'node:path'
import { type Transferable, Worker } from 'node:worker_threads'

/** A worker thread died: what it worked on is spoiled, and may be tried again. */
export class ThreadFault extends Error {
  override name = 'ThreadFault'
}

/** A worker thread, as who asks it sees it: every question is answered, or rejects with {@link ThreadFault}. */
export type Thread<Request, Reply> = {
  alive(): boolean
  /** @param moved memory of the request, or a port, that is the thread's from now on */
  ask(request: Request, moved: readonly Transferable[]): Promise<Reply>
  end(): Promise<void>
}

/** What a thread makes is garbage soon. In a heap as young as this its memory is used again while still in the cache. */
const YOUNG_MIB = 2

/**
 * It answers at once; what it is asked waits until it is up.
 *
 * @param name of the file beside this one that it runs: one reply to each request, in their order
 */
export function startThread<Request, Reply>(
  name: 'worker' | 'difference-worker' | 'verification-worker',
): Thread<Request, Reply> {
  // `.ts` in a clone, `.js` in the package that is built from it.
  const file = new URL(`./${name}${extname(import.meta.url)}`, import.meta.url)
  // Flags of this process are not the thread's: --input-type, for one, would end it.
  const worker = new Worker(file, { execArgv: [], resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MIB } })
  const waiting: PromiseWithResolvers<Reply>[] = []
  let death: ThreadFault | undefined
  const die = (reason: string) => {
    death ??= new ThreadFault(`a worker thread died: ${reason}`)
    for (const answer of waiting.splice(0)) answer.reject(death)
    void worker.terminate()
  }
  worker.on('error', (cause) => die(cause instanceof Error ? cause.message : String(cause)))
  worker.on('messageerror', (cause) => die(cause.message))
  worker.on('exit', (code) => die(`it ended with code ${code}`))
  worker.on('message', (reply: Reply) => waiting.shift()?.resolve(reply))
  return {
    alive: () => death === undefined,
    async ask(request, moved) {
      if (death) throw death
      const answer = Promise.withResolvers<Reply>()
      worker.postMessage(request, moved)
      waiting.push(answer)
      return answer.promise
    },
    async end() {
      await worker.terminate()
    },
  }
}
