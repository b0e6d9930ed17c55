import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { Reply, Request } from './conversation.ts'

/** A worker thread died: what it worked on is spoiled, and may be tried again. */
export class ThreadFault extends Error {
  override name = 'ThreadFault'
}

/** A worker thread, as who asks it sees it: every question is answered, or rejects with {@link ThreadFault}. */
export type Thread = {
  alive(): boolean
  ask(request: Request): Promise<Reply>
  end(): Promise<void>
}

/** Keystream is garbage once it is added. In a heap as young as this its memory is used again while still in the cache. */
const YOUNG_MIB = 2

/** It answers at once; what it is asked waits until it is up. */
export function startThread(): Thread {
  // `.ts` in a clone, `.js` in the package that is built from it.
  const file = new URL(`./worker${extname(import.meta.url)}`, import.meta.url)
  // Flags of this process are not the thread's: --input-type, for one, would end it.
  const worker = new Worker(file, { execArgv: [], resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MIB } })
  const waiting: PromiseWithResolvers<Reply>[] = []
  let death: ThreadFault | undefined
  const die = (reason: string) => {
    death ??= new ThreadFault(`a masking thread died: ${reason}`)
    for (const answer of waiting.splice(0)) answer.reject(death)
    void worker.terminate()
  }
  worker.on('error', (cause) => die(cause instanceof Error ? cause.message : String(cause)))
  worker.on('messageerror', (cause) => die(cause.message))
  worker.on('exit', (code) => die(`it ended with code ${code}`))
  worker.on('message', (reply: Reply) => waiting.shift()?.resolve(reply))
  return {
    alive: () => death === undefined,
    async ask(request) {
      if (death) throw death
      const answer = Promise.withResolvers<Reply>()
      worker.postMessage(request, [request.lanes.buffer])
      waiting.push(answer)
      return answer.promise
    },
    async end() {
      await worker.terminate()
    },
  }
}
