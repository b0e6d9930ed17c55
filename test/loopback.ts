import { randomInt } from 'node:crypto'
import { createServer, type RequestListener } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'

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

/**
 * For a server that is told its port. It is none of those that systems hand out to whoever asks for any, so that nobody gets
 * it before the server has it, nor while the server is away.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(20_000, 30_000)
    if (await isFree(port)) return port
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createTcpServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

/** Lets input and output happen until the condition holds; in turns it is not told how long a disk or a kernel takes. */
export async function until(condition: () => boolean): Promise<void> {
  for (const started = performance.now(); !condition(); ) {
    if (performance.now() - started > UNTIL_MILLIS) throw new Error(`it never came to ${condition}`)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

/** So long that whoever gives up has hung, and says on what. */
const UNTIL_MILLIS = 50_000
