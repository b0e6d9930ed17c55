import { type Assignment, readAssignment } from '#client/assignment.ts'
import type { Policy } from '#client/policy.ts'
import { reasonOf } from '#client/progress.ts'
import { reportOf } from '#client/report.ts'
import { train } from '#client/training.ts'
import type { Unaddressed } from '#client/voice.ts'
import { assert } from '#protocol/assert.ts'
import { type Block, open, type Signer } from '#protocol/envelope.ts'
import type { Bytes, Cid, NodeId } from '#protocol/ids.ts'
import { FRAME_BYTES_MAX } from '#protocol/limits.ts'
import { type ClientMessage, type CoordinatorMessage, readCoordinatorMessage, say } from '#protocol/messages.ts'
import { type BlobStore, type TrainerBackend, TrainingRefused } from '#protocol/ports.ts'
import { accept, type Result } from '#protocol/result.ts'
import { asRemote } from '#storage/blobs/copying.ts'
import type { LocalLink } from './local-link.ts'

/** One site of thousands: who it is, and what it trains with. */
export type VirtualSite = { readonly signer: Signer; readonly secret: Bytes; readonly trainer: TrainerBackend }

export type VirtualSitesOptions = {
  readonly sites: readonly VirtualSite[]
  readonly link: LocalLink
  readonly blobs: BlobStore
  readonly coordinator: NodeId
  readonly policy: Policy
  /** Sites that train at a time: what each of them needs for it is all that is held. */
  readonly abreast: number
  readonly broke: (cause: unknown) => void
  readonly signal: AbortSignal
}

type Seated = Extract<CoordinatorMessage, { readonly kind: 'seated' }>

/**
 * Sites of plain rounds, any number of them, which do what a node does and hold next to nothing while they wait: what all of
 * them read (a plan, its task and its model) is read and judged once for all, and a site has memory of its own only while
 * it trains. What each says is signed by itself, and what it reports is what a node with its secret would.
 */
export class VirtualSites {
  readonly #options: VirtualSitesOptions
  readonly #said: number[]
  /** Frames that all of them are sent, opened once. */
  readonly #opened = new WeakMap<Bytes, CoordinatorMessage>()
  #assignment: { readonly plan: Cid; readonly read: Promise<Result<Assignment>> } | undefined
  readonly #waiting: (() => Promise<void>)[] = []
  #training = 0

  constructor(options: VirtualSitesOptions) {
    const { sites, link } = options
    this.#options = options
    this.#said = sites.map(() => 0)
    for (const [site, { signer }] of sites.entries()) {
      const send = link.link(signer.id, (frame) => {
        this.#hear(site, frame, send).catch(options.broke)
      })
    }
  }

  async #hear(site: number, frame: Bytes, send: (frame: Bytes) => void): Promise<void> {
    const message = this.#open(frame)
    if (message.kind === 'invite') {
      const assignment = await this.#read(message.plan)
      const { run, round } = message
      if (!assignment.ok) return send(this.#frame(site, { kind: 'decline', run, round, reason: assignment.refusal }))
      return send(this.#frame(site, { kind: 'join', run, round, advert: null }))
    }
    if (message.kind === 'seated') this.#turn(() => this.#work(site, message, send))
  }

  #open(frame: Bytes): CoordinatorMessage {
    const known = this.#opened.get(frame)
    if (known) return known
    const signed = open(frame, FRAME_BYTES_MAX)
    assert(signed.ok && signed.value.from === this.#options.coordinator, 'only this coordinator speaks here')
    const message = readCoordinatorMessage(signed.value)
    assert(message.ok, 'a coordinator says what can be read')
    this.#opened.set(frame, message.value)
    return message.value
  }

  #read(plan: Cid): Promise<Result<Assignment>> {
    if (this.#assignment?.plan === plan) return this.#assignment.read
    const { blobs, coordinator, policy } = this.#options
    const read = readAssignment(blobs, coordinator, plan).then((assignment): Result<Assignment> => {
      if (!assignment.ok) return assignment
      const allowed = policy(assignment.value)
      return allowed.ok ? accept(assignment.value) : allowed
    })
    this.#assignment = { plan, read }
    return read
  }

  /** As many at a time as there is room for. */
  #turn(act: () => Promise<void>): void {
    this.#waiting.push(act)
    this.#next()
  }

  #next(): void {
    const { abreast, broke } = this.#options
    if (this.#training >= abreast) return
    const act = this.#waiting.shift()
    if (!act) return
    this.#training++
    act()
      .catch(broke)
      .finally(() => {
        this.#training--
        this.#next()
      })
  }

  async #work(site: number, { run, round, plan, seat }: Seated, send: (frame: Bytes) => void): Promise<void> {
    const { sites, blobs, signal } = this.#options
    const { secret, trainer } = sites[site] as VirtualSite
    const leave = (reason: string) => send(this.#frame(site, { kind: 'leave', run, round, reason }))
    const assignment = await this.#read(plan)
    assert(assignment.ok && assignment.value.kind === 'training', 'only who read the plan has a seat')
    try {
      const doors = { trainer, secret, withholdsEvaluation: false }
      const trained = await train(doors, assignment.value, signal, () => undefined)
      if (!trained.ok) return leave(trained.refusal)
      const place = { run, round, seat, plan, model: assignment.value.plan.model }
      const report = await reportOf(place, trained.value, asRemote(blobs), signal)
      send(this.#frame(site, report.message, report.attached))
    } catch (cause) {
      if (signal.aborted) return
      if (!(cause instanceof TrainingRefused)) throw new Error(`site ${site + 1}: ${reasonOf(cause)}`, { cause })
      leave(cause.reason)
    }
  }

  #frame(site: number, message: Unaddressed<ClientMessage>, blocks: readonly Block[] = []): Bytes {
    const { signer } = this.#options.sites[site] as VirtualSite
    const seq = (this.#said[site] ?? 0) + 1
    this.#said[site] = seq
    return say(signer, { ...message, to: this.#options.coordinator, seq } as ClientMessage, blocks)
  }
}
