import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Server } from 'socket.io'
import { startCoordinator } from '#coordinator/main.ts'
import { SOCKET_BYTES_MAX } from '#protocol/limits.ts'

/** What is measured, in a process of its own: `node concurrency-server.ts bare|coordinator`. Asked, it says what it uses. */
const state = mkdtempSync(join(tmpdir(), 'consilium-bench-'))
const served = process.argv[2] === 'bare' ? await bare() : await coordinator()
process.send?.(served)
process.on('message', () => {
  globalThis.gc?.()
  const { rss, heapUsed, external } = process.memoryUsage()
  const { user, system } = process.cpuUsage()
  process.send?.({ rss, heldBytes: heapUsed + external, cpuMillis: (user + system) / 1000 })
})
process.on('disconnect', () => {
  rmSync(state, { recursive: true, force: true })
  process.exit(0)
})

/** socket.io as the node link sets it up, and nothing behind it. */
async function bare() {
  const http = createServer()
  const io = new Server(http, {
    ...{ transports: ['websocket'], maxHttpBufferSize: SOCKET_BYTES_MAX, perMessageDeflate: false },
    ...{ httpCompression: false, serveClient: false },
  })
  io.on('connection', (socket) => socket.emit('linked'))
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  return { url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`, id: '', keyFile: '' }
}

async function coordinator() {
  const { url, id, apiKeyFile } = await startCoordinator({
    ...{ state, host: '127.0.0.1', port: 0, tls: undefined, admits: 'open', graceMillis: 60_000 },
    ...{ quotaBytes: 2 ** 32, logLevel: 'error', version: 'bench', fatal: console.error },
  })
  return { url, id, keyFile: apiKeyFile }
}
