import { payloadIn, widthOf } from '#aggregation/vector.ts'
import { BrokenInvariant } from '#protocol/assert.ts'
import { type Heard, open, type Signer, sealOf } from '#protocol/envelope.ts'
import type { Bytes, Cid, Millis, NodeId, RunId } from '#protocol/ids.ts'
import { FRAME_BYTES_MAX, REASON_CHARS_MAX, WAITING_BYTES_MAX, WAITING_FRAMES_MAX } from '#protocol/limits.ts'
import { type ClientMessage, readClientMessage, say } from '#protocol/messages.ts'
import type { Clock, CoordinatorTransport, PartsStore, Presence } from '#protocol/ports.ts'
import { type Result, refuse } from '#protocol/result.ts'
import { admit, admitReport, type RoundMessage } from './admit.ts'
import { Announcer, membersOf } from './announcer.ts'
import type { Counters } from './counters.ts'
import type { Eligibility } from './eligibility.ts'
import { MaskedInspection } from './masked-inspection.ts'
import { isMemberMessage, type MemberMessage, Members } from './members.ts'
import { passes } from './pause.ts'
import { seatOf } from './round/round.ts'
import type { Run } from './run.ts'
import type { Runner } from './runner.ts'
import type { Sessions } from './sessions.ts'
import { Shapes } from './shapes.ts'
import type { HearNode } from './spot-checks.ts'
import type { Tally } from './tally.ts'
import { type VectorStores, vectorsOf } from './vectors.ts'

/** What the world kept from being done for a node is done again after this, for as long as it takes. */
const AGAIN_MILLIS: Millis = 1000

/** How often it is asked who of those that are waited for has come back to another process. */
const LOOK_MILLIS: Millis = 1000

/** How often it is asked which processes have died. */
const ORPHANS_MILLIS: Millis = 2000

export type GatewayDoors = VectorStores & {
  readonly transport: CoordinatorTransport
  /** Who is linked to any process. */
  readonly presence: Presence
  /** Boxes and shares: nobody outside may read them. */
  readonly vault: PartsStore
  readonly sessions: Sessions
  readonly clock: Clock
  readonly signer: Signer
  /** MAC key of upload tickets. */
  readonly ticketKey: Bytes
  readonly runner: Runner
  readonly eligibility: Pick<Eligibility, 'of' | 'among' | 'invited'>
  readonly counters: Counters
  /** Hears what nodes say of themselves. */
  readonly hearNode: HearNode
  /** Adds up what is reported. */
  readonly tally: Tally
  /** Told of broken invariants: the process stops. */
  readonly fatal: (cause: unknown) => void
}

/**
 * Where frames become events: bounded, signed, meant for us, about the open round, and (a report) whole, or refused by
 * name and counted. What goes the other way is the announcer's.
 */
export class Gateway {
  readonly #doors: GatewayDoors
  readonly #shapes: Shapes
  readonly #announcer: Announcer
  readonly #turns = new Map<NodeId, { last: Promise<void>; waiting: number }>()
  /** Highest sequence number accepted from a node: an older frame is a replay. */
  readonly #heard = new Map<NodeId, number>()
  readonly #members: Members
  /** Those whom a grace waits for, each grace its own. */
  readonly #unseen = new Set<Set<NodeId>>()
  /** Nodes that are greeted again, or missed again, in a while. */
  readonly #again = { greet: new Set<NodeId>(), miss: new Set<NodeId>() }
  /** Bytes of the frames that wait for their turn, of all nodes, and whoever waits until there are fewer. */
  #waitingBytes = 0
  #eased = Promise.withResolvers<void>()

  constructor(doors: GatewayDoors) {
    this.#doors = doors
    this.#members = new Members({ ...doors, inspection: new MaskedInspection() })
    this.#shapes = new Shapes(doors.blobs)
    this.#announcer = new Announcer({ ...doors, shapes: this.#shapes })
  }

  /** Serves the link until the signal fires. @param graceMillis how long a node may be away before its seat is given up */
  async serve(graceMillis: Millis, signal: AbortSignal): Promise<void> {
    let said = Promise.resolve()
    using _ = this.#doors.runner.subscribe((advanced) => {
      this.#members.forget(advanced.after)
      this.#doors.tally.forget(advanced.after)
      said = said
        .then(() => this.#announcer.announce(advanced))
        .catch((cause: unknown) => {
          this.#fault(cause)
          for (const node of this.#doors.transport.linked()) this.#doAgain(node, 'greet', signal)
        })
    })
    void this.#missAbsent(graceMillis, signal)
    void this.#missOrphans(graceMillis, signal)
    for await (const event of this.#doors.transport.events(signal)) {
      if (event.kind === 'frame') {
        const { from, frame } = event
        // A frame that was lost is not kept: whoever hears where things stand says it again.
        if ((this.#turns.get(from)?.waiting ?? 0) < WAITING_FRAMES_MAX)
          this.#turn(from, 'greet', signal, { act: () => this.#hear(from, frame), bytes: frame.length })
        else this.#doors.counters.count('frames_refused', 'too-many-frames')
        // What is not taken from the link stays on the wire, where it is its sender's.
        while (this.#waitingBytes > WAITING_BYTES_MAX) await this.#eased.promise
      } else {
        if (event.kind === 'linked') for (const unseen of this.#unseen) unseen.delete(event.node)
        this.#turn(event.node, event.kind === 'linked' ? 'greet' : 'miss', signal)
      }
    }
  }

  /**
   * One node's frames in their order, nodes beside one another.
   *
   * @param again what is done, or once more where it was kept from being done
   */
  #turn(
    node: NodeId,
    again: 'greet' | 'miss',
    signal: AbortSignal,
    { act, bytes } = { act: () => (again === 'greet' ? this.#greet(node) : this.#miss(node)), bytes: 0 },
  ): void {
    const turn = this.#turns.get(node) ?? { last: Promise.resolve(), waiting: 0 }
    turn.waiting++
    this.#waitingBytes += bytes
    turn.last = turn.last
      .then(act)
      .catch((cause: unknown) => {
        this.#fault(cause)
        this.#doAgain(node, again, signal)
      })
      .then(() => {
        if (--turn.waiting === 0) this.#turns.delete(node)
        this.#waitingBytes -= bytes
        this.#eased.resolve()
        this.#eased = Promise.withResolvers()
      })
    this.#turns.set(node, turn)
  }

  #doAgain(node: NodeId, again: 'greet' | 'miss', signal: AbortSignal): void {
    if (this.#again[again].has(node)) return
    this.#again[again].add(node)
    void passes(this.#doors.clock, AGAIN_MILLIS, signal).then((passed) => {
      this.#again[again].delete(node)
      if (passed) this.#turn(node, again, signal)
    })
  }

  /** The world's fault is counted and costs a while; our own mistake stops the process. */
  #fault(cause: unknown): void {
    if (cause instanceof BrokenInvariant) this.#doors.fatal(cause)
    this.#doors.counters.count('faults', cause instanceof Error ? cause.name : 'unknown')
  }

  async #hear(from: NodeId, frame: Bytes): Promise<void> {
    const opened = open(frame, FRAME_BYTES_MAX)
    if (!opened.ok) return this.#refuse(from, undefined, opened.refusal, opened.detail)
    if (opened.value.from !== from) return this.#refuse(from, undefined, 'foreign-signature')
    const message = readClientMessage(opened.value)
    if (!message.ok) return this.#refuse(from, undefined, message.refusal, message.detail)
    const heard = await this.#takeUpToDate(from, opened.value, message.value)
    if (!heard.ok) this.#refuse(from, message.value, heard.refusal, heard.detail)
    else this.#doors.counters.count('frames_accepted', message.value.kind)
  }

  /** A node may know from another process what has not been read here yet: nothing is refused before it has been. */
  async #takeUpToDate(from: NodeId, signed: Heard, message: ClientMessage): Promise<Result<unknown>> {
    const taken = await this.#take(from, signed, message)
    if (taken.ok || !('run' in message) || !(await this.#doors.runner.hear(message.run))) return taken
    return this.#take(from, signed, message)
  }

  async #take(from: NodeId, signed: Heard, message: ClientMessage): Promise<Result<unknown>> {
    if (message.to !== this.#doors.signer.id) return refuse('wrong-coordinator')
    if (message.kind === 'hello') return refuse('wrong-phase', 'the link is open already')
    if (!('run' in message)) return this.#doors.hearNode(from, message, signed.attached)
    const { runner } = this.#doors
    const admitted = admit(runner.run(message.run), message)
    if (!admitted.ok) return admitted
    const { run, round } = message
    if (isMemberMessage(message)) {
      // What a member says is named by content, and said once: a repeat changes nothing, in whatever order it comes.
      const event = await this.#members.hear(admitted.value, from, message, signed)
      if (!event.ok || !event.value) return event
      const taken = await runner.advance(run, event.value)
      if (taken.ok && event.value.kind === 'reported') await this.#keep(admitted.value, from, event.value.vector)
      return taken
    }
    if (message.seq <= (this.#heard.get(from) ?? -1)) return refuse('replayed')
    const taken = await this.#advance(from, signed, message, admitted.value, { run, round })
    if (taken.ok) this.#heard.set(from, Math.max(message.seq, this.#heard.get(from) ?? 0))
    return taken
  }

  async #advance(
    node: NodeId,
    signed: Heard,
    message: Exclude<RoundMessage, MemberMessage>,
    current: Run,
    { run, round }: { run: RunId; round: number },
  ): Promise<Result<unknown>> {
    const { runner } = this.#doors
    switch (message.kind) {
      case 'join': {
        if (current.round?.phase !== 'selection') return refuse('wrong-phase', 'selection is over')
        const eligible = await this.#doors.eligibility.of(current.spec.federation, node)
        if (!eligible.ok) return eligible
        const advert = await this.#members.advert(current, current.round, message, signed)
        if (!advert.ok) return advert
        const { operator } = eligible.value
        return runner.advance(run, { kind: 'joined', round, node, operator, advert: message.advert })
      }
      case 'decline':
        if (!(await this.#isConcerned(current, node))) return refuse('not-a-member', 'the run is of a federation')
        return runner.advance(run, { kind: 'declined', round, node, reason: message.reason })
      case 'leave':
        if (!(await this.#isConcerned(current, node))) return refuse('not-a-member', 'the run is of a federation')
        return runner.advance(run, { kind: 'left', round, node, reason: message.reason })
      case 'report': {
        const shape = await this.#shapes.of(current)
        const collecting = admitReport(current, node, message, shape.payload)
        if (!collecting.ok) return collecting
        // A small vector comes along; a large one was uploaded before.
        const vector = signed.attached.find(({ cid }) => cid === message.vector)
        const payload = payloadIn(collecting.value.purpose, shape.payload)
        const whole = await shape.vectors.inspect(message.vector, payload, vector)
        if (!whole.ok) return whole
        const { seal, body } = sealOf(signed)
        await this.#doors.blobs.putBlocks([...(vector ? [vector] : []), body, seal])
        const { trainMillis } = message
        const taken = await runner.advance(run, {
          ...{ kind: 'reported', round, node, update: seal.cid },
          ...{ vector: message.vector, trainMillis },
        })
        if (taken.ok) await this.#keep(current, node, message.vector)
        return taken
      }
    }
  }

  /** Whether it was asked, or is in the round: of others no word, and no silence, may end a selection. */
  async #isConcerned({ spec, round }: Run, node: NodeId): Promise<boolean> {
    if (membersOf(round).includes(node)) return true
    return (await this.#doors.eligibility.among(spec.federation, [node])).length > 0
  }

  /** A vector that counts is a blob from now on, and added up. @param run before the report counted */
  async #keep(run: Run, node: NodeId, vector: Cid): Promise<void> {
    const { spec, round } = run
    if (round?.phase !== 'reporting' && round?.phase !== 'evaluation') return
    const { payload } = await this.#shapes.of(run)
    const store = vectorsOf(this.#doors, round.secure)
    await store.finish(vector)
    const reported = { seat: seatOf(round.cohort, node), vector, store }
    this.#doors.tally.add(spec.run, round.round, { ...reported, width: widthOf(payloadIn(round.purpose, payload)) })
  }

  #refuse(to: NodeId, message: ClientMessage | undefined, refusal: string, detail = ''): void {
    this.#doors.counters.count('frames_refused', refusal)
    if (!message || !('run' in message)) return
    const { run, round, kind } = message
    const why = { kind: 'refused', run, round, of: kind, refusal, detail: detail.slice(0, REASON_CHARS_MAX) } as const
    this.#doors.transport.send(to, say(this.#doors.signer, why)).catch((cause: unknown) => this.#fault(cause))
  }

  /** A node came back or is new: its current message in every run. */
  async #greet(node: NodeId): Promise<void> {
    await this.#announcer.brief(this.#doors.runner.runs(), node)
  }

  /** Its grace is over: whoever is linked to another process by now has not left. */
  async #miss(node: NodeId): Promise<void> {
    if (await this.#doors.presence.has(node)) return
    this.#heard.delete(node)
    for (const run of this.#doors.runner.runs()) {
      if (run.round && (await this.#isConcerned(run, node)))
        await this.#doors.runner.advance(run.spec.run, {
          kind: 'left',
          round: run.round.round,
          node,
          reason: 'link-lost',
        })
    }
  }

  /** After a restart nobody is linked yet: who holds a seat and does not come back within the grace has left. */
  #missAbsent(graceMillis: Millis, signal: AbortSignal): Promise<void> {
    const held = this.#doors.runner.runs().flatMap(({ round }) => membersOf(round))
    return this.#missUnseen(held, graceMillis, signal)
  }

  /** Whose process has died has the grace to come to another one. */
  async #missOrphans(graceMillis: Millis, signal: AbortSignal): Promise<void> {
    const { clock, presence } = this.#doors
    while (await passes(clock, ORPHANS_MILLIS, signal)) {
      const orphans = await presence.orphans().catch((cause: unknown) => {
        this.#fault(cause)
        return []
      })
      if (orphans.length > 0) void this.#missUnseen(orphans, graceMillis, signal)
    }
  }

  /**
   * Whoever has not been seen anywhere when the grace is over has left. Whoever has been came back: that it happens to be
   * away just then is the beginning of another grace, which the process that it went from keeps.
   */
  async #missUnseen(nodes: readonly NodeId[], graceMillis: Millis, signal: AbortSignal): Promise<void> {
    const { clock, presence } = this.#doors
    const unseen = new Set(nodes)
    this.#unseen.add(unseen)
    const until = clock.now() + graceMillis
    do {
      if (!(await passes(clock, Math.min(LOOK_MILLIS, until - clock.now()), signal))) break
      const seen = unseen.size > 0 ? await presence.nodes().catch(() => []) : []
      for (const node of seen) unseen.delete(node)
    } while (unseen.size > 0 && clock.now() < until)
    this.#unseen.delete(unseen)
    if (!signal.aborted) for (const node of unseen) this.#turn(node, 'miss', signal)
  }
}
