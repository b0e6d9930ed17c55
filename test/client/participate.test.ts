import { afterEach, describe, expect, test } from '@jest/globals'
import { genesisWeights } from '#aggregation/genesis.ts'
import { quantiserFor } from '#aggregation/quantise.ts'
import { vectorBytesOf } from '#aggregation/vector.ts'
import { encodeWeights, modelManifestOf } from '#aggregation/weights.ts'
import { type Progress, participate } from '#client/participate.ts'
import { policyFor } from '#client/policy.ts'
import { sequenceFrom } from '#client/sequence.ts'
import { sha256 } from '#crypto'
import { type Architecture, architectureSchema, shapeOf } from '#protocol/architecture.ts'
import { fromHex, once, utf8 } from '#protocol/bytes.ts'
import { walk } from '#protocol/car.ts'
import { cidOf, DAG_CBOR } from '#protocol/cid.ts'
import { encode } from '#protocol/codec.ts'
import { type Block, frameOf, open, type Signer, sealOf, signerOf } from '#protocol/envelope.ts'
import type { Bytes, Cid, NodeId, RunId } from '#protocol/ids.ts'
import { Mailbox } from '#protocol/mailbox.ts'
import { modelSchema } from '#protocol/manifest.ts'
import { type ClientMessage, type CoordinatorMessage, readClientMessage, say, sign } from '#protocol/messages.ts'
import type { Plan } from '#protocol/plan.ts'
import {
  type BlobStore,
  type ClientTransport,
  type LocalUpdate,
  type TrainerBackend,
  TrainingRefused,
} from '#protocol/ports.ts'
import { keepSealed, signAs } from '#protocol/sealed.ts'
import { cohortSeed } from '#protocol/seeds.ts'
import { taskSchema } from '#protocol/task.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { fakeClock } from '#test/fake-clock.ts'
import { RUN } from '#test/sim/cluster.ts'
import { TOY_ARCHITECTURE, TOY_TASK, toyTrainer } from '#test/sim/toy.ts'

const coordinator = signerOf(sha256(utf8('the coordinator')))
const stranger = signerOf(sha256(utf8('a stranger')))
const secret = sha256(utf8('the node'))
const parameters = 3
const NOW = 1_000_000

type BenchChange = {
  readonly trainer?: TrainerBackend
  readonly population?: 'open' | 'hospital'
  readonly cohortMin?: number
  readonly architecture?: Architecture
}

/** A node on a link that the test holds the other end of. */
class Bench {
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
function bench(change?: ConstructorParameters<typeof Bench>[0]): Bench {
  const node = new Bench(change)
  made.push(node)
  return node
}
afterEach(() => {
  for (const node of made.splice(0)) node.end.abort()
})

const OTHER_RUN = 'run_01ARZ3NDEKTSV4RRFFQ69G5FAW' as RunId
const SELECTION_MILLIS = 1000
const invite = (plan: Cid, round = 1, run = RUN): CoordinatorMessage => {
  return { kind: 'invite', run, round, plan, closesAt: NOW + SELECTION_MILLIS }
}
const seated = (plan: Cid, seat = 0, run = RUN): CoordinatorMessage => ({
  kind: 'seated',
  run,
  round: 1,
  plan,
  seat,
  endsAt: 9,
  ticket: 't',
})

async function seat(node: Bench): Promise<Cid> {
  const plan = await node.plan()
  node.say(invite(plan))
  expect(await node.heard()).toMatchObject({ kind: 'join', round: 1, to: coordinator.id })
  node.say(seated(plan))
  return plan
}

describe('a node', () => {
  test('joins, trains and reports one vector; nothing else of it leaves', async () => {
    const node = bench()
    const plan = await seat(node)
    const report = await node.heard()
    expect(report).toMatchObject({ kind: 'report', run: RUN, round: 1, seat: 0, plan, vector: node.attached[0] })
    expect(report).toMatchObject({ sizeBytes: vectorBytesOf(parameters) })
    expect(node.attached).toHaveLength(1)
    expect(node.uploads).toEqual([])
    expect(node.frames).toHaveLength(2)
  })

  test('uploads a vector that no frame has room for, before it reports it', async () => {
    const layers = [{ layer: 'dense', name: 'out', units: 1, activation: 'linear' }] as const
    const node = bench({ architecture: { v: 1, input: [20_000], layers } })
    await seat(node)
    expect(await node.heard()).toMatchObject({ kind: 'report', vector: node.uploads[0] })
    expect(node.uploads).toHaveLength(1)
    expect(node.attached).toEqual([])
  })

  test('reads what travels with an invitation, and asks for nothing that it has been given', async () => {
    const [full, node] = [bench(), bench()]
    const plan = await full.plan()
    const blocks: Block[] = []
    for await (const block of walk(plan, (cid) => full.blobs.getBlock(cid, 2 ** 20))) blocks.push(block)
    node.raw(say(coordinator, invite(plan), blocks))
    expect(await node.heard()).toMatchObject({ kind: 'join', round: 1 })
  })

  test('says the same again when it is asked again, byte for byte', async () => {
    const node = bench()
    const plan = await node.plan()
    node.say(invite(plan))
    await node.heard()
    node.say(invite(plan))
    await node.heard()
    node.say(seated(plan))
    await node.heard()
    node.say(seated(plan))
    await node.heard()
    const [join, joinAgain, report, reportAgain] = node.frames as [Bytes, Bytes, Bytes, Bytes]
    expect(joinAgain).toEqual(join)
    expect(reportAgain).toEqual(report)
    expect(new Set(node.attached).size).toBe(1)
  })

  test('takes up its seat after a restart: the same seeds give the same update', async () => {
    const [before, after] = [bench(), bench()]
    await seat(before)
    const first = await before.heard()
    after.say(seated(await after.plan()))
    expect(await after.heard()).toMatchObject({ kind: 'report', vector: (first as { vector: Cid }).vector })
  })

  test('listens to nobody but its pinned coordinator, and to nothing that is not a message', async () => {
    const node = bench()
    const plan = await node.plan()
    node.say(invite(plan), stranger)
    node.raw(new Uint8Array([1, 2, 3]))
    node.raw(frameOf({ ...sign(coordinator, invite(plan)), signature: new Uint8Array(64).fill(1) }))
    node.raw(frameOf(coordinator.sign('give-me-your-data', new Uint8Array([0xa0]))))
    node.say({ kind: 'challenge', nonce: new Uint8Array(32) })
    node.say(invite(plan))
    expect(await node.heard()).toMatchObject({ kind: 'join' })
    expect(node.frames).toHaveLength(1)
  })

  const lies: readonly [string, (node: Bench) => Promise<Cid>][] = [
    ['unreadable-plan', (node) => node.plan({}, stranger)],
    ['foreign-plan', (node) => node.plan({ round: 2 })],
    ['wrong-model', async (node) => node.plan({ model: await node.otherModel() })],
    [
      'wrong-quantiser',
      (node) => node.plan({ quantiser: { bits: 8, rangeMicro: 10_000_000, weightMax: 1000, nMax: 5 } }),
    ],
    ['foreign-parent', async (node) => node.plan({ round: 1, parent: await node.plan() })],
    ['foreign-population', (node) => node.plan({ population: 'hospital' })],
    ['fault', async () => cidOf(DAG_CBOR, utf8('nowhere'))],
  ]
  test.each(lies)('declines a plan that does not hold (%s)', async (reason, plan) => {
    const node = bench()
    node.say(invite(await plan(node)))
    expect(await node.heard()).toMatchObject({ kind: 'decline', reason })
    expect(node.uploads).toEqual([])
  })

  test('of a hospital sends nothing unmasked, whatever the run calls itself', async () => {
    const node = bench({ population: 'hospital' })
    node.say(invite(await node.plan({ population: 'hospital' })))
    expect(await node.heard()).toMatchObject({ kind: 'decline', reason: 'masking-required' })
    node.say(invite(await node.plan({ round: 1, population: 'open' })))
    expect(await node.heard()).toMatchObject({ kind: 'decline', reason: 'foreign-population' })
  })

  test('takes no part in a cohort smaller than its operator allows', async () => {
    const node = bench({ cohortMin: 3 })
    node.say(invite(await node.plan()))
    expect(await node.heard()).toMatchObject({ kind: 'decline', reason: 'cohort-too-small' })
  })

  test('gives its seat up by name when it cannot train, and is ready for the next round', async () => {
    const refusing = {
      ...toyTrainer(0),
      fit: async () => Promise.reject(new TrainingRefused('data-contract', 'no column x')),
    }
    const node = bench({ trainer: refusing })
    await seat(node)
    expect(await node.heard()).toMatchObject({ kind: 'leave', reason: 'data-contract' })
    node.say(invite(await node.plan({ round: 2 }), 2))
    expect(await node.heard()).toMatchObject({ kind: 'join', round: 2 })
  })

  test('does not report what is not a number', async () => {
    const update: LocalUpdate = {
      ...{ delta: new Float32Array([1, Number.NaN, 2]), examples: 5, trainMillis: 1 },
      evaluation: { rows: 1, correct: 1, lossSumNats: 0 },
    }
    const node = bench({ trainer: { ...toyTrainer(0), fit: async () => update } })
    await seat(node)
    expect(await node.heard()).toMatchObject({ kind: 'leave', reason: 'not-finite' })
    expect(node.uploads).toEqual([])
  })

  test('stops training when the round is over, and reports nothing', async () => {
    const begun = Promise.withResolvers<void>()
    const stopped = Promise.withResolvers<void>()
    const endless: TrainerBackend = {
      ...toyTrainer(0),
      fit: (_model, _task, signal) =>
        new Promise((_, reject) => {
          begun.resolve()
          signal.addEventListener('abort', () => {
            stopped.resolve()
            reject(signal.reason)
          })
        }),
    }
    const node = bench({ trainer: endless })
    await seat(node)
    await begun.promise
    node.say({ kind: 'ended', run: RUN, round: 1, outcome: 'aborted', reason: 'too-few-reports' })
    await stopped.promise
    node.say(invite(await node.plan({ round: 2 }), 2))
    expect(await node.heard()).toMatchObject({ kind: 'join', round: 2 })
    expect(node.uploads).toEqual([])
  })

  test('signs for the plan that it read and judged, and for no other under the same seat', async () => {
    const node = bench({ cohortMin: 5 })
    const judged = await node.plan({ cohort: { min: 5, max: 5, quorum: 5 } })
    node.say(invite(judged))
    expect(await node.heard()).toMatchObject({ kind: 'join' })
    node.say(seated(await node.plan({ cohort: { min: 2, max: 5, quorum: 2 } })))
    expect(await node.heard()).toMatchObject({ kind: 'leave', reason: 'foreign-plan' })
    expect(node.frames).toHaveLength(2)
  })

  test('that missed the end of a round it only joined is free for other runs once its selection is over', async () => {
    const node = bench()
    node.say(invite(await node.plan()))
    expect(await node.heard()).toMatchObject({ kind: 'join', run: RUN })
    const elsewhere = invite(await node.plan({ run: OTHER_RUN }), 1, OTHER_RUN)
    node.say(elsewhere)
    expect(await node.heard()).toMatchObject({ kind: 'decline', run: OTHER_RUN, reason: 'busy' })
    await node.clock.advance(SELECTION_MILLIS)
    node.say(elsewhere)
    expect(await node.heard()).toMatchObject({ kind: 'join', run: OTHER_RUN })
  })

  test('keeps to the round that it trains for: a seat elsewhere is given up at once', async () => {
    const begun = Promise.withResolvers<void>()
    const finish = Promise.withResolvers<void>()
    const toy = toyTrainer(0)
    const slow: TrainerBackend = {
      ...toy,
      async fit(...args) {
        begun.resolve()
        await finish.promise
        return toy.fit(...args)
      },
    }
    const node = bench({ trainer: slow })
    await seat(node)
    await begun.promise
    node.say(seated(await node.plan({ run: OTHER_RUN }), 0, OTHER_RUN))
    expect(await node.heard()).toMatchObject({ kind: 'leave', run: OTHER_RUN, reason: 'busy' })
    finish.resolve()
    expect(await node.heard()).toMatchObject({ kind: 'report', run: RUN })
  })

  test('outlives a link that breaks while it speaks', async () => {
    const node = bench()
    node.breaks = 1
    const failed = node.next('failed')
    node.say(invite(await node.plan()))
    await failed
    node.say(invite(await node.plan()))
    expect(await node.heard()).toMatchObject({ kind: 'join' })
  })

  test('is paid only by a receipt that its coordinator signed for it', async () => {
    const node = bench()
    await seat(node)
    const report = (await node.heard()) as { vector: Cid }
    const receipt = (to: NodeId, amount: bigint) => ({
      ...{ kind: 'receipt' as const, v: 1 as const, run: RUN, round: 1, seat: 0, node: to },
      ...{ update: report.vector, manifest: report.vector, amount },
    })
    const failed = node.next('failed')
    node.say(receipt(node.signer.id, 5n), stranger)
    node.say(receipt(stranger.id, 6n))
    await failed
    const paid = node.next('paid')
    node.say(receipt(node.signer.id, 7n))
    await paid
    const { kind: _, ...body } = receipt(node.signer.id, 7n)
    expect(node.progress.filter(({ kind }) => kind === 'failed')).toHaveLength(1)
    expect(node.progress.filter(({ kind }) => kind === 'paid')).toEqual([
      { kind: 'paid', run: RUN, round: 1, amount: 7n, receipt: sealOf(signAs(coordinator, 'receipt', body)).seal.cid },
    ])
  })
})
