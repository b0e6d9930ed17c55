import type { Statistician } from '#client/asking.ts'
import type { Table } from '#client/data/csv.ts'
import { datasetVersion, tallyTable } from '#client/data/tally.ts'
import { Journal } from '#client/journal.ts'
import { clearOutbox } from '#client/outbox.ts'
import { participate } from '#client/participate.ts'
import { policyFor } from '#client/policy.ts'
import type { Progress } from '#client/progress.ts'
import { sequenceFrom } from '#client/sequence.ts'
import type { SiteTerms } from '#client/site.ts'
import { sha256 } from '#crypto'
import { utf8 } from '#protocol/bytes.ts'
import { codecOf, RAW } from '#protocol/cid.ts'
import { type Signer, signerOf } from '#protocol/envelope.ts'
import type { Bytes, Millis, NodeId } from '#protocol/ids.ts'
import type { Population } from '#protocol/plan.ts'
import type { BlobStore, EventLog, TrainerBackend } from '#protocol/ports.ts'
import { accept } from '#protocol/result.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { openMemoryLog } from '#storage/logs/memory.ts'
import type { Draw } from './chance.ts'
import { Disk } from './disk.ts'
import { AWAY_MILLIS_MAX } from './faults.ts'
import { type Blow, type Crashed, isFault, Life } from './life.ts'
import type { MachineClock } from './machine-clock.ts'
import { mortalBlobs, mortalClientLink, mortalClock, mortalLog, remoteBlobs } from './mortal.ts'
import { type Network, Unreachable } from './network.ts'
import { secretsOf } from './secrets.ts'
import { toyTrainer } from './toy.ts'
import type { VirtualClock } from './virtual-clock.ts'

export type NodeSurroundings = {
  readonly network: Network
  readonly blobs: BlobStore
  /** Masked vectors that only members may read. */
  readonly withheld: BlobStore
  /** Under the coordinator's stores. */
  readonly farDisk: Disk
  readonly truth: VirtualClock
  readonly coordinator: NodeId
  readonly population: Population
  readonly terms: SiteTerms
  /** Told of what no fault excuses. */
  readonly broke: (cause: unknown) => void
  /** Told when its process begins or ends. */
  readonly tell: (what: string) => void
  readonly end: AbortSignal
}

/** A request that finds nobody is made again, as often and after such pauses as over a real network. */
const ATTEMPTS = 6
const FIRST_PAUSE_MILLIS: Millis = 250

/** A node whose process dies and comes back with what lies on its disk: its journal, its outbox and its key. */
export class SimNode {
  readonly secret: Bytes
  readonly signer: Signer
  readonly trainer: TrainerBackend
  readonly journal: EventLog = openMemoryLog()
  readonly progress: Progress[] = []
  readonly disk = new Disk()
  readonly clock: MachineClock
  readonly #site: number
  readonly #around: NodeSurroundings
  readonly #draw: Draw
  readonly #blow: Blow
  readonly #slowMillis: Millis
  readonly #outbox = openMemoryBlobs()
  #lives = 0
  #gone = false
  #awayMillis: Millis | undefined
  #life: Life

  constructor(
    site: number,
    around: NodeSurroundings,
    own: {
      readonly clock: MachineClock
      readonly draw: Draw
      readonly blow: Blow
      /** How much longer than others it trains. */
      readonly slowMillis: Millis
    },
  ) {
    this.#site = site
    this.#around = around
    this.clock = own.clock
    this.#draw = own.draw
    this.#blow = own.blow
    this.#slowMillis = own.slowMillis
    this.secret = secretOf(site)
    this.signer = signerOf(this.secret)
    this.trainer = toyTrainer(site)
    this.#life = this.#live()
  }

  /** How often its process began. */
  get lives(): number {
    return this.#lives
  }

  /** The process is killed, and begins again after so long. */
  kill(awayMillis: Millis): void {
    this.#awayMillis = awayMillis
    this.#life.kill('killed')
  }

  /** The process is gone for good. */
  die(): void {
    this.#gone = true
    this.#life.kill('killed')
  }

  /** Stops for a while, and goes on if it lives by then. */
  async pause(millis: Millis): Promise<void> {
    const { truth, network, end } = this.#around
    const life = this.#life
    life.stop()
    const resume = network.stallNode(this.signer.id)
    await truth.wakeAt(truth.now() + millis, end)
    life.resume()
    resume()
  }

  #live(): Life {
    const { network, truth, end, tell } = this.#around
    this.#lives++
    const life = new Life({ clock: truth, disk: this.disk, end, draw: this.#draw, blow: this.#blow })
    life.over.addEventListener(
      'abort',
      () => {
        if (end.aborted) return
        tell(`is gone ${(life.over.reason as Crashed).message}`)
        network.nodeDied(this.signer.id)
        if (!this.#gone) this.#comeBack()
      },
      { once: true },
    )
    this.#run(life).catch((cause: unknown) => {
      if (!isFault(cause) && !life.isOver) this.#around.broke(cause)
      // A process that cannot start ends, and whoever watches it starts another.
      life.kill('while it began')
    })
    return life
  }

  #comeBack(): void {
    const { truth, end, tell } = this.#around
    const away = this.#awayMillis ?? Math.floor(this.#draw() * AWAY_MILLIS_MAX)
    this.#awayMillis = undefined
    truth.wakeAt(truth.now() + away, end).then(
      () => {
        if (this.#gone) return
        tell('begins')
        this.#life = this.#live()
      },
      () => undefined,
    )
  }

  async #run(life: Life): Promise<void> {
    const { network, coordinator, population, terms, farDisk, end } = this.#around
    const { signer, secret } = this
    const clock = mortalClock(this.clock, life)
    const transport = mortalClientLink(network.node(signer.id), life)
    const journal = mortalLog(this.journal, life, 'journal')
    const outbox = mortalBlobs(this.#outbox, life, 'outbox')
    await clearOutbox(outbox, new Journal(journal), clock.now())
    const reach = () => this.#reach(life)
    const doors = {
      ...{ transport, trainer: this.#slowTrainer(life), clock, journal, outbox },
      ...{ signer, secret, coordinator, sequence: sequenceFrom(() => clock.now()), useTicket: () => undefined },
      ...{ policy: policyFor(population, 2, terms), site: terms, statistician: statisticianOf(this.#site) },
      blobs: remoteBlobs(this.#around.blobs, life, { door: 'blobs', disk: farDisk, reach }),
      withheld: remoteBlobs(this.#around.withheld, life, { door: 'withheld', disk: farDisk, reach }),
      chance: secretsOf(`${this.#site} ${this.#lives}`),
    }
    for await (const made of participate(doors, AbortSignal.any([end, life.over]))) this.progress.push(made)
  }

  async #reach(life: Life): Promise<void> {
    const { network, truth, end } = this.#around
    for (let attempt = 1; ; attempt++) {
      try {
        return network.reach(this.signer.id)
      } catch (cause) {
        if (!(cause instanceof Unreachable) || attempt >= ATTEMPTS) throw cause
      }
      const pause = FIRST_PAUSE_MILLIS * 2 ** (attempt - 1) * (0.5 + this.#draw() / 2)
      await truth.wakeAt(truth.now() + Math.floor(pause), end)
      await life.running()
    }
  }

  /** Takes its time on the fake clock, so that reports arrive in any order. */
  #slowTrainer(life: Life): TrainerBackend {
    const { truth } = this.#around
    const { trainer } = this
    return {
      ...trainer,
      fit: async (...args) => {
        const update = await trainer.fit(...args)
        await truth.wakeAt(truth.now() + 100 + this.#slowMillis + Math.floor(this.#draw() * 400), args[2])
        await life.running()
        return update
      },
    }
  }
}

/** A site's rows: as many as its number and three, numbered from 0. */
function rowsOf(site: number): Table {
  const values = Float64Array.from({ length: 3 + site }, (_, row) => row)
  return { path: 'site.csv', rows: values.length, columns: new Map([['row', { values, textLine: 0 }]]) }
}

function statisticianOf(site: number): Statistician {
  const own = rowsOf(site)
  return {
    async tally(question) {
      const tallies = tallyTable(own, question)
      return tallies.ok ? accept({ version: datasetVersion(own), tallies: tallies.value }) : tallies
    },
  }
}

function secretOf(site: number): Bytes {
  return sha256(utf8(`sim node ${site}`))
}

export function idOf(site: number): NodeId {
  return signerOf(secretOf(site)).id
}

/** Small blocks and the model come, a vector's bytes never do. */
export function withoutVectors(store: BlobStore): BlobStore {
  const never = <T>() => new Promise<T>(() => undefined)
  return {
    ...store,
    getBlock: (cid, limit) => (codecOf(cid) === RAW ? never() : store.getBlock(cid, limit)),
  }
}
