import { once } from 'node:events'
import { createServer, type IncomingMessage, request } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import * as dagCbor from '@ipld/dag-cbor'
import { expect, test } from '@jest/globals'
import { Counters } from '#coordinator/counters.ts'
import { type LinkOptions, SocketTransport } from '#coordinator/transports/socketio.ts'
import { frameOf } from '#protocol/envelope.ts'
import { type NodeId, publicKeyOf } from '#protocol/ids.ts'
import { FRAME_BYTES_MAX, NODE_FRAMES, UNREAD_BYTES_MAX } from '#protocol/limits.ts'
import { MemoryPresence } from '#storage/presence/memory.ts'
import { capability } from './capability.ts'
import { RawNode, signer } from './live.ts'

const coordinator = signer('coordinator')

async function serving(options: Partial<LinkOptions> = {}) {
  const http = createServer()
  const counters = new Counters()
  const transport = new SocketTransport(http, {
    ...{ signer: coordinator, admits: async () => true, graceMillis: 1000, helloMillis: 60_000, linksMax: 10 },
    presence: new MemoryPresence().openIn({}),
    ...{ isOverloaded: () => false, count: counters.count.bind(counters) },
    ...options,
  })
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  const { port } = http.address() as AddressInfo
  return {
    ...{ transport, counters, port },
    node: (name: string) => new RawNode(`http://127.0.0.1:${port}`, coordinator.id, name),
    async [Symbol.asyncDispose]() {
      await transport[Symbol.asyncDispose]()
      http.closeAllConnections()
      http.close()
    },
  }
}

/** A WebSocket that says nothing, or what it is told: its answer's head, or the code of the refusal. */
async function knock(port: number, more: Readonly<Record<string, string>> = {}) {
  const headers = {
    ...more,
    ...{ connection: 'upgrade', upgrade: 'websocket', 'sec-websocket-version': '13' },
    'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
  }
  const sent = request({ port, host: '127.0.0.1', path: '/v1/node-link/?EIO=4&transport=websocket', headers })
  sent.end()
  const [answer, socket] = await new Promise<[IncomingMessage, Socket?]>((resolve, reject) => {
    sent.on('upgrade', (response, upgraded) => resolve([response, upgraded as Socket]))
    sent.on('response', (response) => resolve([response]))
    sent.on('error', reject)
  })
  socket?.on('error', () => undefined).resume()
  return { status: answer.statusCode, after: answer.headers['retry-after'], socket }
}

test('a node that does not read loses its link, and not the coordinator its memory', async () => {
  await using at = await serving()
  const { transport, counters } = at
  await using deaf = at.node('deaf')
  await using friend = at.node('friend')
  expect([await deaf.link(), await friend.link()]).toEqual(['linked', 'linked'])
  deaf.stopReading()
  const frame = new Uint8Array(FRAME_BYTES_MAX)
  let sent = 0
  for (; transport.linked().includes(deaf.signer.id); sent++) {
    expect(sent).toBeLessThan(2000)
    expect(transport.gauges()['unread_bytes']).toBeLessThan(2 * UNREAD_BYTES_MAX + 2 * FRAME_BYTES_MAX)
    await transport.send(deaf.signer.id, frame)
    await transport.send(friend.signer.id, frame)
    // Whoever reads is kept up with.
    if (sent % 16 === 0) await friend.hasRead(sent + 1)
  }
  expect(await counters.of('links_refused', 'slow-reader')).toBe(1)
  expect(transport.linked()).toEqual([friend.signer.id])
})

test('a node that floods valid frames is read at its rate, loses none, and keeps nobody else waiting', async () => {
  await using at = await serving()
  await using loud = at.node('loud')
  await using quiet = at.node('quiet')
  expect([await loud.link(), await quiet.link()]).toEqual(['linked', 'linked'])
  const flood = 20 * NODE_FRAMES.burst
  const frame = new Uint8Array(20)
  for (let sent = 0; sent < flood; sent++) loud.raw(frame)
  let [fromLoud, fromQuiet] = [0, 0]
  const started = performance.now()
  quiet.raw(frame)
  for await (const event of at.transport.events(new AbortController().signal)) {
    if (event.kind !== 'frame') continue
    if (event.from === loud.signer.id) fromLoud++
    else if (++fromQuiet === 40) break
    // The next one only when this one was served.
    else quiet.raw(frame)
  }
  const due = NODE_FRAMES.burst + (NODE_FRAMES.perSecond * (performance.now() - started)) / 1000
  // What one read of its socket brought is served, too: that much, and no more, comes too fast.
  expect(fromLoud).toBeLessThan(due + 2 * (65_536 / frame.length))
  expect(await at.counters.of('links_slowed', 'too-many-frames')).toBeGreaterThan(0)
  expect(await at.counters.text()).not.toContain('frames_refused_total{')
})

test('a page that came from elsewhere opens no link, and one that came from here does', async () => {
  await using at = await serving()
  const from = async (origin: string) => {
    const { status, socket } = await knock(at.port, { origin })
    socket?.destroy()
    return status
  }
  const here = `http://127.0.0.1:${at.port}`
  expect(await from(here)).toBe(101)
  for (const origin of [
    'http://evil.example',
    'https://evil.example',
    'null',
    `${here}.evil.example`,
    'http://127.0.0.1:1',
  ])
    expect([origin, await from(origin)]).toEqual([origin, 400])
  expect(await at.counters.of('links_refused', 'another-origin')).toBe(5)
})

test('strangers hold their own places, an address its share of them, and a hello or a goodbye frees one', async () => {
  await using at = await serving({ strangers: { total: 8, each: 2 } })
  const [first, second] = [await knock(at.port), await knock(at.port)]
  expect([first.status, second.status, at.transport.gauges()['strangers']]).toEqual([101, 101, 2])
  expect(await knock(at.port)).toEqual({ status: 503, after: '5', socket: undefined })
  expect(await at.counters.of('links_refused', 'too-many-strangers')).toBe(1)
  first.socket?.destroy()
  while (at.transport.gauges()['strangers'] === 2) await new Promise(setImmediate)
  await using node = at.node('node')
  expect(await node.link()).toBe('linked')
  expect(at.transport.gauges()).toMatchObject({ strangers: 1, links: 1 })
  second.socket?.destroy()
})

test('a socket that never says hello, and one that only opens a WebSocket, are gone after the hello time', async () => {
  // Of which whoever says nothing needs the least part to get so far as to be told why.
  await using at = await serving({ helloMillis: 1000 })
  await using mute = at.node('mute')
  const refusal = mute.refusal()
  const silent = await knock(at.port)
  await once(silent.socket as Socket, 'close')
  expect(await refusal).toBe('no-hello')
  while (at.transport.gauges()['strangers'] !== 0) await new Promise(setImmediate)
})

test('a stranger that says more than a hello is not read on', async () => {
  await using at = await serving()
  await using chatty = at.node('chatty')
  await chatty.hear('challenge')
  for (let turn = 0; turn < 100; turn++) chatty.event('anything', turn)
  await chatty.lost()
  expect(await at.counters.of('links_refused', 'hello-first')).toBe(1)
  expect(at.transport.gauges()['links']).toBe(0)
})

test('a stranger whose first frame has bytes where a list is due is turned away, and the coordinator goes on', async () => {
  await using at = await serving()
  await using stranger = at.node('stranger')
  const { kind, ...body } = {
    kind: 'capability' as const,
    ...stranger.said(),
    ...capability(1),
    speeds: Uint8Array.of(1),
  }
  const to = publicKeyOf(body.to)
  const frame = frameOf(stranger.signer.sign(kind, dagCbor.encode({ ...body, to })))
  expect(await stranger.link(() => frame)).toBe('wrong-shape')
  await using friend = at.node('friend')
  expect(await friend.link()).toBe('linked')
})

test('while there is more to do than can be done no new link is taken, and the others stay', async () => {
  let overloaded = false
  await using at = await serving({ isOverloaded: () => overloaded })
  await using node = at.node('node')
  expect(await node.link()).toBe('linked')
  overloaded = true
  expect(await knock(at.port)).toMatchObject({ status: 503, after: '5' })
  expect(await at.counters.of('links_refused', 'overload')).toBe(1)
  expect(at.transport.linked()).toEqual([node.signer.id])
})

test('a node that links over and over is told to wait: each time costs a signature and a telling', async () => {
  await using at = await serving()
  const said: string[] = []
  for (let turn = 0; turn < 30 && said.at(-1) !== 'links-too-often'; turn++) {
    await using node = at.node('flapping')
    said.push(await node.link())
  }
  expect(said.at(-1)).toBe('links-too-often')
  expect(said.length).toBeGreaterThan(20)
})

test('half a request for a link holds nothing of the link', async () => {
  await using at = await serving({ strangers: { total: 1, each: 1 } })
  const half = connect(at.port, '127.0.0.1')
  half.on('error', () => undefined)
  half.write('GET /v1/node-link/?EIO=4&transport=websocket HTTP/1.1\r\nupgrade: websocket\r\n')
  await once(half, 'connect')
  expect((await knock(at.port)).status).toBe(101)
  half.destroy()
})

test('of links to two processes the older one ends, however soon the newer one came', async () => {
  const shared = new MemoryPresence()
  await using first = await serving({ presence: shared.openIn({}) })
  await using second = await serving({ presence: shared.openIn({}) })
  await using older = first.node('moving')
  expect(await older.link()).toBe('linked')
  await using newer = second.node('moving')
  expect(await newer.link()).toBe('linked')
  await older.lost()
  expect([first.transport.linked(), second.transport.linked()]).toEqual([[], [newer.signer.id]])
})

test('a link that was made while it was asked who has moved away is none that moved', async () => {
  const presence = new MemoryPresence().openIn({})
  const [asked, answered] = [Promise.withResolvers<void>(), Promise.withResolvers<readonly NodeId[]>()]
  const departed: NodeId[] = []
  const told = {
    moved: () => {
      asked.resolve()
      return answered.promise
    },
    departed: (node: NodeId) => {
      departed.push(node)
      return presence.departed(node)
    },
  }
  await using at = await serving({ presence: { ...presence, ...told } })
  await asked.promise
  await using node = at.node('came back')
  expect(await node.link()).toBe('linked')
  const gone = signer('gone').id
  answered.resolve([gone, node.signer.id])
  await answered.promise
  await new Promise((resolve) => setImmediate(resolve))
  expect(at.transport.linked()).toEqual([node.signer.id])
  expect(departed).toEqual([])
})
