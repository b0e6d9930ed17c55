import { DataFault } from '../data/fault.ts'
import { inBlob } from '../data/picked.ts'
import type { RandomAccess } from '../data/source.ts'
import { checkBackend, chooseBackend } from './backends/choice.ts'
import { pageCandidates } from './backends/page.ts'
import type { Reply, Request } from './conversation.ts'
import type { PageOpening } from './page.ts'
import { openPupil } from './pupil.ts'

/** The training thread of a page. Its first message opens it; what comes after that are requests, one at a time. */
const thread = globalThis as unknown as {
  postMessage(reply: Reply): void
  addEventListener(type: 'message', heard: (event: MessageEvent) => void, options?: { readonly once: boolean }): void
}
const say = (reply: Reply) => thread.postMessage(reply)

thread.addEventListener('message', ({ data }) => void open(data as PageOpening), { once: true })

async function open({ files, wasm, data, backend, without }: PageOpening): Promise<void> {
  try {
    const answer = openPupil(data, async (path) => picked(files, path), say, noQuestions)
    const lost = (reason: string, refused: boolean) => say({ kind: 'lost', reason, refused })
    const opened = await chooseBackend(pageCandidates(wasm), backend, { without, lost })
    thread.addEventListener('message', async (event) => {
      const reply = await answer(event.data as Request)
      checkBackend()
      // What went wrong on a device is told a turn later than what came of it.
      await new Promise((resolve) => setTimeout(resolve))
      say(reply)
    })
    say({ kind: 'open', backend: opened })
  } catch (cause) {
    // Uncaught, so that the page hears of it as it hears of any death of this thread.
    queueMicrotask(() => {
      throw cause
    })
  }
}

/** A page answers none, and brings no counting. */
async function noQuestions(): Promise<never> {
  throw new DataFault('a page answers no questions about its data')
}

function picked(files: PageOpening['files'], path: string): RandomAccess {
  const file = files.get(path)
  if (!file) throw new DataFault(`${path}: not among the files that were picked`)
  return inBlob(path, file)
}
