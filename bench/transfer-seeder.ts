import diagnostics from 'node:diagnostics_channel'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { keystream, sha256 } from '#crypto'
import { once } from '#protocol/bytes.ts'
import type { Cid } from '#protocol/ids.ts'
import { importFile } from '#protocol/unixfs.ts'
import { openFileBlobs } from '#storage/blobs/files.ts'
import { openGateway } from '#storage/blobs/gateway.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { openTickets } from '#storage/blobs/tickets.ts'
import { systemClock } from '#storage/clock.ts'

/** A process that has one file and gives it to whoever asks. `node transfer-seeder.ts <kind> <bytes>` */
process.on('disconnect', () => process.exit(0))
const [kind, sizeBytes] = process.argv.slice(2)
const file = keystream(sha256(new Uint8Array(0)), new Uint8Array(16))(Number(sizeBytes))

/** Of every connection that was taken here: what went out is the same thing for every kind. */
const sockets = new Set<Socket>()
diagnostics.subscribe('net.server.socket', (message) => sockets.add((message as { readonly socket: Socket }).socket))

const SEEDERS: Readonly<Record<string, () => Promise<{ readonly at: string; readonly cid: Cid | undefined }>>> = {
  tcp: async () => ({ at: await listening(createServer((socket) => socket.end(file))), cid: undefined }),
  consilium,
  helia,
}
const seed = SEEDERS[kind ?? '']
if (!seed) throw new Error(`no seeder ${kind}`)
process.send?.(await seed())
const before = process.cpuUsage()
process.on('message', () => {
  const { user, system } = process.cpuUsage(before)
  const sentBytes = [...sockets].reduce((sum, socket) => sum + socket.bytesWritten, 0)
  process.send?.({ sentBytes, seederCpuMillis: (user + system) / 1000 })
})

/** As a coordinator has it: blocks in files behind the gateway. */
async function consilium() {
  const folder = mkdtempSync(join(tmpdir(), 'consilium-bench-'))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  const blobs = await openFileBlobs({ folder, quotaBytes: 2 ** 32 })
  const places = { total: 512, each: 384 }
  const gateway = openGateway({
    ...{ blobs, withheld: openMemoryBlobs(), clock: systemClock },
    tickets: openTickets({ key: new Uint8Array(32), clock: systemClock }),
    limits: {
      ...{ uploads: places, downloads: places, cacheBytes: 2 ** 26 },
      ...{ idleMillis: 30_000, leastBytesPerSecond: 8192, pressedBytesPerSecond: 65_536 },
    },
  })
  const cid = await blobs.put(once(file), file.length)
  return { at: await listening(createHttpServer((request, response) => void gateway(request, response))), cid }
}

async function helia() {
  const { startHelia } = await import('#test/helia.ts')
  const node = await startHelia()
  const cid = await importFile(once(file), ({ cid, bytes }) => node.put(cid, bytes))
  return { at: node.address, cid }
}

async function listening(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
