import { once } from 'node:events'
import { connect } from 'node:net'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import { readFile } from '#protocol/unixfs.ts'
import { openHttp } from '#storage/blobs/http-node.ts'
import { openRemoteBlobs } from '#storage/blobs/remote.ts'
import type { HeliaNode } from '#test/helia.ts'
import { timed } from './cpu.ts'

/** A process that fetches one file, of which it keeps nothing. `node transfer-receiver.ts <kind> <at> <cid> <bytes>` */
process.on('disconnect', () => process.exit(0))
const [kind, at = '', cid, size] = process.argv.slice(2)
const sizeBytes = Number(size)

type Read = () => AsyncIterable<Bytes>
const RECEIVERS: Readonly<Record<string, () => Promise<Read>>> = {
  tcp: async () => {
    const { port } = new URL(at)
    return () => connect(Number(port), '127.0.0.1')
  },
  consilium: async () => {
    const blobs = openRemoteBlobs({ url: at, fetch: openHttp().fetch })
    return () => blobs.get(cid as Cid, { limitBytes: sizeBytes })
  },
  helia: async () => {
    // Loaded where it is measured: it is most of such a process's memory.
    const { startHelia } = await import('#test/helia.ts')
    const node = await startHelia()
    await dial(node, at)
    const block = (one: Cid) => node.get(one, AbortSignal.timeout(60_000))
    return () => readFile(cid as Cid, 0, sizeBytes, block, () => HELIA_AHEAD_BYTES)
  },
  // The daemon verifies; here its bytes are taken and counted.
  kubo: async () =>
    async function* () {
      const response = await fetch(`${at}/api/v0/cat?arg=${cid}`, { method: 'POST' })
      if (!response.ok || !response.body) throw new Error(`${response.status} ${await response.text()}`)
      yield* response.body
    },
}

/** As much as Helia is any faster with. */
const HELIA_AHEAD_BYTES = 16 * BLOCK_BYTES_MAX

/** libp2p takes five connections a second from one address and cuts the others. */
async function dial(node: HeliaNode, address: string): Promise<void> {
  for (let attempt = 1; ; attempt++)
    try {
      return await node.dial(address)
    } catch (cause) {
      if (attempt === DIALS_MAX) throw cause
      await new Promise((resolve) => setTimeout(resolve, 500 + 1000 * Math.random()))
    }
}

const DIALS_MAX = 30

const receiver = RECEIVERS[kind ?? '']
if (!receiver) throw new Error(`no receiver ${kind}`)
const read = await receiver()
process.send?.('ready')
await once(process, 'message')
const {
  value: bytes,
  cpu,
  wall,
} = await timed(async () => {
  let sum = 0
  for await (const piece of read()) sum += piece.length
  return sum
})
if (bytes !== sizeBytes) throw new Error(`${bytes} of ${sizeBytes} bytes`)
process.send?.({ seconds: wall / 1000, cpuMillis: cpu, rssBytes: process.resourceUsage().maxRSS * 1024 })
