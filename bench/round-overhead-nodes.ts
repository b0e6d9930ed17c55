import { participate } from '#client/participate.ts'
import { policyFor } from '#client/policy.ts'
import { sequenceFrom } from '#client/sequence.ts'
import { siteTerms } from '#client/site.ts'
import { SocketLink } from '#client/transports/socketio.ts'
import { randomBytes, sha256 } from '#crypto'
import { utf8 } from '#protocol/bytes.ts'
import { signerOf } from '#protocol/envelope.ts'
import { parseNodeId } from '#protocol/ids.ts'
import type { TrainerBackend } from '#protocol/ports.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { openRemoteBlobs } from '#storage/blobs/remote.ts'
import { systemClock } from '#storage/clock.ts'
import { openMemoryLog } from '#storage/logs/memory.ts'

/** A process of no-op nodes: everything a node does but the training. `node round-overhead-nodes.ts <url> <key> <first> <count>` */
const [url, key, first, count] = process.argv.slice(2)
const coordinator = parseNodeId(key ?? '')
if (!url || !coordinator.ok) throw new Error('which coordinator?')

const idle: TrainerBackend = {
  backend: 'none',
  fit: async (model, { purpose }) => ({
    delta: new Float32Array(purpose === 'train' ? model.length : 0),
    examples: 1,
    evaluation: { rows: 1, correct: 1, lossSumNats: 0 },
    trainMillis: 0,
  }),
  async [Symbol.asyncDispose]() {},
}

for (let index = Number(first); index < Number(first) + Number(count); index++) {
  const secret = sha256(utf8(`bench node ${index}`))
  const signer = signerOf(secret)
  const sequence = sequenceFrom(() => systemClock.now())
  const site = siteTerms('open', 'open')
  let ticket: string | undefined
  const doors = {
    ...{ signer, secret, sequence, coordinator: coordinator.value, clock: systemClock, trainer: idle },
    transport: new SocketLink({
      urls: [url],
      coordinator: coordinator.value,
      signer,
      sequence,
      report: () => undefined,
    }),
    blobs: openRemoteBlobs({ url, ticket: () => ticket }),
    withheld: openRemoteBlobs({ url, ticket: () => ticket, reads: 'withheld' }),
    ...{ site, policy: policyFor('open', 2, site), chance: randomBytes },
    ...{ journal: openMemoryLog(), outbox: openMemoryBlobs() },
    useTicket: (text: string) => {
      ticket = text
    },
  }
  void (async () => {
    for await (const _ of participate(doors, new AbortController().signal));
  })()
}
process.on('disconnect', () => process.exit(0))
