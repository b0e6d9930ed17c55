import { io } from 'socket.io-client'
import { sha256 } from '#crypto'
import { utf8 } from '#protocol/bytes.ts'
import { parseNodeId } from '#protocol/ids.ts'
import { idleNode } from './idle-node.ts'

/** Many links from one process: `node concurrency-nodes.ts <url> <coordinator's key, or nothing for bare sockets> <first> <count>`. */
const [url, key, first, count] = process.argv.slice(2)
const coordinator = parseNodeId(key ?? '')
if (!url) throw new Error('which server?')

/** That are on their way at a time: a fleet's own backoff would spread it as well. */
const ABREAST = 200
const links: AsyncDisposable[] = []

for (let index = 0; index < Number(count); index += ABREAST) {
  const some = Math.min(ABREAST, Number(count) - index)
  links.push(...(await Promise.all(Array.from({ length: some }, (_, one) => link(Number(first) + index + one)))))
}
process.send?.('linked')

/** One link after another is closed and made anew, so many in a second. */
process.on('message', async ({ perSecond, seconds }: { perSecond: number; seconds: number }) => {
  const started = performance.now()
  for (let turn = 0; turn < perSecond * seconds; turn++) {
    const due = started + (turn * 1000) / perSecond - performance.now()
    if (due > 0) await new Promise((resolve) => setTimeout(resolve, due))
    const index = turn % links.length
    const old = links[index] as AsyncDisposable
    void old[Symbol.asyncDispose]().then(async () => {
      links[index] = await link(Number(first) + index)
    })
  }
  process.send?.('churned')
})
process.on('disconnect', () => process.exit(0))

function link(index: number): Promise<AsyncDisposable> {
  return new Promise((resolve) => {
    if (!coordinator.ok) {
      const socket = io(url as string, { transports: ['websocket'], forceNew: true })
      socket.once('linked', () => resolve({ [Symbol.asyncDispose]: async () => void socket.disconnect() }))
      return
    }
    const secret = sha256(utf8(`bench node ${index}`))
    const node = idleNode({ url: url as string, coordinator: coordinator.value, secret }, (state) => {
      if (state === 'linked') resolve(node)
    })
  })
}
