import type { Counters } from '#coordinator/counters.ts'
import type { SessionDoors } from '#coordinator/effects/session.ts'
import type { Retention } from '#coordinator/retention.ts'
import type { EffectHandler, Job, Runner } from '#coordinator/runner.ts'
import type { Bytes, Millis } from '#protocol/ids.ts'
import type { PartsStore, Queue, SharedLog, Snapshots } from '#protocol/ports.ts'
import { MemoryPresence } from '#storage/presence/memory.ts'
import { openMemoryQueue } from '#storage/queues/memory.ts'
import type { Draw } from './chance.ts'
import type { Disk } from './disk.ts'
import { AWAY_MILLIS_MAX } from './faults.ts'
import { type Blow, type Crashed, isFault, Life } from './life.ts'
import type { MachineClock } from './machine-clock.ts'
import {
  mortalClock,
  mortalCoordinatorLink,
  mortalLog,
  mortalParts,
  mortalPresence,
  mortalQueue,
  mortalSharedLog,
  mortalSnapshots,
} from './mortal.ts'
import type { Network } from './network.ts'
import { serve, watched } from './serving.ts'
import type { VirtualClock } from './virtual-clock.ts'

/** What all processes of a coordinator have in common, and what outlives each of them. */
export type CoordinatorSurroundings = {
  readonly secret: Bytes
  readonly truth: VirtualClock
  readonly network: Network
  readonly log: SharedLog
  readonly blobs: PartsStore
  readonly vault: PartsStore
  readonly withheld: PartsStore
  readonly disk: Disk
  readonly snapshots: Snapshots
  /** Of several processes: one for all. A single one has its own, gone with it. */
  readonly shared: { readonly queue: Queue<Job>; readonly presence: MemoryPresence } | undefined
  readonly counters: Counters
  readonly graceMillis: Millis
  readonly retention: Retention
  readonly aggregate: ((doors: SessionDoors) => EffectHandler) | undefined
  /** Told of what no fault excuses. */
  readonly broke: (cause: unknown) => void
  /** Told when a process begins or ends. */
  readonly tell: (what: string) => void
  readonly end: AbortSignal
}

/** A process that died is found out within this. */
const FOUND_OUT_MILLIS_MAX: Millis = 3000

/** One of the coordinator's processes, over all its lives: it begins again whenever it ends. */
export class SimCoordinator {
  readonly clock: MachineClock
  readonly #around: CoordinatorSurroundings
  readonly #draw: Draw
  readonly #blow: Blow
  #life: Life
  #runner: Runner | undefined
  #stall: (() => () => void) | undefined
  #crashes = 0

  constructor(
    around: CoordinatorSurroundings,
    own: { readonly clock: MachineClock; readonly draw: Draw; readonly blow: Blow },
  ) {
    this.#around = around
    this.clock = own.clock
    this.#draw = own.draw
    this.#blow = own.blow
    this.#life = this.#born()
  }

  /** How often its process ended before its time. */
  get crashes(): number {
    return this.#crashes
  }

  /** Undefined while there is no process, or it has not read the log yet. */
  get runner(): Runner | undefined {
    return this.#life.isOver ? undefined : this.#runner
  }

  /** Whether it could do now what is due. */
  get isServing(): boolean {
    return this.runner !== undefined && !this.#life.isStopped && !this.#around.disk.isFull('log')
  }

  kill(): void {
    this.#life.kill('killed')
  }

  /** Stops for a while, and goes on if it lives by then. */
  async pause(millis: Millis): Promise<void> {
    const { truth, end } = this.#around
    const life = this.#life
    life.stop()
    const resume = this.#stall?.()
    await truth.wakeAt(truth.now() + millis, end)
    life.resume()
    resume?.()
  }

  #born(): Life {
    const { truth: clock, disk, end, tell } = this.#around
    const life = new Life({ clock, disk, end, draw: this.#draw, blow: this.#blow })
    life.over.addEventListener(
      'abort',
      () => {
        if (end.aborted) return
        this.#crashes++
        tell(`is gone ${(life.over.reason as Crashed).message}`)
        this.#comeBack()
      },
      { once: true },
    )
    return life
  }

  #comeBack(): void {
    const { truth, end } = this.#around
    truth.wakeAt(truth.now() + Math.floor(this.#draw() * AWAY_MILLIS_MAX), end).then(
      () => this.begin(),
      () => undefined,
    )
  }

  /** The others find out after a while. */
  #missed(place: object): void {
    const { shared, truth, end } = this.#around
    if (!shared || end.aborted) return
    truth.wakeAt(truth.now() + Math.floor(this.#draw() * FOUND_OUT_MILLIS_MAX), end).then(
      () => shared.presence.died(place),
      () => undefined,
    )
  }

  /** Begins a life: opens its doors, reads the log, and serves. */
  async begin(): Promise<void> {
    if (this.#life.isOver) this.#life = this.#born()
    const life = this.#life
    this.#around.tell('begins')
    try {
      await this.#serve(life)
    } catch (cause) {
      if (!isFault(cause) && !life.isOver) this.#around.broke(cause)
      // A process that cannot start ends, and whoever watches it starts another.
      life.kill('while it began')
    }
  }

  async #serve(life: Life): Promise<void> {
    const { secret, network, counters, graceMillis, retention, aggregate, broke } = this.#around
    const fatal = (cause: unknown) => {
      if (!life.isOver) broke(cause)
    }
    const clock = mortalClock(this.clock, life)
    const { log, shared, snapshots } = this.#around
    const place = {}
    const presence = mortalPresence((shared?.presence ?? new MemoryPresence()).openIn(place), life)
    life.over.addEventListener('abort', () => this.#missed(place), { once: true })
    this.#runner = await serve({
      ...{ secret, clock, counters, graceMillis, retention, aggregate, fatal, presence, over: life.over },
      log: shared ? mortalSharedLog(log, life) : mortalLog(log, life),
      snapshots: mortalSnapshots(snapshots, life),
      blobs: mortalParts(this.#around.blobs, life, 'blobs'),
      vault: mortalParts(this.#around.vault, life, 'vault'),
      withheld: mortalParts(this.#around.withheld, life, 'withheld'),
      queue: mortalQueue(shared?.queue ?? openMemoryQueue<Job>({ clock, ...watched(fatal) }), life),
      link: () => {
        const link = network.coordinator(life.over, presence)
        this.#stall = link.stall
        return mortalCoordinatorLink(link, life)
      },
    })
  }
}
