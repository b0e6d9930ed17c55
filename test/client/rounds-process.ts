import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { genesisWeights } from '#aggregation/genesis.ts'
import { quantiserOf } from '#aggregation/quantise.ts'
import { encodeWeights, modelManifestOf } from '#aggregation/weights.ts'
import { participate } from '#client/participate.ts'
import { policyFor } from '#client/policy.ts'
import { sequenceFrom } from '#client/sequence.ts'
import { siteTerms } from '#client/site.ts'
import type { BackendChoice } from '#client/trainers/backends/choice.ts'
import { openTfjsTrainer } from '#client/trainers/tfjs.ts'
import { randomBytes, sha256 } from '#crypto'
import { shapeOf } from '#protocol/architecture.ts'
import { architectureSchema } from '#protocol/architecture-schema.ts'
import { fromHex, once, utf8 } from '#protocol/bytes.ts'
import { cidOf, DAG_CBOR } from '#protocol/cid.ts'
import { encode } from '#protocol/codec.ts'
import { open, signerOf } from '#protocol/envelope.ts'
import type { Cid, Round } from '#protocol/ids.ts'
import { FRAME_BYTES_MAX } from '#protocol/limits.ts'
import { Mailbox } from '#protocol/mailbox.ts'
import { modelSchema } from '#protocol/manifest.ts'
import { type ClientMessage, type CoordinatorMessage, readClientMessage, say } from '#protocol/messages.ts'
import type { BlobStore } from '#protocol/ports.ts'
import { keepSealed } from '#protocol/sealed.ts'
import { cohortSeed } from '#protocol/seeds.ts'
import { taskSchema } from '#protocol/task.ts'
import { RUN } from '#sim/setting.ts'
import { TOY_ARCHITECTURE, TOY_TASK } from '#sim/toy.ts'
import { asRemote } from '#storage/blobs/copying.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { systemClock } from '#storage/clock.ts'
import { openSqliteLog } from '#storage/logs/sqlite.ts'
import { cohortOf } from '#test/cohort.ts'
import { tellHeld } from './holding.ts'
import { TIMING } from './timing.ts'

/** A node's rounds, one after another: its core and its training thread on a disk of its own, and a coordinator that keeps nothing. */
const [turns, every] = [Number(process.argv[2]), Number(process.argv[3])]
const coordinator = signerOf(sha256(utf8('the coordinator')))
const folder = await mkdtemp(join(tmpdir(), 'rounds-'))
await writeFile(join(folder, 'site.csv'), `x,y,z\n${'1,2,0\n3,4,1\n'.repeat(20)}`)

const inbox = new Mailbox<{ kind: 'frame'; frame: Uint8Array }>()
const said = new Mailbox<ClientMessage>()
const end = new AbortController()
const hears = said.items(end.signal)[Symbol.asyncIterator]()
const tell = (message: CoordinatorMessage) => inbox.push({ kind: 'frame', frame: say(coordinator, message) })
async function heard(kind: ClientMessage['kind']): Promise<void> {
  const { value } = await hears.next()
  if (value.kind !== kind) throw new Error(`${JSON.stringify(value)} is no ${kind}`)
}

let blobs = openMemoryBlobs()
const store = asRemote(forwarding())
{
  await using trainer = await openTfjsTrainer({
    data: { kind: 'csv', path: join(folder, 'site.csv') },
    backend: process.argv[4] as BackendChoice,
  })
  await using journal = openSqliteLog({ file: join(folder, 'journal.sqlite') })
  const secret = sha256(utf8('the node'))
  const site = siteTerms('open', 'open')
  const living = (async () => {
    const doors = {
      transport: {
        async send(frame: Uint8Array) {
          const signed = open(frame, FRAME_BYTES_MAX)
          const message = signed.ok ? readClientMessage(signed.value) : signed
          if (message.ok) said.push(message.value)
        },
        events: (signal: AbortSignal) => inbox.items(signal),
        async [Symbol.asyncDispose]() {},
      },
      ...{
        blobs: store,
        withheld: store,
        trainer,
        clock: systemClock,
        signer: signerOf(secret),
        secret,
        journal,
        site,
      },
      ...{ chance: randomBytes, coordinator: coordinator.id, sequence: sequenceFrom(() => systemClock.now()) },
      ...{ policy: policyFor('open', 2, site), outbox: openMemoryBlobs(), useTicket: () => undefined },
    }
    for await (const _ of participate(doors, end.signal));
  })()
  for (let round = 1; round <= turns; round++) {
    blobs = openMemoryBlobs()
    const plan = await planOf(round)
    const later = systemClock.now() + 600_000
    tell({ kind: 'invite', run: RUN, round, plan, closesAt: later })
    await heard('join')
    tell({
      kind: 'seated',
      run: RUN,
      round,
      plan,
      seat: 0,
      endsAt: later,
      ticket: 't',
      roster: null,
    })
    await heard('report')
    tell({ kind: 'ended', run: RUN, round, outcome: 'closed', reason: '' })
    const receipt = { v: 1, run: RUN, round, seat: 0, node: signerOf(secret).id, update: plan, manifest: plan } as const
    tell({ kind: 'receipt', ...receipt, amount: 7n })
    if (round % every === 0) await tellHeld(round, { threads: 1 })
  }
  end.abort()
  await living
}
await rm(folder, { recursive: true })

/** To the store of the round: what the coordinator keeps is not what the node holds. */
function forwarding(): BlobStore {
  return {
    put: (...args) => blobs.put(...args),
    putBlocks: (...args) => blobs.putBlocks(...args),
    get: (...args) => blobs.get(...args),
    getBlock: (...args) => blobs.getBlock(...args),
    has: (...args) => blobs.has(...args),
    delete: (...args) => blobs.delete(...args),
  }
}

async function planOf(round: Round): Promise<Cid> {
  const architecture = await keep(architectureSchema, TOY_ARCHITECTURE)
  const shape = shapeOf(TOY_ARCHITECTURE)
  if (!shape.ok) throw new Error(shape.refusal)
  const seed = fromHex(TOY_TASK.seed)
  const weights = await blobs.put(once(encodeWeights(genesisWeights(TOY_ARCHITECTURE, seed))), 100)
  const model = await keep(modelSchema, modelManifestOf(architecture, shape.value.tensors, weights))
  const { architecture: _, seed: __, ...task } = TOY_TASK
  const cohort = cohortOf({ min: 2, max: 5, quorum: 2 })
  return keepSealed(blobs, coordinator, 'plan', {
    ...{ v: 1, run: RUN, round, purpose: 'train', population: 'open', masking: 'none', model, parent: null },
    task: await keep(taskSchema, { v: 1, ...task, seed, architecture, genesis: model }),
    ...{ secure: null, endings: null, cohortSeed: cohortSeed(seed, model, round), cohort, timing: TIMING },
    quantiser: quantiserOf(task, { masking: 'none', cohort }),
  })
}

async function keep(schema: Parameters<typeof encode>[0], value: unknown): Promise<Cid> {
  const bytes = encode(schema, value)
  const cid = cidOf(DAG_CBOR, bytes)
  await blobs.putBlocks([{ cid, bytes }])
  return cid
}
