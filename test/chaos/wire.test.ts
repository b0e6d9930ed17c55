import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { expect, test } from '@jest/globals'
import { type Weather, Wire } from './wire.ts'

/** Answers what it is sent, from the first byte on. */
async function echo(): Promise<{ readonly port: number } & AsyncDisposable> {
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined).pipe(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  return {
    port: typeof address === 'object' && address ? address.port : 0,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

const bytes = Buffer.from(Uint8Array.from({ length: 200_000 }, (_, index) => (index * 31) % 251))

async function sent(port: number): Promise<{ readonly answer: Buffer | string; readonly millis: number }> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  const started = performance.now()
  socket.end(bytes)
  const answer = await buffer(socket).catch((cause: NodeJS.ErrnoException) => cause.code ?? cause.message)
  return { answer, millis: performance.now() - started }
}

async function over(weather: Weather, seed = 1): Promise<Awaited<ReturnType<typeof sent>>> {
  await using server = await echo()
  await using wire = await Wire.open(server.port, seed, weather)
  return await sent(wire.port)
}

test('a wire passes the bytes that came, however slow it is', async () => {
  const { answer, millis } = await over({ bytesPerSecond: 500_000, delayMillis: 20 })
  expect(bytes.equals(answer as Buffer)).toBe(true)
  // 200,000 bytes at 4 Mbit/s, and 20 ms there and back.
  expect(millis).toBeGreaterThan(400)
})

test('a wire resets after as many bytes as its seed says', async () => {
  expect(await over({ meanBytesToReset: 1000 })).toMatchObject({ answer: 'ECONNRESET' })
  const fates = async () => {
    const answers = [6, 7, 8, 9].map(async (seed) => (await over({ meanBytesToReset: 600_000 }, seed)).answer)
    return (await Promise.all(answers)).map((answer) => answer !== 'ECONNRESET')
  }
  const first = await fates()
  expect(new Set(first).size).toBe(2)
  expect(await fates()).toEqual(first)
})

test('a wire that is cut resets everybody until it is mended', async () => {
  await using server = await echo()
  await using wire = await Wire.open(server.port, 1)
  wire.cut()
  expect(await sent(wire.port)).toMatchObject({ answer: 'ECONNRESET' })
  wire.mend()
  expect((await sent(wire.port)).answer).toHaveLength(bytes.length)
})

test('a wire that stalls one way says nothing of it, and loses nothing', async () => {
  await using server = await echo()
  await using wire = await Wire.open(server.port, 1)
  wire.stall('down')
  const socket = connect({ port: wire.port, host: '127.0.0.1' })
  let heard = false
  socket.on('data', () => {
    heard = true
  })
  socket.write('one')
  while (wire.seen.up + wire.seen.down < 3) await new Promise((resolve) => setImmediate(resolve))
  // It came to the server, and its answer waits.
  expect(heard).toBe(false)
  wire.flow('down')
  expect(String((await once(socket, 'data'))[0])).toBe('one')
  socket.destroy()
})
