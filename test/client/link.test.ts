import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from '@jest/globals'
import { sequenceFrom } from '#client/sequence.ts'
import { SocketLink } from '#client/transports/socketio.ts'
import { SocketTransport } from '#coordinator/transports/socketio.ts'
import { FRAME_BYTES_MAX, UNHEARD_BYTES_MAX } from '#protocol/limits.ts'
import { MemoryPresence } from '#storage/presence/memory.ts'
import { signer } from '#test/coordinator/live.ts'

test('a coordinator that says more than a node can listen to is hung up on, and heard again when there is room', async () => {
  const http = createServer()
  const coordinator = signer('coordinator')
  await using transport = new SocketTransport(http, {
    ...{ signer: coordinator, admits: () => true, graceMillis: 60_000, helloMillis: 1000, linksMax: 10 },
    presence: new MemoryPresence().openIn({}),
    ...{ isOverloaded: () => false, count: () => undefined },
  })
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`
  const node = signer('node')
  const states: string[] = []
  await using link = new SocketLink({
    ...{ urls: [url], coordinator: coordinator.id, signer: node, sequence: sequenceFrom(() => 0) },
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
})
