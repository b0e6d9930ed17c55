import { uint32Stream } from '#aggregation/rng.ts'
import type { Suite } from '#aggregation/secagg/messages.ts'
import { removeMasks } from '#aggregation/secagg/removal.ts'
import { siteTerms } from '#client/site.ts'
import { createAskSchema, createRunSchema } from '#coordinator/api/schemas.ts'
import { createAsk } from '#coordinator/ask.ts'
import { Counters } from '#coordinator/counters.ts'
import { createRun } from '#coordinator/create.ts'
import { aggregateEffect } from '#coordinator/effects/aggregate.ts'
import { finishEffect } from '#coordinator/effects/finish.ts'
import { holdEffect } from '#coordinator/effects/hold.ts'
import { openEffect } from '#coordinator/effects/open.ts'
import { recountEffect } from '#coordinator/effects/recount.ts'
import { type SessionDoors, sessionEffects } from '#coordinator/effects/session.ts'
import { settleEffect } from '#coordinator/effects/settle.ts'
import { Gateway } from '#coordinator/gateway.ts'
import type { Unstamped } from '#coordinator/live.ts'
import { patrol } from '#coordinator/patrol.ts'
import type { Run } from '#coordinator/run.ts'
import type { RunSpec } from '#coordinator/run-spec.ts'
import { type EffectHandler, type Job, Runner } from '#coordinator/runner.ts'
import { Sessions } from '#coordinator/sessions.ts'
import { sha256 } from '#crypto'
import { openRecordSettlement } from '#payments/settlements/record.ts'
import { assert } from '#protocol/assert.ts'
import { utf8 } from '#protocol/bytes.ts'
import { cidOfDigest, codecOf, RAW } from '#protocol/cid.ts'
import { open, signerOf } from '#protocol/envelope.ts'
import type { Bytes, Cid, Millis, NodeId, RunId } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX, FRAME_BYTES_MAX } from '#protocol/limits.ts'
import { type ClientMessage, readClientMessage } from '#protocol/messages.ts'
import type { Masking, Population, Timing } from '#protocol/plan.ts'
import type { BlobStore } from '#protocol/ports.ts'
import type { Question } from '#protocol/question.ts'
import { ticketKey } from '#protocol/seeds.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { openMemoryLog } from '#storage/logs/memory.ts'
import { openMemoryQueue } from '#storage/queues/memory.ts'
import { openMemorySnapshots } from '#storage/snapshots/memory.ts'
import type { VectorFinder } from '#verify/session.ts'
import type { Verdict } from '#verify/verdict.ts'
import { verifyRecord } from '#verify/verify.ts'
import { Crashed, mortalBlobs, mortalLog } from './mortal.ts'
import { Network, type Weather } from './network.ts'
import { idOf, SimNode } from './node.ts'
import { TOY_TASK } from './toy.ts'
import { virtualClock } from './virtual-clock.ts'

export type SimOptions = {
  readonly seed: number
  readonly nodes: number
  readonly rounds: number
  readonly weather: Weather
  /** Chance that the coordinator's process dies at one append to the log, half of the time after it was durable. */
  readonly crash: number
  /** Chance that a node's process dies at one append to its journal, and comes back with that. */
  readonly nodeCrash: number
  readonly masking: Masking
  /** Hospitals pin who may be in a session with them, and publish nothing but hashes of their masked vectors. */
  readonly population: Population
  readonly suite: Suite
  /** Nodes that die for good at some time during the run. */
  readonly deaths: number
  /** Nodes whose process is killed at some time during the run, and comes back. */
  readonly restarts: number
  /** How many times longer than usual each phase waits. */
  readonly patience: number
  /** How a coordinator sums that is not honest. */
  readonly aggregate?: (doors: SessionDoors) => EffectHandler
  /** So many nodes wait for ever for what vectors are made of. */
  readonly blind?: number
  /** Seats of a round, where there are fewer of them than nodes; and reports that a round waits for, where the rest are stragglers. */
  readonly seats?: number
  readonly quorum?: number
  /** How long so many of the nodes, the first ones, need besides to train. */
  readonly slow?: { readonly nodes: number; readonly millis: Millis }
  /** A question instead of rounds that train. */
  readonly question?: Question
  /** What becomes of the run after three aborted rounds in a row; it ends unless it is said otherwise. */
  readonly onFailures?: RunSpec['onFailures']
  /** What the run's owner decides when it looks, so long after the start. */
  readonly owner?: (run: Run, elapsedMillis: Millis) => Unstamped | undefined
  /** What a site says and nobody ever hears. */
  readonly lost: (message: ClientMessage, site: number) => boolean
}

export const CALM: Weather = { loss: 0, duplication: 0, delayMillis: 5, breaks: 0 }
export const RUN = 'run_01ARZ3NDEKTSV4RRFFQ69G5FAV' as RunId
const BUDGET = 10_007n
const STRAGGLER_MILLIS: Millis = 700
const GRACE: Millis = 1500

/** What was left when the run had ended. */
export type Outcome = {
  readonly run: Run
  /** With every vector at hand, those too that only their members and the coordinator have. */
  readonly verdict: Verdict
  readonly coordinator: NodeId
  readonly nodes: readonly SimNode[]
  readonly blobs: BlobStore
  readonly crashes: number
  readonly elapsedMillis: Millis
  readonly balances: ReadonlyMap<string, bigint>
  readonly counters: Counters
}

/**
 * A whole cluster in one process on a clock that stands still until nothing is left to do: the real runner, gateway,
 * effects and participants over memory doors and a seeded network. Everything random comes from the seed, so a failing
 * seed fails again.
 */
export async function simulate(options: SimOptions): Promise<Outcome> {
  const words = uint32Stream(sha256(utf8(`sim ${options.seed}`)))
  const draw = () => words() / 2 ** 32
  const clock = virtualClock(1_700_000_000_000)
  const started = clock.now()
  const end = new AbortController()
  const blobs = openMemoryBlobs()
  const vault = openMemoryBlobs()
  const withheld = openMemoryBlobs()
  const log = openMemoryLog()
  const snapshots = openMemorySnapshots()
  const { weather, population, nodeCrash } = options
  const ids = Array.from({ length: options.nodes }, (_, site) => idOf(site))
  const lost = (frame: Bytes, from: NodeId) => options.lost(messageIn(frame), ids.indexOf(from))
  const network = new Network({ clock, draw, weather, graceMillis: GRACE, lost, end: end.signal })
  const coordinatorSecret = sha256(utf8('sim coordinator'))
  const coordinator = signerOf(coordinatorSecret).id
  const terms = siteTerms(population, population === 'open' ? 'open' : new Set(ids), { minCell: 1 })
  const around = { network, clock, coordinator, population, terms, draw, crash: nodeCrash, end: end.signal }
  const nodes = ids.map((_, site) => {
    const seen = site < (options.blind ?? 0) ? withoutVectors : (store: BlobStore) => store
    const slowMillis = options.slow && site < options.slow.nodes ? options.slow.millis : 0
    return new SimNode(site, { ...around, slowMillis, blobs: seen(blobs), withheld: seen(withheld) })
  })
  const strike = (how: 'die' | 'kill') => {
    const victim = nodes[Math.floor(draw() * nodes.length)] as SimNode
    clock.wakeAt(clock.now() + Math.floor(draw() * 20_000), end.signal).then(
      () => victim[how](),
      () => undefined,
    )
  }
  for (let death = 0; death < options.deaths; death++) strike('die')
  for (let restart = 0; restart < options.restarts; restart++) strike('kill')

  const counters = new Counters()
  let crashes = 0
  let live = await boot()
  // Whoever is to be invited has linked by now.
  await clock.advance(2000)
  const spec = await order(blobs, options)
  assert(spec.ok, 'the simulated run can be made')
  while (!live.runner.run(RUN)) {
    await live.runner.create(spec.value).catch(() => undefined)
    if (live.dead.aborted) live = await reboot()
  }

  // Every round that closes may do so at its third try.
  const limit = started + 3 * 120_000 * options.patience * (options.rounds + 1)
  while (live.runner.run(RUN)?.phase !== 'ended') {
    await clock.advance(50)
    const seen = live.runner.run(RUN)
    const said = seen && options.owner?.(seen, clock.now() - started)
    if (said) await live.runner.advance(RUN, said).catch(() => undefined)
    if (live.dead.aborted) live = await reboot()
    if (clock.now() > limit)
      throw new Error(`seed ${options.seed}: the run hangs in ${JSON.stringify(whereIs(live.runner.run(RUN)))}`)
  }
  // Whoever is told of the end has heard it.
  await clock.advance(50)
  const run = live.runner.run(RUN)
  assert(run?.manifest, 'an ended run has its record')
  const block = (cid: Cid) => blobs.getBlock(cid, BLOCK_BYTES_MAX)
  const vectors: VectorFinder = async (digest, limitBytes) => withheld.get(cidOfDigest(RAW, digest), { limitBytes })
  const verdict = await verifyRecord(run.manifest, block, { coordinator, vectors })
  const balances = await openRecordSettlement(log).balances()
  const elapsedMillis = clock.now() - started
  end.abort()
  live.kill()
  return { run, verdict, coordinator, nodes, blobs, crashes, elapsedMillis, balances, counters }

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
        log: mortalLog(log, { death, draw, crash: options.crash }),
        blobs: mortalBlobs(blobs, death.signal),
        vault: mortalBlobs(vault, death.signal),
        withheld: mortalBlobs(withheld, death.signal),
      }
      const sessions = new Sessions(mortal.blobs, signer.id)
      const queue = openMemoryQueue<Job>({ clock, onBroken: rethrow })
      const runner = new Runner({ log: mortal.log, queue, clock, snapshots }, () => undefined)
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
        presence: network.presence(),
        clock,
        signer,
        ticketKey: ticketKey(coordinatorSecret),
        runner,
        operators: new Map(),
        counters,
        fatal: rethrow,
      })
      const { log: _log, ...stores } = mortal
      const doors = { ...stores, signer, sessions, settlement, removeMasks }
      runner.work({
        hold: holdEffect(doors),
        recount: recountEffect(doors),
        open: openEffect({
          ...{ ...doors, clock, settledAt: clock.now() + GRACE },
          ...{ presence: network.presence(), runs: () => runner.runs(), position: (id: RunId) => runner.position(id) },
        }),
        ...sessionEffects(doors),
        aggregate: (options.aggregate ?? aggregateEffect)(doors),
        settle: settleEffect(doors),
        finish: finishEffect(doors),
      })
      gateway.serve(GRACE, death.signal).catch(() => undefined)
      void patrol({ runner, log: mortal.log, clock, failed: () => undefined }, death.signal)
      return { runner, dead: death.signal, kill }
    }
  }
}

type Incarnation = { readonly runner: Runner; readonly dead: AbortSignal; readonly kill: () => void }

/** Small blocks and the model come, a vector's bytes never do. */
function withoutVectors(store: BlobStore): BlobStore {
  const never = <T>() => new Promise<T>(() => undefined)
  return {
    ...store,
    getBlock: (cid, limit) => (codecOf(cid) === RAW ? never() : store.getBlock(cid, limit)),
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

function messageIn(frame: Bytes): ClientMessage {
  const signed = open(frame, FRAME_BYTES_MAX)
  const message = signed.ok ? readClientMessage(signed.value) : signed
  assert(message.ok, 'a node says what can be read')
  return message.value
}

function order(blobs: BlobStore, options: SimOptions) {
  const { question, rounds, masking, population, suite, nodes, seats = nodes, quorum, patience } = options
  // Where a quorum is not asked for, nobody is a straggler: who is in the model is not for the clock to say.
  const timing = { ...timingOf(patience), stragglerMillis: quorum === undefined ? null : STRAGGLER_MILLIS }
  const common = { population, secure: { suite }, timing, failuresMax: 3, onFailures: options.onFailures ?? 'end' }
  const size = population === 'open' ? undefined : nodes
  if (question) {
    const cohort = { min: 3, max: seats, quorum: question.minCohort }
    return createAsk(blobs, RUN, createAskSchema.parse({ ...common, question, cohort }), null, size)
  }
  const least = masking === 'none' ? 2 : 3
  const cohort = { min: Math.max(least, quorum ?? 0), max: seats, quorum: quorum ?? 2 }
  const training = { task: TOY_TASK, rounds, budget: String(BUDGET), masking, cohort }
  return createRun(blobs, RUN, createRunSchema.parse({ ...common, ...training }), null, size)
}

function timingOf(patience: number): Omit<Timing, 'stragglerMillis'> {
  const [short, middle, long] = [2000 * patience, 3000 * patience, 5000 * patience]
  return {
    ...{ selectionMillis: short, keysMillis: middle, reportingMillis: long, consistencyMillis: middle },
    ...{ unmaskingMillis: middle, aggregationMillis: short, settlementMillis: short },
  }
}
