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

/** For a server that is told its port: free a moment ago. */
export async function freePort(): Promise<number> {
  await using taken = await loopback(() => undefined)
  return taken.port
}

/** Lets input and output happen until the condition holds: turns are no measure, since an idle loop makes 100,000 in 0.2 s. */
export async function until(condition: () => boolean, limitMillis = 50_000): Promise<void> {
  for (const started = performance.now(); !condition(); ) {
    if (performance.now() - started > limitMillis) throw new Error(`it never came to ${condition}`)
    await new Promise((resolve) => setImmediate(resolve))
  }
}
