import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A server on a free loopback port, closed with its connections at the end of the scope. */
export async function loopback(
  listener: RequestListener,
): Promise<{ readonly url: string; readonly port: number } & AsyncDisposable> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** Systems hand out ports from 32768 on by themselves, to whoever asks for any. */
const [OWN_PORTS, OWN_PORTS_END] = [20_000, 32_000]

/** For a server that is told its port: free a moment ago, and while the server is away it is handed to nobody else. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(OWN_PORTS, OWN_PORTS_END)
    const server = createServer().listen(port, '127.0.0.1')
    const isFree = await once(server, 'listening').then(
      () => true,
      () => false,
    )
    if (!isFree) continue
    await new Promise((resolve) => server.close(resolve))
    return port
  }
}

/** Lets input and output happen until the condition holds. */
export async function until(condition: () => boolean): Promise<void> {
  for (let turn = 0; !condition(); turn++) {
    if (turn > 100_000) throw new Error(`it never came to ${condition}`)
    await new Promise((resolve) => setImmediate(resolve))
  }
}
