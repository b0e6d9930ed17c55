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
import { hkdfSha256, sha256 } from '#crypto'
import { utf8 } from '#protocol/bytes.ts'
import { type Signer, signerOf } from '#protocol/envelope.ts'
import type { Bytes, Millis, NodeId } from '#protocol/ids.ts'
import type { Population } from '#protocol/plan.ts'
import type { BlobStore, EventLog, TrainerBackend } from '#protocol/ports.ts'
import { accept } from '#protocol/result.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { openMemoryLog } from '#storage/logs/memory.ts'
import { Crashed, mortalBlobs, mortalLog } from './mortal.ts'
import type { Network } from './network.ts'
import { toyTrainer } from './toy.ts'
import type { VirtualClock } from './virtual-clock.ts'

export type NodeDoors = {
  readonly network: Network
  readonly blobs: BlobStore
  /** Masked vectors that only members may read. */
  readonly withheld: BlobStore
  readonly clock: VirtualClock
  readonly coordinator: NodeId
  readonly population: Population
  readonly terms: SiteTerms
  readonly draw: () => number
  /** How much longer than others it trains. */
  readonly slowMillis: Millis
  /** Chance that its process dies at one append to its journal. */
  readonly crash: number
  readonly end: AbortSignal
}

/** A process that comes back does so within this. */
const AWAY_MILLIS_MAX = 4000

/** A node whose process dies and comes back with what lies on its disk: its journal, its outbox and its key. */
export class SimNode {
  readonly secret: Bytes
  readonly signer: Signer
  readonly trainer: TrainerBackend
  readonly journal: EventLog = openMemoryLog()
  readonly progress: Progress[] = []
  readonly #site: number
  readonly #doors: NodeDoors
  readonly #outbox = openMemoryBlobs()
  #life = 0
  #gone = false
  #death = new AbortController()

  constructor(site: number, doors: NodeDoors) {
    this.#site = site
    this.#doors = doors
    this.secret = secretOf(site)
    this.signer = signerOf(this.secret)
    this.trainer = toyTrainer(site)
    this.#live()
  }

  /** How often its process began. */
  get lives(): number {
    return this.#life
  }

  /** The process is killed, and begins again after a while. */
  kill(): void {
    this.#death.abort(new Crashed('killed'))
  }

  /** The process is gone for good. */
  die(): void {
    this.#gone = true
    this.kill()
  }

  #live(): void {
    if (this.#gone) return
    const { network, clock, draw, end } = this.#doors
    this.#life++
    const death = new AbortController()
    this.#death = death
    death.signal.addEventListener(
      'abort',
      () => {
        network.nodeDied(this.signer.id)
        clock.wakeAt(clock.now() + Math.floor(draw() * AWAY_MILLIS_MAX), end).then(
          () => this.#live(),
          () => undefined,
        )
      },
      { once: true },
    )
    this.#run(death).catch((cause: unknown) => {
      if (cause instanceof Crashed) return
      queueMicrotask(() => {
        throw cause
      })
    })
  }

  async #run(death: AbortController): Promise<void> {
    const { network, clock, coordinator, population, terms, draw, crash, end } = this.#doors
    const { signer, secret } = this
    const transport = network.node(signer.id)
    const journal = mortalLog(this.journal, { death, draw, crash })
    const outbox = mortalBlobs(this.#outbox, death.signal)
    await clearOutbox(outbox, new Journal(journal), clock.now())
    const doors = {
      ...{ transport, blobs: mortalBlobs(this.#doors.blobs, death.signal), trainer: this.#slowTrainer(), clock },
      ...{ signer, secret, coordinator, sequence: sequenceFrom(() => clock.now()), useTicket: () => undefined },
      ...{
        policy: policyFor(population, 2, terms),
        site: terms,
        journal,
        outbox,
        statistician: statisticianOf(this.#site),
      },
      withheld: mortalBlobs(this.#doors.withheld, death.signal),
      chance: chanceOf(`${this.#site} ${this.#life}`),
    }
    for await (const made of participate(doors, AbortSignal.any([end, death.signal]))) this.progress.push(made)
  }

  /** Takes its time on the fake clock, so that reports arrive in any order. */
  #slowTrainer(): TrainerBackend {
    const { clock, draw, slowMillis } = this.#doors
    const { trainer } = this
    return {
      ...trainer,
      async fit(...args) {
        const update = await trainer.fit(...args)
        await clock.wakeAt(clock.now() + 100 + slowMillis + Math.floor(draw() * 400), args[2])
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

/** Session secrets that a seed gives again, so that a run is the same run twice; each life draws its own. */
function chanceOf(name: string): (lengthBytes: number) => Uint8Array {
  const secret = sha256(utf8(`sim chance ${name}`))
  let drawn = 0
  return (lengthBytes) => hkdfSha256(secret, new Uint8Array(0), utf8(String(drawn++)), lengthBytes)
}
