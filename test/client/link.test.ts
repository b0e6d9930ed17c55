import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, jest, test } from '@jest/globals'
import fc from 'fast-check'
import { Server, type ServerOptions } from 'socket.io'
import { sequenceFrom } from '#client/sequence.ts'
import { type Dial, type Ears, HUNG_UP } from '#client/transports/line.ts'
import { dialFromNode } from '#client/transports/node-line.ts'
import { dialFromPage } from '#client/transports/page-line.ts'
import { SocketLink } from '#client/transports/socket-link.ts'
import { SocketTransport } from '#coordinator/transports/socketio.ts'
import { toHex } from '#protocol/bytes.ts'
import { FRAME_BYTES_MAX, UNHEARD_BYTES_MAX } from '#protocol/limits.ts'
import { Mailbox } from '#protocol/mailbox.ts'
import { LINK_PATH } from '#protocol/messages.ts'
import { MemoryPresence } from '#storage/presence/memory.ts'
import { signer } from '#test/coordinator/live.ts'

const DIALS: readonly (readonly [string, Dial])[] = [
  ['Node.js', dialFromNode],
  ['a page', dialFromPage],
]

test.each(DIALS)(
  'from %s a coordinator that says more than a node can listen to is hung up on, and heard again when there is room',
  async (_from, dial) => {
    const http = createServer()
    const coordinator = signer('coordinator')
    await using transport = new SocketTransport(http, {
      ...{ signer: coordinator, admits: async () => true, graceMillis: 60_000, helloMillis: 60_000, linksMax: 10 },
      presence: new MemoryPresence().openIn({}),
      ...{ isOverloaded: () => false, count: () => undefined },
    })
    http.listen(0, '127.0.0.1')
    await once(http, 'listening')
    const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`
    const node = signer('node')
    const states: string[] = []
    await using link = new SocketLink({
      ...{ urls: [url], coordinator: coordinator.id, dial, signer: node, sequence: sequenceFrom(() => 0) },
      report: (state) => void states.push(state),
    })
    while (!states.includes('linked')) await new Promise(setImmediate)
    const frame = new Uint8Array(FRAME_BYTES_MAX)
    let sent = 0
    // Nobody takes anything from the link, which reads all the same.
    for (; !states.includes('lost'); sent++) {
      if (transport.linked().length > 0) await transport.send(node.id, frame)
      await new Promise(setImmediate)
      expect(sent).toBeLessThan(100_000)
    }
    while (transport.linked().length > 0) await new Promise(setImmediate)
    const stop = new AbortController()
    let heardBytes = 0
    for await (const event of link.events(stop.signal)) {
      if (event.kind === 'frame') heardBytes += event.frame.length
      if (event.kind === 'linked' && states.filter((state) => state === 'linked').length === 2) break
    }
    expect(heardBytes).toBeLessThanOrEqual(UNHEARD_BYTES_MAX)
    expect(heardBytes).toBeGreaterThan(UNHEARD_BYTES_MAX / 2)
    http.closeAllConnections()
    http.close()
  },
)

/** A server of Socket.IO as it comes, on the link's path. */
async function openServer(options: Partial<ServerOptions> = {}) {
  const http = createServer()
  const server = new Server(http, { path: LINK_PATH, transports: ['websocket'], ...options })
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  return {
    server,
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      http.closeAllConnections()
      await server.close()
    },
  }
}

/** What the line says, in order. */
function earsOf(said: Mailbox<string>): Ears {
  return {
    frame: (frame) => said.push(`frame ${toHex(new Uint8Array(frame as ArrayBuffer))}`),
    linked: () => said.push('linked'),
    refused: (reason) => said.push(`refused ${reason}`),
    lost: (reason) => said.push(`lost ${reason}`),
    unreachable: () => said.push('unreachable'),
  }
}

/** Dials it, and reads what it says. */
function lineTo(url: string, dial: Dial) {
  const said = new Mailbox<string>()
  const line = dial(url, earsOf(said))
  const words = said.items(new AbortController().signal)[Symbol.asyncIterator]()
  return { line, next: async () => (await words.next()).value as string, [Symbol.dispose]: () => line.close() }
}

describe.each(DIALS)('a line from %s', (_from, dial) => {
  test('carries frames both ways, tells what is said of it, and hears that it is hung up', async () => {
    await using there = await openServer()
    const frames = [new Uint8Array(0), Uint8Array.of(7), new Uint8Array(FRAME_BYTES_MAX).fill(5)]
    there.server.on('connection', (socket) => {
      socket.emit('linked')
      socket.emit('something else', 1)
      socket.emit('refused', 'too-many')
      socket.on('frame', (frame: Uint8Array) => {
        socket.emit('frame', frame)
        if (frame.length === FRAME_BYTES_MAX) socket.disconnect(true)
      })
    })
    using own = lineTo(there.url, dial)
    expect([await own.next(), await own.next()]).toEqual(['linked', 'refused too-many'])
    for (const frame of frames) own.line.send(frame)
    for (const frame of frames) expect(await own.next()).toBe(`frame ${toHex(frame)}`)
    expect(await own.next()).toBe(`lost ${HUNG_UP}`)
  })

  test('that nobody answers is unreachable', async () => {
    using own = lineTo('http://127.0.0.1:1', dial)
    expect(await own.next()).toBe('unreachable')
  })

  test('answers when it is asked whether it is there', async () => {
    await using there = await openServer({ pingInterval: 10 })
    using _ = lineTo(there.url, dial)
    const answered = Promise.withResolvers<void>()
    let pongs = 0
    there.server.engine.on('connection', (connection: Connection) =>
      connection.on('packet', ({ type }) => type === 'pong' && ++pongs === 3 && answered.resolve()),
    )
    await answered.promise
  })

  test('that has fallen silent for as long as it was told it may be is lost', async () => {
    using patience = patienceOf(100_000 + 23_456)
    await using there = await openServer({ pingInterval: 100_000, pingTimeout: 23_456 })
    there.server.on('connection', (socket) => socket.emit('linked'))
    using own = lineTo(there.url, dial)
    expect(await own.next()).toBe('linked')
    patience.ends()
    expect(await own.next()).toBe('lost ping timeout')
  })
})

/** Whoever waits for so long, which nobody else here does, waits until it is told that the time has passed. */
function patienceOf(millis: number) {
  let ends: () => void = () => expect('anybody').toBe('waiting')
  const later = globalThis.setTimeout
  const wait = (act: (...args: unknown[]) => void, after?: number, ...args: unknown[]) => {
    if (after !== millis) return later(act, after, ...args)
    ends = () => act(...args)
    return later(() => undefined, 0)
  }
  const waits = jest.spyOn(globalThis, 'setTimeout').mockImplementation(wait as typeof setTimeout)
  return { ends: () => ends(), [Symbol.dispose]: () => waits.mockRestore() }
}

/** Of Engine.IO, what is used here. */
type Connection = {
  on(event: 'packet', heard: (packet: { readonly type: string }) => void): void
  sendPacket(type: 'message', data: string | Uint8Array): void
}

test('a node’s line tells why nobody was reached, and not only that a WebSocket was not', async () => {
  const { promise, resolve } = Promise.withResolvers<string>()
  const line = dialFromNode('http://127.0.0.1:1', { ...earsOf(new Mailbox<string>()), unreachable: resolve })
  expect(await promise).toBe('connect ECONNREFUSED 127.0.0.1:1')
  line.close()
})

test('a page’s line is lost by words that are not of the protocol, and nothing is thrown', async () => {
  await using there = await openServer()
  const packets = [
    '0{"sid":"x"}',
    '2[',
    '2{}',
    '2null',
    '51-["frame",{"_placeholder":true,"num":1}]',
    '6',
    new Uint8Array(3),
  ]
  const strange = fc.oneof(
    fc.constantFrom(...packets),
    fc.string({ maxLength: 8 }).map((text) => `7${text}`),
  )
  await fc.assert(
    fc.asyncProperty(strange, async (packet) => {
      const connected = new Promise<Connection>((resolve) =>
        there.server.once('connection', ({ conn }) => resolve(conn as unknown as Connection)),
      )
      using own = lineTo(there.url, dialFromPage)
      const connection = await connected
      connection.sendPacket('message', packet)
      expect(await own.next()).toMatch(/^lost (parse error|transport close)$/)
    }),
    { numRuns: 30, examples: packets.map((packet) => [packet]) },
  )
})
