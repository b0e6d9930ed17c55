import { afterEach, expect } from '@jest/globals'
import { genesisWeights } from '#aggregation/genesis.ts'
import { quantiserFor } from '#aggregation/quantise.ts'
import { encodeWeights, modelManifestOf } from '#aggregation/weights.ts'
import { type Progress, participate } from '#client/participate.ts'
import { policyFor } from '#client/policy.ts'
import { sequenceFrom } from '#client/sequence.ts'
import { sha256 } from '#crypto'
import { type Architecture, architectureSchema, shapeOf } from '#protocol/architecture.ts'
import { fromHex, once, utf8 } from '#protocol/bytes.ts'
import { cidOf, DAG_CBOR } from '#protocol/cid.ts'
import { encode } from '#protocol/codec.ts'
import { open, type Signer, signerOf } from '#protocol/envelope.ts'
import type { Bytes, Cid, RunId } from '#protocol/ids.ts'
import { Mailbox } from '#protocol/mailbox.ts'
import { modelSchema } from '#protocol/manifest.ts'
import { type ClientMessage, type CoordinatorMessage, readClientMessage, say } from '#protocol/messages.ts'
import type { Plan } from '#protocol/plan.ts'
import type { BlobStore, ClientTransport, TrainerBackend } from '#protocol/ports.ts'
import { keepSealed } from '#protocol/sealed.ts'
import { cohortSeed } from '#protocol/seeds.ts'
import { taskSchema } from '#protocol/task.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { fakeClock } from '#test/fake-clock.ts'
import { RUN } from '#test/sim/cluster.ts'
import { TOY_ARCHITECTURE, TOY_TASK, toyTrainer } from '#test/sim/toy.ts'

export const coordinator = signerOf(sha256(utf8('the coordinator')))
export const stranger = signerOf(sha256(utf8('a stranger')))
const secret = sha256(utf8('the node'))
export const parameters = 3
const NOW = 1_000_000

type BenchChange = {
  readonly trainer?: TrainerBackend
  readonly population?: 'open' | 'hospital'
  readonly cohortMin?: number
  readonly architecture?: Architecture
}

/** A node on a link that the test holds the other end of. */
export class Bench {
  readonly signer = signerOf(secret)
  readonly blobs = openMemoryBlobs()
  readonly uploads: Cid[] = []
  readonly progress: Progress[] = []
  readonly #said = new Mailbox<ClientMessage>()
  readonly frames: Bytes[] = []
  /** How many sends fail from now on. */
  breaks = 0
  /** What travelled with frames. */
  readonly attached: Cid[] = []
  readonly #architecture: Architecture
  readonly #inbox = new Mailbox<{ kind: 'frame'; frame: Bytes }>()
  readonly clock = fakeClock(NOW)
  readonly end = new AbortController()
  #waiting: { kind: string; resolve: () => void } | undefined

  constructor(change: BenchChange = {}) {
    this.#architecture = change.architecture ?? TOY_ARCHITECTURE
    const transport: ClientTransport = {
      send: async (frame) => {
        if (this.breaks-- > 0) throw new Error('the link broke')
        this.frames.push(frame)
        const signed = open(frame, 65_536)
        const message = signed.ok ? readClientMessage(signed.value) : signed
        if (!message.ok) throw new Error(message.refusal)
        if (signed.ok) this.attached.push(...signed.value.attached.map(({ cid }) => cid))
        this.#said.push(message.value)
      },
      events: (signal) => this.#inbox.items(signal),
      async [Symbol.asyncDispose]() {},
    }
    const blobs: BlobStore = {
      ...this.blobs,
      put: async (...args) => {
        const cid = await this.blobs.put(...args)
        this.uploads.push(cid)
        return cid
      },
    }
    const { clock } = this
    const doors = {
      ...{ transport, blobs, trainer: change.trainer ?? toyTrainer(0), clock, signer: this.signer, secret },
      ...{ coordinator: coordinator.id, sequence: sequenceFrom(() => clock.now()), useTicket: () => undefined },
      policy: policyFor(change.population ?? 'open', change.cohortMin ?? 2),
    }
    void (async () => {
      for await (const made of participate(doors, this.end.signal)) {
        this.progress.push(made)
        if (made.kind === this.#waiting?.kind) this.#waiting.resolve()
      }
    })()
  }

  raw(frame: Bytes): void {
    this.#inbox.push({ kind: 'frame', frame })
  }

  say(message: CoordinatorMessage, signer: Signer = coordinator): void {
    this.raw(say(signer, message))
  }

  async heard(): Promise<ClientMessage> {
    for await (const message of this.#said.items(this.end.signal)) return message
    throw new Error('the node said nothing more')
  }

  /** Resolves at the next progress of this kind. */
  async next(kind: Progress['kind']): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#waiting = { kind, resolve }
    await promise
  }

  /** A sealed plan with everything under it, honest but for the change. */
  async plan(change: Partial<Plan> = {}, by: Signer = coordinator): Promise<Cid> {
    const architecture = await this.#block(architectureSchema, this.#architecture)
    const shape = shapeOf(this.#architecture)
    if (!shape.ok) throw new Error(shape.refusal)
    const seed = fromHex(TOY_TASK.seed)
    const weights = await this.blobs.put(once(encodeWeights(genesisWeights(this.#architecture, seed))), 2 ** 20)
    const model = await this.#block(modelSchema, modelManifestOf(architecture, shape.value.tensors, weights))
    const { architecture: _, seed: __, ...task } = TOY_TASK
    const taskCid = await this.#block(taskSchema, { v: 1, ...task, seed, architecture, genesis: model })
    const cohort = { min: 2, max: 5, quorum: 2 }
    return keepSealed(this.blobs, by, 'plan', {
      ...{ v: 1, run: RUN, round: 1, purpose: 'train', population: 'open', masking: 'none', task: taskCid, model },
      ...{ parent: null, cohortSeed: cohortSeed(seed, model, 1), cohort },
      quantiser: quantiserFor({ clipNormMicro: task.clipNormMicro, rowsMax: task.data.rowsMax, cohortMax: 5 }),
      timing: { selectionMillis: 1, reportingMillis: 1, aggregationMillis: 1, settlementMillis: 1 },
      ...change,
    })
  }

  async otherModel(): Promise<Cid> {
    const architecture = await this.#block(architectureSchema, TOY_ARCHITECTURE)
    const shape = shapeOf(TOY_ARCHITECTURE)
    if (!shape.ok) throw new Error(shape.refusal)
    const weights = await this.blobs.put(once(encodeWeights(new Float32Array(parameters).fill(9))), 100)
    return this.#block(modelSchema, modelManifestOf(architecture, shape.value.tensors, weights))
  }

  async #block(schema: Parameters<typeof encode>[0], value: unknown): Promise<Cid> {
    const bytes = encode(schema, value)
    const cid = cidOf(DAG_CBOR, bytes)
    await this.blobs.putBlocks([{ cid, bytes }])
    return cid
  }
}

const made: Bench[] = []
export function bench(change?: ConstructorParameters<typeof Bench>[0]): Bench {
  const node = new Bench(change)
  made.push(node)
  return node
}
afterEach(() => {
  for (const node of made.splice(0)) node.end.abort()
})

export const OTHER_RUN = 'run_01ARZ3NDEKTSV4RRFFQ69G5FAW' as RunId
export const SELECTION_MILLIS = 1000
export const invite = (plan: Cid, round = 1, run = RUN): CoordinatorMessage => {
  return { kind: 'invite', run, round, plan, closesAt: NOW + SELECTION_MILLIS }
}
export const seated = (plan: Cid, seat = 0, run = RUN): CoordinatorMessage => ({
  kind: 'seated',
  run,
  round: 1,
  plan,
  seat,
  endsAt: 9,
  ticket: 't',
})

export async function seat(node: Bench): Promise<Cid> {
  const plan = await node.plan()
  node.say(invite(plan))
  expect(await node.heard()).toMatchObject({ kind: 'join', round: 1, to: coordinator.id })
  node.say(seated(plan))
  return plan
}
