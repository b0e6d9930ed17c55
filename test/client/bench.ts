import { afterEach, expect } from '@jest/globals'
import { genesisWeights } from '#aggregation/genesis.ts'
import { quantiserOf } from '#aggregation/quantise.ts'
import { encodeWeights, modelManifestOf } from '#aggregation/weights.ts'
import { Supervision } from '#client/conduct.ts'
import type { Measures } from '#client/measuring.ts'
import { participate } from '#client/participate.ts'
import { policyFor } from '#client/policy.ts'
import type { Progress } from '#client/progress.ts'
import { sequenceFrom } from '#client/sequence.ts'
import { type SiteTerms, siteTerms } from '#client/site.ts'
import { keystream, sha256 } from '#crypto'
import { type Architecture, shapeOf } from '#protocol/architecture.ts'
import { architectureSchema } from '#protocol/architecture-schema.ts'
import { fromHex, once, utf8 } from '#protocol/bytes.ts'
import { cidOf, DAG_CBOR } from '#protocol/cid.ts'
import { encode } from '#protocol/codec.ts'
import { type Block, type Heard, open, type Signer, signerOf } from '#protocol/envelope.ts'
import type { Bytes, Cid, RunId } from '#protocol/ids.ts'
import { Mailbox } from '#protocol/mailbox.ts'
import { type ModelManifest, modelSchema } from '#protocol/manifest.ts'
import { type ClientMessage, type CoordinatorMessage, readClientMessage, say } from '#protocol/messages.ts'
import type { Plan } from '#protocol/plan.ts'
import type { BlobStore, ClientTransport, EventLog, TrainerBackend } from '#protocol/ports.ts'
import { keepSealed } from '#protocol/sealed.ts'
import { cohortSeed } from '#protocol/seeds.ts'
import { taskSchema } from '#protocol/task.ts'
import { RUN } from '#sim/setting.ts'
import { TOY_ARCHITECTURE, TOY_TASK, toyTrainer } from '#sim/toy.ts'
import { type VirtualClock, virtualClock } from '#sim/virtual-clock.ts'
import { asRemote } from '#storage/blobs/copying.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { openMemoryLog } from '#storage/logs/memory.ts'
import { cohortOf } from '#test/cohort.ts'
import { TIMING } from './timing.ts'

export const coordinator = signerOf(sha256(utf8('the coordinator')))
export const stranger = signerOf(sha256(utf8('a stranger')))
export const parameters = 3
export const NOW = 1_000_000

type BenchChange = {
  readonly name?: string
  readonly trainer?: TrainerBackend
  readonly population?: 'open' | 'hospital'
  readonly cohortMin?: number
  readonly architecture?: Architecture
  readonly site?: SiteTerms
  readonly clock?: VirtualClock
  /** What the coordinator's store has, to read from and to upload to. */
  readonly blobs?: BlobStore
  /** What it gives to members alone. */
  readonly withheld?: BlobStore
  readonly measures?: Measures
  /** What an earlier life left on its disk. */
  readonly kept?: Kept
}
/** A node's state folder. */
export type Kept = { readonly journal: EventLog; readonly outbox: BlobStore }
/** A frame that the node sent, as its reader opens it. */
export type SaidFrame = { readonly message: ClientMessage; readonly heard: Heard }

/** A node on a link that the test holds the other end of. */
export class Bench {
  readonly signer: Signer
  readonly secret: Bytes
  readonly kept: Kept
  readonly blobs: BlobStore
  readonly uploads: Cid[] = []
  readonly progress: Progress[] = []
  readonly #said = new Mailbox<SaidFrame>()
  readonly frames: Bytes[] = []
  readonly said: SaidFrame[] = []
  /** Every piece of every blob that it put anywhere. */
  readonly stored: Bytes[] = []
  /** Weights of which it said that it reads them next. */
  readonly expected: Cid[] = []
  /** How many sends fail from now on. */
  breaks = 0
  /** What travelled with frames. */
  readonly attached: Cid[] = []
  readonly #architecture: Architecture
  readonly #inbox = new Mailbox<{ kind: 'linked' } | { kind: 'frame'; frame: Bytes }>()
  readonly clock: VirtualClock
  /** Whoever is told of its progress takes no more of it. */
  isSlow = false
  readonly end = new AbortController()
  /** What its machine's runner wants. */
  readonly supervision = new Supervision()
  /** Resolves when the node has ended by itself. */
  readonly life: Promise<void>
  #waiting: { kind: string; resolve: () => void } | undefined

  constructor(change: BenchChange = {}) {
    this.#architecture = change.architecture ?? TOY_ARCHITECTURE
    const population = change.population ?? 'open'
    const site = change.site ?? siteTerms(population, population === 'open' ? 'open' : new Set())
    const name = change.name ?? 'the node'
    this.secret = sha256(utf8(name))
    this.signer = signerOf(this.secret)
    this.clock = change.clock ?? virtualClock(NOW)
    this.blobs = change.blobs ?? openMemoryBlobs()
    this.kept = change.kept ?? { journal: openMemoryLog(), outbox: openMemoryBlobs() }
    const transport: ClientTransport = {
      send: async (frame) => {
        if (this.breaks-- > 0) throw new Error('the link broke')
        this.frames.push(frame)
        const signed = open(frame, 65_536)
        const message = signed.ok ? readClientMessage(signed.value) : signed
        if (!message.ok) throw new Error(message.refusal)
        if (!signed.ok) throw new Error(signed.refusal)
        this.attached.push(...signed.value.attached.map(({ cid }) => cid))
        const said = { message: message.value, heard: signed.value }
        this.said.push(said)
        this.#said.push(said)
      },
      events: (signal) => this.#inbox.items(signal),
      async [Symbol.asyncDispose]() {},
    }
    const blobs = asRemote({
      ...this.blobs,
      put: async (...args) => {
        const cid = await this.#recorded(this.blobs).put(...args)
        this.uploads.push(cid)
        return cid
      },
    })
    const own = { journal: this.kept.journal, outbox: this.#recorded(this.kept.outbox) }
    const { clock, signer, secret } = this
    const chance = keystream(sha256(utf8(`${name} chance ${lives++}`)), new Uint8Array(16))
    const doors = {
      ...{ transport, blobs, trainer: change.trainer ?? toyTrainer(0), clock, signer, secret, ...own, site },
      withheld: change.withheld ?? openMemoryBlobs(),
      ...{ coordinator: coordinator.id, sequence: sequenceFrom(() => clock.now()), useTicket: () => undefined },
      policy: policyFor(population, change.cohortMin ?? 2, site),
      supervision: this.supervision,
      chance: (lengthBytes: number) => chance(lengthBytes).slice(),
      measures: change.measures,
      expectModel: ({ weights }: ModelManifest) => void this.expected.push(weights),
    }
    this.life = (async () => {
      for await (const made of participate(doors, this.end.signal)) {
        this.progress.push(made)
        while (this.isSlow) await new Promise(setImmediate)
        if (made.kind === this.#waiting?.kind) this.#waiting.resolve()
      }
    })()
  }

  /** A store of which every byte that is put into it is seen. */
  #recorded(store: BlobStore): BlobStore {
    const { stored } = this
    return {
      ...store,
      put: (source, ...rest) =>
        store.put(
          (async function* () {
            for await (const piece of source) {
              stored.push(piece.slice())
              yield piece
            }
          })(),
          ...rest,
        ),
    }
  }

  /** The link is made anew. */
  link(): void {
    this.#inbox.push({ kind: 'linked' })
  }

  raw(frame: Bytes): void {
    this.#inbox.push({ kind: 'frame', frame })
  }

  say(message: CoordinatorMessage, signer: Signer = coordinator, blocks: readonly Block[] = []): void {
    this.raw(say(signer, message, blocks))
  }

  async heard(): Promise<ClientMessage> {
    return (await this.frame()).message
  }

  /** The next frame that the node sent. */
  async frame(): Promise<SaidFrame> {
    for await (const said of this.#said.items(this.end.signal)) return said
    throw new Error('the node said nothing more')
  }

  /** How many frames of the coordinator it has not looked at. */
  get unheard(): number {
    return this.#inbox.size
  }

  /** How many frames wait to be read. */
  get unread(): number {
    return this.#said.size
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
    const weights = await this.blobs.put(once(encodeWeights(genesisWeights(this.#architecture, seed))), 2 ** 22)
    const model = await this.#block(modelSchema, modelManifestOf(architecture, shape.value.tensors, weights))
    const { architecture: _, seed: __, ...task } = TOY_TASK
    const taskCid = await this.#block(taskSchema, { v: 1, ...task, seed, architecture, genesis: model })
    const cohort = cohortOf({ min: 2, max: 5, quorum: 2 })
    const masking = change.masking ?? 'none'
    return keepSealed(this.blobs, by, 'plan', {
      ...{ v: 1, run: RUN, round: 1, purpose: 'train', population: 'open', masking, task: taskCid, model },
      ...{ parent: null, secure: null, endings: null, cohortSeed: cohortSeed(seed, model, 1), cohort },
      quantiser: quantiserOf(task, { masking, cohort: change.cohort ?? cohort }),
      timing: TIMING,
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

/** Each life of a node draws its own secrets. */
let lives = 0

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
  roster: null,
})

export async function seat(node: Bench): Promise<Cid> {
  const plan = await node.plan()
  node.say(invite(plan))
  expect(await node.heard()).toMatchObject({ kind: 'join', round: 1, to: coordinator.id })
  node.say(seated(plan))
  return plan
}
