import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** Stands between a client and a server on loopback, and does to their connection what a network may. */
export type Proxy = AsyncDisposable & {
  readonly port: number
  /** From now on what the server answers is lost; what it is asked still arrives. */
  mute(): void
  /** Breaks every connection. New ones are passed on whole, unless they are refused. */
  cut(): void
  /** Breaks every connection and takes no new ones until `admit`. */
  refuse(): void
  admit(): void
  /** Bytes that the server answered and that were lost. */
  lost(): number
}

export async function openProxy(serverPort: number): Promise<Proxy> {
  const sockets = new Set<Socket>()
  let muted = new Set<Socket>()
  let refuses = false
  let lost = 0
  const server = createServer((client) => {
    if (refuses) return void client.destroy()
    const upstream = connect(serverPort, '127.0.0.1')
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        sockets.delete(socket)
        other.destroy()
      })
    }
    client.on('data', (chunk) => upstream.write(chunk))
    upstream.on('data', (chunk) => {
      if (muted.has(upstream)) lost += chunk.length
      else client.write(chunk)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const cut = () => {
    for (const socket of sockets) socket.destroy()
  }
  return {
    port: (server.address() as AddressInfo).port,
    mute() {
      muted = new Set(sockets)
    },
    cut,
    refuse() {
      refuses = true
      cut()
    },
    admit() {
      refuses = false
    },
    lost: () => lost,
    async [Symbol.asyncDispose]() {
      cut()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
