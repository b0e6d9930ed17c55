import { certificateOf, parcelFor, sharedOf, survivorsOf } from '#aggregation/secagg/aggregator.ts'
import {
  type Body,
  type Kind,
  type Parcel,
  type Said,
  SUITE_X25519,
  type Suite,
  say,
} from '#aggregation/secagg/messages.ts'
import { secureRule } from '#aggregation/secagg/parameters.ts'
import { joinParts, partsOf } from '#aggregation/secagg/parcel.ts'
import { openSession, openSharing, openSurvival, type Session, type Sharing } from '#aggregation/secagg/session.ts'
import { readAssignment, type Training } from '#client/assignment.ts'
import { siteTerms } from '#client/site.ts'
import { attachedSaid, blocksOf } from '#coordinator/said.ts'
import { sha256 } from '#crypto'
import type { Architecture } from '#protocol/architecture.ts'
import { assert } from '#protocol/assert.ts'
import { collect, utf8 } from '#protocol/bytes.ts'
import { cidOf, DAG_CBOR } from '#protocol/cid.ts'
import { encode } from '#protocol/codec.ts'
import { type Block, signerOf } from '#protocol/envelope.ts'
import type { Bytes, Cid, NodeId } from '#protocol/ids.ts'
import { type Endings, endingsSchema } from '#protocol/manifest.ts'
import type { ClientMessage, CoordinatorMessage } from '#protocol/messages.ts'
import type { Plan, Secure } from '#protocol/plan.ts'
import type { TrainerBackend } from '#protocol/ports.ts'
import { RUN } from '#sim/setting.ts'
import { toyTrainer } from '#sim/toy.ts'
import { virtualClock } from '#sim/virtual-clock.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { must } from '#test/aggregation/given.ts'
import { cohortOf } from '#test/cohort.ts'
import { type Bench, bench, coordinator, type Kept, NOW, type SaidFrame } from './bench.ts'
import { TIMING } from './timing.ts'

type HostChange = Partial<Secure> & {
  /** Fewest reports that the plan promises a sum of. */
  readonly quorum?: number
  readonly name?: string
  readonly trainer?: (site: number) => TrainerBackend
  readonly withholds?: boolean
  readonly architecture?: Architecture
}
type Saying<K extends ClientMessage['kind']> = Extract<ClientMessage, { kind: K }>

export const DEADLINES = [NOW + 2000, NOW + 9000, NOW + 10_000, NOW + 11_000] as const

/**
 * A coordinator that the test holds, and the real nodes it speaks to, by key: it hears them as the real one does, and says
 * to each whatever the test wants. What it signs is in the store that nodes read.
 */
export class Host {
  readonly blobs = openMemoryBlobs()
  readonly clock = virtualClock(NOW)
  readonly nodes: Bench[]
  readonly secure: Secure
  readonly adverts: Said<'Advert'>[] = []
  readonly keys: Said<'ShareKeys'>[] = []
  readonly parcels: Parcel[] = []
  readonly inputs: Said<'MaskedInput'>[] = []
  readonly vectors = new Map<number, Bytes>()
  readonly confirms: Said<'Confirm'>[] = []
  readonly unmasks: Said<'Unmask'>[] = []
  readonly #parts = new Map<number, Bytes[]>()
  plan = '' as Cid
  round = 1
  readonly #names: readonly string[]
  readonly #allowed: ReadonlySet<NodeId>
  readonly #change: HostChange
  readonly #former: { readonly seat: number; readonly node: Bench }[] = []

  constructor(n: number, change: HostChange = {}) {
    const { suite = SUITE_X25519 as Suite, corrupt = 1, publish = 'full', name = 'host' } = change
    this.secure = { suite, corrupt, publish }
    this.#change = change
    const idOf = (site: string) => signerOf(sha256(utf8(site))).id
    this.#names = Array.from({ length: n }, (_, site) => `${name} site ${site}`).sort((a, b) =>
      idOf(a) < idOf(b) ? -1 : 1,
    )
    this.#allowed = new Set(this.#names.map(idOf))
    this.nodes = this.#names.map((_, seat) => this.#start(seat))
  }

  #start(seat: number, kept?: Kept): Bench {
    const { architecture } = this.#change
    return bench({
      ...{ name: this.#names[seat] as string, trainer: this.trainerOf(seat), blobs: this.blobs, clock: this.clock },
      site: siteTerms('open', this.#allowed, { maxCorrupt: 1, withholdsEvaluation: this.withholds }),
      ...(kept ? { kept } : {}),
      ...(architecture ? { architecture } : {}),
    })
  }

  /** The node's process ends and another begins on the same disk, or on this copy of it. */
  restart(seat: number, kept: Kept = this.node(seat).kept): Bench {
    this.node(seat).end.abort()
    this.#former.push({ seat, node: this.node(seat) })
    const fresh = this.#start(seat, kept)
    this.nodes[seat] = fresh
    return fresh
  }

  /** Of one node, the earliest first. */
  lives(seat: number): readonly Bench[] {
    return [...this.#former.filter((one) => one.seat === seat).map(({ node }) => node), this.node(seat)]
  }

  /** What this node trains with. */
  trainerOf(seat: number): TrainerBackend {
    return (this.#change.trainer ?? toyTrainer)(seat)
  }

  get withholds(): boolean {
    return this.#change.withholds ?? false
  }

  node(seat: number): Bench {
    const node = this.nodes[seat]
    if (!node) throw new Error(`no seat ${seat}`)
    return node
  }

  get seats(): readonly number[] {
    return this.nodes.map((_, seat) => seat)
  }

  say(seat: number, message: Sayable, blocks: readonly Block[] = []): void {
    this.node(seat).say({ ...message, run: RUN, round: this.round } as CoordinatorMessage, coordinator, blocks)
  }

  /** Signs, and puts it where nodes read. */
  async state<K extends Kind>(kind: K, body: Body<K>): Promise<Said<K>> {
    const said = say(coordinator, kind, body)
    await this.keep(said)
    return said
  }

  async keep(said: Said<Kind>): Promise<void> {
    await this.blobs.putBlocks(blocksOf(said))
  }

  /** Hands over blocks that a message names and has no room for. */
  brief(seat: number, said: readonly Said<Kind>[]): void {
    this.say(seat, { kind: 'blocks' }, said.flatMap(blocksOf))
  }

  async hear<K extends ClientMessage['kind']>(
    seat: number,
    kind: K,
  ): Promise<SaidFrame & { readonly message: Saying<K> }> {
    const frame = await this.node(seat).frame()
    if (frame.message.kind !== kind) throw new Error(`${JSON.stringify(frame.message)} is not ${kind}`)
    return frame as SaidFrame & { readonly message: Saying<K> }
  }

  /** What came along with a member's message, kept as the coordinator keeps it. */
  async attached<K extends Kind>({ heard }: SaidFrame, kind: K, cid: Cid): Promise<Said<K>> {
    const said = must(await attachedSaid(heard, kind, cid))
    await this.keep(said)
    return said
  }

  async open(round = 1, change: Partial<Plan> = {}): Promise<void> {
    this.round = round
    for (const list of [this.adverts, this.keys, this.parcels, this.inputs, this.confirms, this.unmasks])
      list.length = 0
    const n = this.nodes.length
    const cohort = cohortOf({ min: Math.max(3, n - 1), max: Math.max(n, 3), quorum: this.#change.quorum ?? 3 })
    const masked = { masking: 'secagg/1', secure: this.secure, cohort, round } as const
    this.plan = await this.node(0).plan({ ...masked, ...change })
  }

  invite(seat: number): void {
    this.say(seat, { kind: 'invite', plan: this.plan, closesAt: this.clock.now() + TIMING.selectionMillis })
  }

  async join(seats = this.seats): Promise<void> {
    for (const seat of seats) this.invite(seat)
    for (const seat of seats) {
      const frame = await this.hear(seat, 'join')
      this.adverts[seat] = await this.attached(frame, 'Advert', frame.message.advert as Cid)
    }
  }

  async assignment(): Promise<Training> {
    const assignment = must(await readAssignment(this.blobs, coordinator.id, this.plan))
    assert(assignment.kind === 'training', 'this host asks no questions')
    return assignment
  }

  /** Of everybody who joined, with whatever a test says otherwise. */
  async roster(
    lies: Partial<Omit<Body<'Roster'>, 'params'>> & { readonly params?: Partial<Body<'Roster'>['params']> } = {},
  ) {
    const { plan, model } = await this.assignment()
    const { C, q, t, live } = must(secureRule(this.adverts.length, { maxCorrupt: this.secure.corrupt }))
    const { params, ...rest } = lies
    const d = plan.purpose === 'train' ? model.parameters : 0
    return this.state('Roster', {
      ...{ v: 1, suite: this.secure.suite, task: plan.task, round: plan.round, attempt: 1 },
      ...{ publish: this.secure.publish, modelCid: plan.model, specCid: this.plan, graph: { kind: 'complete' } },
      params: { laneBits: 32, d, quantiser: plan.quantiser, C, q, t, live, s2: 0, ...params },
      deadlines: DEADLINES,
      members: this.adverts.map(({ from, cid }) => ({ id: from, advert: cid })),
      ...rest,
    })
  }

  sit(seat: number, roster: Said<'Roster'>): void {
    const { plan } = this
    this.say(seat, { kind: 'seated', plan, seat, endsAt: DEADLINES[1], ticket: 't', roster: roster.cid })
  }

  session(roster: Said<'Roster'>): Session {
    return must(openSession(roster, this.adverts, coordinator.id))
  }

  /** Hears one member's keys and boxes. */
  async dealt(seat: number): Promise<void> {
    do await this.takeDeal(seat, await this.hear(seat, 'deal'))
    while (!this.parcels[seat])
  }

  async takeDeal(seat: number, frame: SaidFrame & { readonly message: Saying<'deal'> }): Promise<void> {
    const { keys, parcel, part, parts } = frame.message
    if (part === 0) {
      this.keys[seat] = await this.attached(frame, 'ShareKeys', keys)
      this.#parts.delete(seat)
    }
    const gathered = this.#parts.get(seat) ?? []
    this.#parts.set(seat, gathered)
    gathered[part] = frame.heard.attached.find(({ cid }) => cid === parcel)?.bytes as Bytes
    if (gathered.filter(Boolean).length < parts) return
    this.parcels[seat] = must(joinParts(gathered))
  }

  async deal(roster: Said<'Roster'>, seats = this.seats): Promise<void> {
    for (const seat of seats) this.sit(seat, roster)
    for (const seat of seats) await this.dealt(seat)
  }

  /** U2 of these seats. */
  async shared(roster: Said<'Roster'>, seats = this.seats, ver = 1): Promise<Said<'Shared'>> {
    const keys = seats.map((seat) => this.keys[seat] as Said<'ShareKeys'>)
    return this.state('Shared', { ...sharedOf(this.session(roster), keys), ver })
  }

  sharing(roster: Said<'Roster'>, shared: Said<'Shared'>): Sharing {
    const keys = shared.body.list.map(({ u }) => this.keys[u - 1] as Said<'ShareKeys'>)
    return must(openSharing(this.session(roster), shared, keys))
  }

  /** What all sent to one member, as it travels. @param each so many boxes in a part, instead of what a frame holds */
  parts(seat: number, { each }: { readonly each?: number } = {}): readonly Block[] {
    const { boxes, maskCts } = parcelFor(seat + 1, this.parcels.filter(Boolean))
    if (each === undefined) return partsOf({ boxes, maskCts }, 0)
    return Array.from({ length: Math.ceil(boxes.length / each) }, (_, part) => {
      const own = boxes.slice(part * each, (part + 1) * each)
      return partsOf({ boxes: own, maskCts: part === 0 ? maskCts : [] }, 0)[0] as Block
    })
  }

  share(seat: number, shared: Said<'Shared'>, parts: readonly Block[] = this.parts(seat)): void {
    for (const [part, block] of parts.entries())
      this.say(seat, { kind: 'shared', shared: shared.cid, parcel: block.cid, part, parts: parts.length }, [block])
  }

  mask(seat: number, shared: Said<'Shared'>): void {
    this.say(seat, { kind: 'mask', shared: shared.cid })
  }

  /** Hears one member's masked input, with its vector. */
  async submitted(seat: number): Promise<Said<'MaskedInput'>> {
    return this.takeSubmission(seat, await this.hear(seat, 'submit'))
  }

  async takeSubmission(
    seat: number,
    frame: SaidFrame & { readonly message: Saying<'submit'> },
  ): Promise<Said<'MaskedInput'>> {
    const input = await this.attached(frame, 'MaskedInput', frame.message.input)
    const { vector } = frame.message
    const here = frame.heard.attached.find(({ cid }) => cid === vector)
    const uploaded = () => collect(this.blobs.get(vector, { limitBytes: 2 ** 22 }), 2 ** 22)
    this.vectors.set(seat, here?.bytes ?? (await uploaded()))
    this.inputs[seat] = input
    return input
  }

  async survivors(sharing: Sharing, seats = this.seats): Promise<Said<'Survivors'>> {
    const inputs = seats.map((seat) => this.inputs[seat] as Said<'MaskedInput'>)
    return this.state('Survivors', survivorsOf(sharing, inputs))
  }

  survey(seat: number, survivors: Said<'Survivors'>): void {
    this.say(seat, { kind: 'survivors', survivors: survivors.cid })
  }

  async confirmed(seat: number): Promise<Said<'Confirm'>> {
    const frame = await this.hear(seat, 'confirm')
    const confirm = await this.attached(frame, 'Confirm', frame.message.confirm)
    this.confirms[seat] = confirm
    return confirm
  }

  survival(sharing: Sharing, survivors: Said<'Survivors'>) {
    const inputs = survivors.body.list.map(({ u }) => this.inputs[u - 1] as Said<'MaskedInput'>)
    return must(openSurvival(sharing, survivors, inputs))
  }

  async certificate(sharing: Sharing, survivors: Said<'Survivors'>): Promise<Said<'QuorumCert'>> {
    const confirms = this.confirms.filter(Boolean)
    return this.state('QuorumCert', must(certificateOf(this.survival(sharing, survivors), confirms)))
  }

  certify(seat: number, survivors: Said<'Survivors'>, certificate: Said<'QuorumCert'>): void {
    this.say(seat, { kind: 'certificate', survivors: survivors.cid, certificate: certificate.cid })
  }

  async unmasked(seat: number): Promise<Said<'Unmask'>> {
    const frame = await this.hear(seat, 'unmask')
    const unmask = await this.attached(frame, 'Unmask', frame.message.unmask)
    this.unmasks[seat] = unmask
    return unmask
  }

  end(seat: number, outcome: 'closed' | 'aborted', reason = ''): void {
    this.say(seat, { kind: 'ended', outcome, reason })
  }

  /** What the plan of the next round tells of this session. */
  async endings(list: Endings): Promise<Cid> {
    const bytes = encode(endingsSchema, list)
    const cid = cidOf(DAG_CBOR, bytes)
    await this.blobs.putBlocks([{ cid, bytes }])
    return cid
  }
}

type Sayable = CoordinatorMessage extends infer M ? (M extends unknown ? Omit<M, 'run' | 'round'> : never) : never
