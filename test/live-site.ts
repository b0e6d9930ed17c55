import { participate } from '#client/participate.ts'
import { policyFor } from '#client/policy.ts'
import type { Progress } from '#client/progress.ts'
import { sequenceFrom } from '#client/sequence.ts'
import { siteTerms } from '#client/site.ts'
import { dialFromNode } from '#client/transports/node-line.ts'
import { SocketLink } from '#client/transports/socket-link.ts'
import { randomBytes, sha256 } from '#crypto'
import { utf8 } from '#protocol/bytes.ts'
import { type Signer, signerOf } from '#protocol/envelope.ts'
import type { NodeId, Round } from '#protocol/ids.ts'
import type { Population } from '#protocol/plan.ts'
import type { BlobStore, EventLog, TrainerBackend } from '#protocol/ports.ts'
import { toyTrainer } from '#sim/toy.ts'
import { openHttp } from '#storage/blobs/http-node.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { openRemoteBlobs } from '#storage/blobs/remote.ts'
import { systemClock } from '#storage/clock.ts'
import { openMemoryLog } from '#storage/logs/memory.ts'

type Told = {
  readonly name: string
  readonly trainer: TrainerBackend
  readonly population?: Population
  /** Who may be in a session with it. */
  readonly allowed?: ReadonlySet<NodeId> | 'open'
  readonly memoryBytesMax?: number
}

/** A site whose node runs in this process, on real links: what it keeps outlives any life of its node. */
export class LiveSite {
  readonly signer: Signer
  readonly outbox: BlobStore = openMemoryBlobs()
  readonly #journal: EventLog = openMemoryLog()
  readonly #told: Told

  constructor(told: Told) {
    this.#told = told
    this.signer = signerOf(sha256(utf8(told.name)))
  }

  /** Sites that pull a toy's model each its own way. */
  static toys(count: number, population: Population = 'open'): readonly LiveSite[] {
    const names = Array.from({ length: count }, (_, site) => `toy site ${site}`)
    const allowed = new Set(names.map((name) => signerOf(sha256(utf8(name))).id))
    return names.map((name, site) => new LiveSite({ name, trainer: toyTrainer(site), population, allowed }))
  }

  /** One life of its node, until it hears that a round is over. @returns what it told */
  async takePart(to: { readonly url: string; readonly key: NodeId }, lastRound: Round): Promise<readonly Progress[]> {
    const told: Progress[] = []
    const stop = new AbortController()
    for await (const made of this.live(to, stop.signal)) {
      told.push(made)
      if (made.kind === 'ended' && made.round === lastRound) break
    }
    stop.abort()
    return told
  }

  /** One life of its node, until the signal fires. */
  async *live(
    { url, key }: { readonly url: string; readonly key: NodeId },
    signal: AbortSignal,
  ): AsyncIterable<Progress> {
    await using doors = new AsyncDisposableStack()
    const { name, trainer, population = 'open', allowed = 'open', memoryBytesMax } = this.#told
    const sequence = sequenceFrom(() => systemClock.now())
    const site = siteTerms(population, allowed, memoryBytesMax === undefined ? {} : { memoryBytesMax })
    let shown: string | undefined
    const link = {
      urls: [url],
      coordinator: key,
      dial: dialFromNode,
      signer: this.signer,
      sequence,
      report: () => undefined,
    }
    const { fetch } = doors.use(openHttp())
    const remote = { url, ticket: () => shown, attempts: 16, fetch }
    yield* participate(
      {
        ...{ transport: doors.use(new SocketLink(link)), coordinator: key, signer: this.signer, sequence, trainer },
        ...{ blobs: openRemoteBlobs(remote), withheld: openRemoteBlobs({ ...remote, reads: 'withheld' }) },
        ...{ secret: sha256(utf8(`${name}, its secret`)), clock: systemClock, chance: randomBytes, site },
        ...{ policy: policyFor(population, 2, site), journal: this.#journal, outbox: this.outbox },
        useTicket: (ticket) => {
          shown = ticket
        },
      },
      signal,
    )
  }
}
