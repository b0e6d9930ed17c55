import { uint32Stream } from '#aggregation/rng.ts'
import { removeMasks } from '#aggregation/secagg/removal.ts'
import { participate } from '#client/participate.ts'
import { policyFor } from '#client/policy.ts'
import type { Progress } from '#client/progress.ts'
import { sequenceFrom } from '#client/sequence.ts'
import { siteTerms } from '#client/site.ts'
import { createRunSchema } from '#coordinator/api/schemas.ts'
import { Counters } from '#coordinator/counters.ts'
import { createRun } from '#coordinator/create.ts'
import { aggregateEffect } from '#coordinator/effects/aggregate.ts'
import { finishEffect } from '#coordinator/effects/finish.ts'
import { holdEffect, releaseEffect } from '#coordinator/effects/fund.ts'
import { openEffect } from '#coordinator/effects/open.ts'
import { sessionEffects } from '#coordinator/effects/session.ts'
import { settleEffect } from '#coordinator/effects/settle.ts'
import { Gateway } from '#coordinator/gateway.ts'
import type { Run } from '#coordinator/run.ts'
import { type Job, Runner } from '#coordinator/runner.ts'
import { Sessions } from '#coordinator/sessions.ts'
import { hkdfSha256, sha256 } from '#crypto'
import { openRecordSettlement } from '#payments/settlements/record.ts'
import { assert } from '#protocol/assert.ts'
import { utf8 } from '#protocol/bytes.ts'
import { codecOf, RAW } from '#protocol/cid.ts'
import { signerOf } from '#protocol/envelope.ts'
import type { Cid, Millis, NodeId, Round, RunId } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import type { Masking, Secure } from '#protocol/plan.ts'
import type { BlobStore, EventLog } from '#protocol/ports.ts'
import { ticketKey } from '#protocol/seeds.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { openMemoryLog } from '#storage/logs/memory.ts'
import { openMemoryQueue } from '#storage/queues/memory.ts'
import { type FakeClock, fakeClock } from '#test/fake-clock.ts'
import type { Verdict } from '#verify/verdict.ts'
import { verifyRecord } from '#verify/verify.ts'
import { craftingAggregate } from './crafted.ts'
import { Network, type Weather } from './network.ts'
import { TOY_TASK, toyTrainer } from './toy.ts'

export type SimOptions = {
  readonly seed: number
  readonly nodes: number
  readonly rounds: number
  readonly weather: Weather
  /** Chance that the coordinator's process dies at one append to the log, half of the time after it was durable. */
  readonly crash: number
  readonly masking: Masking
  readonly secure?: Partial<Secure>
  /** The coordinator publishes a model of its own making after this round. */
  readonly craftsAfter?: Round
  /** So many nodes wait for ever for what vectors are made of. */
  readonly blind?: number
  /** Nodes that die for good at some time during the run. */
  readonly deaths: number
}

export const CALM: Weather = { loss: 0, duplication: 0, delayMillis: 5, breaks: 0 }
export const RUN = 'run_01ARZ3NDEKTSV4RRFFQ69G5FAV' as RunId
const BUDGET = 10_007n
const GRACE: Millis = 1500

class Crashed extends Error {
  override name = 'Crashed'
}

/** What was left when the run had ended. */
export type Outcome = {
  readonly run: Run
  readonly verdict: Verdict
  readonly crashes: number
  readonly elapsedMillis: Millis
  readonly balances: ReadonlyMap<string, bigint>
  readonly counters: Counters
  /** What each node told its operator. */
  readonly told: readonly (readonly Progress[])[]
}

/**
 * A whole cluster in one process on a clock that stands still until nothing is left to do: the real runner, gateway,
 * effects and participants over memory doors and a seeded network. Everything random comes from the seed, so a failing
 * seed fails again.
 */
export async function simulate(options: SimOptions): Promise<Outcome> {
  const words = uint32Stream(sha256(utf8(`sim ${options.seed}`)))
  const draw = () => words() / 2 ** 32
  const clock = fakeClock(1_700_000_000_000)
  const started = clock.now()
  const end = new AbortController()
  const blobs = openMemoryBlobs()
  const vault = openMemoryBlobs()
  const withheld = openMemoryBlobs()
  const log = openMemoryLog()
  const network = new Network({ clock, draw, weather: options.weather, graceMillis: GRACE, end: end.signal })
  const coordinatorSecret = sha256(utf8('sim coordinator'))
  const coordinator = signerOf(coordinatorSecret).id
  const told: Progress[][] = Array.from({ length: options.nodes }, () => [])
  const ids = told.map((progress, site) => {
    const seen = site < (options.blind ?? 0) ? withoutVectors : (store: BlobStore) => store
    const stores = { blobs: seen(blobs), withheld: seen(withheld) }
    return startNode(site, { network, ...stores, clock, coordinator, draw, progress, end: end.signal })
  })
  for (let death = 0; death < options.deaths; death++) {
    const victim = ids[Math.floor(draw() * ids.length)] as NodeId
    clock.wakeAt(clock.now() + Math.floor(draw() * 20_000), end.signal).then(
      () => network.nodeDied(victim),
      () => undefined,
    )
  }

  const counters = new Counters()
  const { craftsAfter } = options
  let crashes = 0
  let live = await boot()
  // Whoever is to be invited has linked by now.
  await clock.advance(2000)
  const request = createRunSchema.parse({
    task: TOY_TASK,
    rounds: options.rounds,
    budget: String(BUDGET),
    masking: options.masking,
    secure: options.secure,
    cohort: { min: options.masking === 'none' ? 2 : 3, max: options.nodes, quorum: 2 },
    timing: {
      ...{ selectionMillis: 2000, keysMillis: 3000, reportingMillis: 5000, consistencyMillis: 3000 },
      ...{ unmaskingMillis: 3000, aggregationMillis: 2000, settlementMillis: 2000 },
    },
    failuresMax: 3,
  })
  const spec = await createRun(blobs, RUN, request, null)
  assert(spec.ok, 'the simulated run can be made')
  while (!live.runner.run(RUN)) {
    await live.runner.create(spec.value).catch(() => undefined)
    if (live.dead.aborted) live = await reboot()
  }

  const limit = started + 120_000 * (options.rounds + 1)
  while (live.runner.run(RUN)?.phase !== 'ended') {
    await clock.advance(50)
    if (live.dead.aborted) live = await reboot()
    if (clock.now() > limit)
      throw new Error(`seed ${options.seed}: the run hangs in ${JSON.stringify(whereIs(live.runner.run(RUN)))}`)
  }
  const run = live.runner.run(RUN)
  assert(run?.manifest, 'an ended run has its record')
  const verdict = await verifyRecord(run.manifest, (cid: Cid) => blobs.getBlock(cid, BLOCK_BYTES_MAX), { coordinator })
  const balances = await openRecordSettlement(log).balances()
  const elapsedMillis = clock.now() - started
  end.abort()
  live.kill()
  return { run, verdict, crashes, elapsedMillis, balances, counters, told }

  async function reboot(): Promise<Incarnation> {
    crashes++
    network.coordinatorDied()
    await clock.advance(Math.floor(draw() * 3000))
    return boot()
  }

  /** One life of the coordinator's process: its doors close for ever when it dies, whatever it was doing. */
  async function boot(): Promise<Incarnation> {
    for (;;) {
      const death = new AbortController()
      const kill = () => death.abort(new Crashed('the process is gone'))
      const signer = signerOf(coordinatorSecret)
      const mortal = {
        log: mortalLog(log, death, draw, options.crash),
        blobs: mortalBlobs(blobs, death.signal),
        vault: mortalBlobs(vault, death.signal),
        withheld: mortalBlobs(withheld, death.signal),
      }
      const sessions = new Sessions(mortal.blobs, signer.id)
      const queue = openMemoryQueue<Job>({ clock, onBroken: rethrow })
      const runner = new Runner({ log: mortal.log, queue, clock }, () => undefined)
      try {
        await runner.recover()
      } catch (cause) {
        if (!(cause instanceof Crashed)) throw cause
        crashes++
        continue
      }
      const transport = network.coordinator()
      const settlement = openRecordSettlement(mortal.log)
      const gateway = new Gateway({
        ...mortal,
        sessions,
        transport,
        clock,
        signer,
        ticketKey: ticketKey(coordinatorSecret),
        runner,
        counters,
        fatal: rethrow,
      })
      const { log: _log, ...stores } = mortal
      const doors = { ...stores, signer, sessions, settlement, removeMasks }
      runner.work({
        hold: holdEffect(doors),
        release: releaseEffect(doors),
        open: openEffect({
          ...{ ...doors, clock, settledAt: clock.now() + GRACE },
          ...{ linked: () => transport.linked().length, runs: () => runner.runs() },
        }),
        ...sessionEffects(doors),
        aggregate: craftsAfter === undefined ? aggregateEffect(doors) : craftingAggregate(doors, craftsAfter),
        settle: settleEffect({ ...doors, receiptMade: (made) => gateway.tellReceipt(made) }),
        finish: finishEffect(doors),
      })
      gateway.serve(GRACE, death.signal).catch(() => undefined)
      return { runner, dead: death.signal, kill }
    }
  }
}

type Incarnation = { readonly runner: Runner; readonly dead: AbortSignal; readonly kill: () => void }

type NodeDoors = {
  readonly network: Network
  readonly blobs: BlobStore
  readonly withheld: BlobStore
  readonly clock: FakeClock
  readonly coordinator: NodeId
  readonly draw: () => number
  readonly progress: Progress[]
  readonly end: AbortSignal
}

function startNode(
  site: number,
  { network, blobs, withheld, clock, coordinator, draw, progress, end }: NodeDoors,
): NodeId {
  const secret = sha256(utf8(`sim node ${site}`))
  const signer = signerOf(secret)
  const toy = toyTrainer(site)
  const trainer: typeof toy = {
    ...toy,
    async fit(...args) {
      const update = await toy.fit(...args)
      // Takes its time on the fake clock, so that reports arrive in any order.
      await clock.wakeAt(clock.now() + 100 + Math.floor(draw() * 400), args[2])
      return update
    },
  }
  const terms = siteTerms('open', 'open')
  const doors = {
    ...{ transport: network.node(signer.id), blobs, trainer, clock, signer, secret, coordinator },
    ...{ sequence: sequenceFrom(() => clock.now()), policy: policyFor('open', 2, terms), useTicket: () => undefined },
    ...{ site: terms, chance: chanceOf(site), journal: openMemoryLog(), outbox: openMemoryBlobs(), withheld },
  }
  void (async () => {
    for await (const made of participate(doors, end)) progress.push(made)
  })()
  return signer.id
}

/** Small blocks and the model come, a vector's bytes never do. */
function withoutVectors(store: BlobStore): BlobStore {
  const never = <T>() => new Promise<T>(() => undefined)
  return {
    ...store,
    getBlock: (cid, limit) => (codecOf(cid) === RAW ? never() : store.getBlock(cid, limit)),
  }
}

/** Dies at an append (of one entry or a batch), before or after it is durable; from then on nothing of this life reaches the log. */
function mortalLog(log: EventLog, death: AbortController, draw: () => number, crash: number): EventLog {
  return {
    async append(stream, position, entries) {
      death.signal.throwIfAborted()
      const dies = draw() < crash
      const after = draw() < 0.5
      if (dies && !after) death.abort(new Crashed('before the append'))
      death.signal.throwIfAborted()
      const answer = await log.append(stream, position, entries)
      if (dies) death.abort(new Crashed('after the append'))
      death.signal.throwIfAborted()
      return answer
    },
    async *read(stream, from) {
      death.signal.throwIfAborted()
      yield* log.read(stream, from)
    },
    head: (stream) => log.head(stream),
    streams: (prefix) => log.streams(prefix),
  }
}

function mortalBlobs(blobs: BlobStore, dead: AbortSignal): BlobStore {
  const alive =
    <A extends readonly unknown[], R>(act: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      dead.throwIfAborted()
      return act(...args)
    }
  return {
    put: alive((...args: Parameters<BlobStore['put']>) => blobs.put(...args)),
    putBlocks: alive((blocks) => blobs.putBlocks(blocks)),
    get: (cid, range, signal) => blobs.get(cid, range, signal),
    getBlock: alive((cid, limit) => blobs.getBlock(cid, limit)),
    has: alive((cid) => blobs.has(cid)),
    delete: alive((cid) => blobs.delete(cid)),
  }
}

function whereIs(run: Run | undefined) {
  return {
    phase: run?.phase,
    past: run?.past.length,
    round: run?.round?.phase,
    endsAt: run?.round && 'endsAt' in run.round ? run.round.endsAt : null,
  }
}

function rethrow(cause: unknown): void {
  queueMicrotask(() => {
    throw cause
  })
}

/** Session secrets that a seed gives again, so that a run is the same run twice. */
function chanceOf(site: number): (lengthBytes: number) => Uint8Array {
  const secret = sha256(utf8(`sim chance ${site}`))
  let drawn = 0
  return (lengthBytes) => hkdfSha256(secret, new Uint8Array(0), utf8(String(drawn++)), lengthBytes)
}
