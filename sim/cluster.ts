import { siteTerms } from '#client/site.ts'
import { Counters } from '#coordinator/counters.ts'
import type { Round } from '#coordinator/round/round.ts'
import type { Run } from '#coordinator/run.ts'
import type { Advanced, Job } from '#coordinator/runner.ts'
import { sha256 } from '#crypto'
import { openRecordSettlement } from '#payments/settlements/record.ts'
import { assert } from '#protocol/assert.ts'
import { concat, utf8 } from '#protocol/bytes.ts'
import { cidOfDigest, RAW } from '#protocol/cid.ts'
import { open, signerOf } from '#protocol/envelope.ts'
import type { Bytes, Cid, Millis, NodeId } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX, FRAME_BYTES_MAX } from '#protocol/limits.ts'
import { type ClientMessage, readClientMessage } from '#protocol/messages.ts'
import type { BlobStore, SharedLog } from '#protocol/ports.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { openMemoryLog } from '#storage/logs/memory.ts'
import { MemoryPresence } from '#storage/presence/memory.ts'
import { openMemoryQueue } from '#storage/queues/memory.ts'
import { openMemorySnapshots } from '#storage/snapshots/memory.ts'
import type { VectorFinder } from '#verify/session.ts'
import type { Verdict } from '#verify/verdict.ts'
import { verifyRecord } from '#verify/verify.ts'
import { type Chance, chanceOf } from './chance.ts'
import { type CoordinatorSurroundings, SimCoordinator } from './coordinator.ts'
import { Disk } from './disk.ts'
import { letExpire } from './expiry.ts'
import { blowBy, scheduled, skewOf } from './faults.ts'
import { History } from './history.ts'
import { MachineClock } from './machine-clock.ts'
import { Network } from './network.ts'
import { idOf, SimNode, withoutVectors } from './node.ts'
import { found, specOf } from './order.ts'
import { watched } from './serving.ts'
import { RUN, type SimOptions, STARTED_AT } from './setting.ts'
import type { Moment } from './story.ts'
import { Striker } from './striker.ts'
import { Testimony } from './testimony.ts'
import { type VirtualClock, virtualClock } from './virtual-clock.ts'
import { Violation, Watch } from './watch.ts'

const GRACE: Millis = 1500
const STEP: Millis = 50

/** What was left when the run had ended. */
export type Outcome = {
  readonly seed: number
  readonly run: Run
  /** With every vector at hand, those too that only their members and the coordinator have. */
  readonly verdict: Verdict
  readonly coordinator: NodeId
  readonly nodes: readonly SimNode[]
  readonly blobs: BlobStore
  /** Every round, as it ended. */
  readonly over: readonly Round[]
  readonly crashes: number
  readonly elapsedMillis: Millis
  readonly balances: ReadonlyMap<string, bigint>
  readonly counters: Counters
  /** Of everything that happened: the same for the same options. */
  readonly digest: string
}

/**
 * A whole cluster in one process on a clock that stands still until nothing is left to do: the real runner, gateway,
 * effects and participants over memory doors and a seeded network. Everything random comes from the seed, so a failing
 * seed fails again.
 */
export function simulate(options: SimOptions): Promise<Outcome> {
  return new Cluster(options).play()
}

class Cluster {
  readonly #options: SimOptions
  readonly #clock: VirtualClock = virtualClock(STARTED_AT)
  readonly #chance: Chance
  readonly #end = new AbortController()
  readonly #history = new History()
  readonly #blobs = openMemoryBlobs()
  readonly #vault = openMemoryBlobs()
  readonly #withheld = openMemoryBlobs()
  readonly #log = openMemoryLog()
  readonly #disk = new Disk()
  readonly #secret = sha256(utf8('sim coordinator'))
  readonly #counters = new Counters()
  readonly #testimony = new Testimony()
  readonly #network: Network
  readonly #watch: Watch
  readonly #coordinators: readonly SimCoordinator[]
  readonly #nodes: readonly SimNode[]
  readonly #striker: Striker
  #broken: { readonly cause: unknown } | undefined

  constructor(options: SimOptions) {
    this.#options = options
    this.#chance = chanceOf(options.seed)
    const ids = Array.from({ length: options.nodes }, (_, site) => idOf(site))
    this.#network = new Network({
      ...{ clock: this.#clock, draw: this.#chance('network'), weather: options.weather, graceMillis: GRACE },
      said: (frame, from) => this.#overhear(frame, from, ids.indexOf(from)),
      told: (frame, to) => this.#history.note(this.#clock.now(), `to ${to}`, frame),
      end: this.#end.signal,
    })
    this.#watch = new Watch(RUN, {
      clock: this.#clock,
      slowestNow: () => Math.min(...this.#coordinators.map(({ clock }) => clock.now())),
      heard: (advanced) => this.#hear(advanced),
    })
    this.#coordinators = this.#coordinatorsOf(options)
    this.#nodes = this.#nodesOf(options, ids)
    const struck = { nodes: this.#nodes, coordinators: this.#coordinators, disk: this.#disk, network: this.#network }
    this.#striker = new Striker({ ...struck, clock: this.#clock, end: this.#end.signal }, (fault) =>
      this.#tell({ type: 'fault', fault }),
    )
  }

  async play(): Promise<Outcome> {
    const options = this.#options
    for (const coordinator of this.#coordinators) await coordinator.begin()
    // Whoever is to be invited has linked by now.
    await this.#pass(2000)
    await found({ log: this.#log, clock: this.#clock, secret: this.#secret }, options)
    const spec = await specOf(this.#blobs, RUN, options)
    assert(spec.ok, 'the simulated run can be made')
    while (!this.#watch.run) {
      const [runner] = this.#coordinators.flatMap(({ runner }) => runner ?? [])
      runner?.create(spec.value).catch(() => undefined)
      await this.#pass(STEP)
    }
    const { nodes, coordinators } = options
    const spanMillis = 2000 * options.patience * (options.rounds + 1)
    this.#striker.schedule(scheduled(this.#chance('faults'), options, { nodes, coordinators, spanMillis }))
    // Every round that closes may do so at its third try.
    const limit = this.#clock.now() + 3 * 120_000 * options.patience * (options.rounds + 1)
    while (this.#watch.run.phase !== 'ended') {
      await this.#pass(STEP)
      this.#heed()
      if (this.#clock.now() > limit) throw this.#failed(new Violation(`the run hangs in ${this.#whereabouts()}`))
    }
    // Whoever is told of the end has heard it.
    await this.#pass(STEP)
    const outcome = await this.#outcome(this.#watch.run)
    this.#end.abort()
    for (const coordinator of this.#coordinators) coordinator.kill()
    return outcome
  }

  /** The owner asks whichever process answers. */
  #heed(): void {
    const [runner] = this.#coordinators.flatMap(({ runner }) => runner ?? [])
    const run = runner?.run(RUN)
    const said = run && this.#options.owner?.(run, this.#clock.now() - STARTED_AT)
    if (said) runner?.advance(RUN, said).catch(() => undefined)
  }

  /** Lets time pass, and looks whether all is as it must be. */
  async #pass(millis: Millis): Promise<void> {
    for (let passed = 0; passed < millis; passed += STEP) {
      const wasServing = this.#isServing()
      await this.#clock.advance(STEP)
      try {
        if (this.#broken) throw this.#broken.cause
        this.#watch.check(wasServing && this.#isServing(), STEP)
      } catch (cause) {
        throw this.#failed(cause)
      }
    }
  }

  #isServing(): boolean {
    return this.#coordinators.some(({ isServing }) => isServing)
  }

  #failed(cause: unknown): Error {
    this.#end.abort()
    return new Error(`seed ${this.#options.seed}: ${cause instanceof Error ? cause.message : cause}`, { cause })
  }

  async #outcome(run: Run): Promise<Outcome> {
    assert(run.manifest, 'an ended run has its record')
    for (const { runner } of this.#coordinators) if (runner) this.#watch.compare(runner.run(RUN), runner.position(RUN))
    const block = (cid: Cid) => this.#blobs.getBlock(cid, BLOCK_BYTES_MAX)
    const vectors: VectorFinder = async (digest, limitBytes) =>
      this.#withheld.get(cidOfDigest(RAW, digest), { limitBytes })
    const coordinator = signerOf(this.#secret).id
    const verdict = await verifyRecord(run.manifest, block, { coordinator, vectors, asked: { run: RUN } })
    const { vectorsMillis } = this.#options
    if (vectorsMillis !== undefined)
      await letExpire(run, vectorsMillis, {
        ...{ log: this.#log, blobs: this.#blobs, withheld: this.#withheld, vault: this.#vault },
        pass: () => this.#pass(STEP).then(() => this.#watch.run as Run),
        now: () => this.#clock.now(),
      }).catch((cause: unknown) => Promise.reject(this.#failed(cause)))
    return {
      ...{ seed: this.#options.seed, run, verdict },
      ...{ coordinator, nodes: this.#nodes, blobs: this.#blobs, counters: this.#counters },
      over: this.#watch.over,
      crashes: this.#coordinators.reduce((sum, { crashes }) => sum + crashes, 0),
      elapsedMillis: this.#clock.now() - STARTED_AT,
      balances: await openRecordSettlement(this.#log).balances(),
      digest: this.#history.digest(),
    }
  }

  #coordinatorsOf({
    coordinators,
    aggregate,
    blow,
    crash,
    crashAnywhere,
    ...options
  }: SimOptions): readonly SimCoordinator[] {
    const broke = (cause: unknown) => this.#break(cause)
    const { vectorsMillis = null } = options
    const around = {
      ...{ secret: this.#secret, truth: this.#clock, network: this.#network, log: this.#watchedLog() },
      ...{ blobs: this.#blobs, vault: this.#vault, withheld: this.#withheld, disk: this.#disk },
      snapshots: openMemorySnapshots(),
      shared: coordinators > 1 ? this.#shared(broke) : undefined,
      ...{ counters: this.#counters, graceMillis: GRACE, aggregate, broke, end: this.#end.signal },
      retention: { vectorsMillis: { open: vectorsMillis, hospital: vectorsMillis } },
    }
    return Array.from({ length: coordinators }, (_, coordinator) => {
      const draw = this.#chance(`coordinator ${coordinator}`)
      return new SimCoordinator(
        { ...around, tell: (what) => this.#tell({ type: 'process', who: { coordinator }, what }) },
        {
          ...{ clock: new MachineClock(this.#clock), draw },
          blow: (coordinator === 0 && blow) || blowBy(draw, { append: crash, call: crashAnywhere }),
        },
      )
    })
  }

  #shared(broke: (cause: unknown) => void): CoordinatorSurroundings['shared'] {
    const queue = openMemoryQueue<Job>({ clock: this.#clock, ...watched(broke) })
    return { queue, presence: new MemoryPresence() }
  }

  #nodesOf(options: SimOptions, ids: readonly NodeId[]): readonly SimNode[] {
    const { population, nodeCrash, nodeCrashAnywhere, blind = 0, slow } = options
    const around = {
      ...{ network: this.#network, truth: this.#clock, farDisk: this.#disk, population, end: this.#end.signal },
      coordinator: signerOf(this.#secret).id,
      terms: siteTerms(population, population === 'open' ? 'open' : new Set(ids), { minCell: 1 }),
      broke: (cause: unknown) => this.#break(cause),
    }
    return ids.map((_, node) => {
      const seen = node < blind ? withoutVectors : (store: BlobStore) => store
      const draw = this.#chance(`node ${node}`)
      const stores = { blobs: seen(this.#blobs), withheld: seen(this.#withheld) }
      return new SimNode(
        node,
        { ...around, ...stores, tell: (what) => this.#tell({ type: 'process', who: { node }, what }) },
        {
          ...{ clock: new MachineClock(this.#clock, skewOf(draw, options)), draw },
          blow: blowBy(draw, { append: nodeCrash, call: nodeCrashAnywhere }),
          slowMillis: slow && node < slow.nodes ? slow.millis : 0,
        },
      )
    })
  }

  /** The log that all processes write, as it is watched and becomes history. */
  #watchedLog(): SharedLog {
    const log = this.#log
    return {
      ...log,
      append: async (stream, position, entries) => {
        const answer = await log.append(stream, position, entries)
        if (answer === 'conflict') return answer
        this.#history.note(this.#clock.now(), `log ${stream} ${position}`, concat(...entries))
        try {
          this.#watch.appended(stream, entries)
        } catch (cause) {
          this.#break(cause)
        }
        return answer
      },
    }
  }

  /** @returns whether nobody else hears it */
  #overhear(frame: Bytes, from: NodeId, site: number): boolean {
    this.#history.note(this.#clock.now(), `from ${from}`, frame)
    const message = messageIn(frame)
    try {
      this.#testimony.hear(from, message)
    } catch (cause) {
      this.#break(cause)
    }
    return this.#options.lost(message, site)
  }

  #hear(advanced: Advanced): void {
    this.#tell({ type: 'event', advanced })
    for (const fault of this.#options.strikes?.(advanced) ?? []) this.#striker.strike(fault)
  }

  #tell(moment: Told): void {
    const at = this.#clock.now()
    if (moment.type !== 'event') this.#history.note(at, JSON.stringify(moment))
    this.#options.tell?.({ ...moment, at } as Moment)
  }

  #break(cause: unknown): void {
    this.#broken ??= { cause }
  }

  #whereabouts(): string {
    const run = this.#watch.run
    return `${run?.phase} after ${run?.past.length} rounds, ${run?.round?.phase ?? 'between two'}`
  }
}

type Told = Moment extends infer M ? (M extends Moment ? Omit<M, 'at'> : never) : never

function messageIn(frame: Bytes): ClientMessage {
  const signed = open(frame, FRAME_BYTES_MAX)
  const message = signed.ok ? readClientMessage(signed.value) : signed
  assert(message.ok, 'a node says what can be read')
  return message.value
}
