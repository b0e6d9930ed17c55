import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from '@jest/globals'
import { Counters } from '#coordinator/counters.ts'
import { SocketTransport } from '#coordinator/transports/socketio.ts'
import { FRAME_BYTES_MAX } from '#protocol/limits.ts'
import { MemoryPresence } from '#storage/presence/memory.ts'
import { RawNode, signer } from './live.ts'

test('a node that does not read loses its link, and not the coordinator its memory', async () => {
  const http = createServer()
  using _ = { [Symbol.dispose]: () => void http.close() }
  const counters = new Counters()
  const coordinator = signer('coordinator')
  await using transport = new SocketTransport(http, {
    ...{ signer: coordinator, admits: () => true, graceMillis: 1000, helloMillis: 1000, linksMax: 10 },
    presence: new MemoryPresence().openIn({}),
    count: (name, reason) => counters.count(name, reason),
  })
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`
  await using deaf = new RawNode(url, coordinator.id, 'deaf')
  await using friend = new RawNode(url, coordinator.id, 'friend')
  expect([await deaf.link(), await friend.link()]).toEqual(['linked', 'linked'])
  deaf.stopReading()
  const frame = new Uint8Array(FRAME_BYTES_MAX)
  let sent = 0
  for (; transport.linked().includes(deaf.signer.id); sent++) {
    expect(sent).toBeLessThan(2000)
    await transport.send(deaf.signer.id, frame)
    await transport.send(friend.signer.id, frame)
    // Whoever reads is kept up with.
    if (sent % 16 === 0) await new Promise(setImmediate)
  }
  expect(counters.of('links_refused', 'slow-reader')).toBe(1)
  expect(transport.linked()).toEqual([friend.signer.id])
})
