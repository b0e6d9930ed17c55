import { vectorBytesOf } from '#aggregation/vector.ts'
import { BrokenInvariant } from '#protocol/assert.ts'
import { frameOf, type Heard, open, type Signer, sealOf } from '#protocol/envelope.ts'
import type { Bytes, Cid, Millis, NodeId, RunId } from '#protocol/ids.ts'
import { FRAME_BYTES_MAX, REASON_CHARS_MAX } from '#protocol/limits.ts'
import { type ClientMessage, type CoordinatorMessage, readClientMessage, say } from '#protocol/messages.ts'
import type { BlobStore, Clock, CoordinatorTransport } from '#protocol/ports.ts'
import { type Result, refuse } from '#protocol/result.ts'
import { taskSchema } from '#protocol/task.ts'
import { issueTicket } from '#protocol/ticket.ts'
import { admit, admitReport, parametersReported } from './admit.ts'
import type { Counters } from './counters.ts'
import { quantiserOf } from './effects/open.ts'
import type { ReceiptMade } from './effects/settle.ts'
import { Inspection } from './inspection.ts'
import { invitation } from './invitation.ts'
import { parametersOf, readBlock } from './record.ts'
import { type Collecting, type Round, seatOf } from './round/round.ts'
import type { Run } from './run.ts'
import type { Advanced, Runner } from './runner.ts'

/** Frames of one node that may wait here; past it they are refused, so that a flood holds no memory. */
const WAITING_FRAMES_MAX = 16

export type GatewayDoors = {
  readonly transport: CoordinatorTransport
  readonly blobs: BlobStore
  readonly clock: Clock
  readonly signer: Signer
  /** MAC key of upload tickets. */
  readonly ticketKey: Bytes
  readonly runner: Runner
  readonly counters: Counters
  /** Told of broken invariants: the process stops. */
  readonly fatal: (cause: unknown) => void
}

/**
 * Where frames become events and events become frames. Inward: bounded, signed, meant for us, about the open round, and
 * (a report) whole, or refused by name and counted. Outward: a node's current message is read off the state, so telling
 * it again when it comes back needs no memory of what it has heard.
 */
export class Gateway {
  readonly #doors: GatewayDoors
  readonly #shapes = new Map<RunId, Promise<Shape>>()
  /** Each run's open round, as it is announced. */
  readonly #invites = new Map<RunId, { readonly plan: Cid; readonly frame: Promise<Bytes> }>()
  readonly #turns = new Map<NodeId, { last: Promise<void>; waiting: number }>()
  /** Highest sequence number accepted from a node: an older frame is a replay. */
  readonly #heard = new Map<NodeId, number>()

  constructor(doors: GatewayDoors) {
    this.#doors = doors
  }

  /** Serves the link until the signal fires. @param graceMillis how long a node may be away before its seat is given up */
  async serve(graceMillis: Millis, signal: AbortSignal): Promise<void> {
    let said = Promise.resolve()
    using _ = this.#doors.runner.subscribe((advanced) => {
      said = said.then(() => this.#announce(advanced))
    })
    void this.#missAbsent(graceMillis, signal)
    for await (const event of this.#doors.transport.events(signal)) {
      if (event.kind === 'frame') {
        const { from, frame } = event
        if ((this.#turns.get(from)?.waiting ?? 0) < WAITING_FRAMES_MAX) this.#turn(from, () => this.#hear(from, frame))
        else this.#doors.counters.count('frames_refused', 'too-many-frames')
      } else {
        const { kind, node } = event
        this.#turn(node, () => (kind === 'linked' ? this.#greet(node) : this.#leave(node)))
      }
    }
  }

  /** The receipt itself is the message. */
  tellReceipt({ node, receipt }: ReceiptMade): void {
    this.#doors.transport.send(node, frameOf(receipt)).catch((cause: unknown) => this.#fault(cause))
  }

  /** One node's frames in their order, nodes beside one another. */
  #turn(node: NodeId, act: () => Promise<void>): void {
    const turn = this.#turns.get(node) ?? { last: Promise.resolve(), waiting: 0 }
    turn.waiting++
    turn.last = turn.last
      .then(act)
      .catch((cause: unknown) => this.#fault(cause))
      .then(() => {
        if (--turn.waiting === 0) this.#turns.delete(node)
      })
    this.#turns.set(node, turn)
  }

  /** The world's fault is counted and costs one message; our own mistake stops the process. */
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
    const heard = await this.#take(from, opened.value, message.value)
    if (!heard.ok) this.#refuse(from, message.value, heard.refusal, heard.detail)
    else this.#doors.counters.count('frames_accepted', message.value.kind)
  }

  async #take(from: NodeId, signed: Heard, message: ClientMessage): Promise<Result<unknown>> {
    if (message.to !== this.#doors.signer.id) return refuse('wrong-coordinator')
    if (message.kind === 'hello') return refuse('wrong-phase', 'the link is open already')
    if (message.seq <= (this.#heard.get(from) ?? -1)) return refuse('replayed')
    const { runner } = this.#doors
    const admitted = admit(runner.run(message.run), message)
    if (!admitted.ok) return admitted
    const { run, round } = message
    const taken = await this.#advance(from, signed, message, admitted.value, { run, round })
    if (taken.ok) this.#heard.set(from, Math.max(message.seq, this.#heard.get(from) ?? 0))
    return taken
  }

  async #advance(
    node: NodeId,
    signed: Heard,
    message: Exclude<ClientMessage, { kind: 'hello' }>,
    current: Run,
    { run, round }: { run: RunId; round: number },
  ): Promise<Result<unknown>> {
    const { runner } = this.#doors
    switch (message.kind) {
      case 'join':
        return runner.advance(run, { kind: 'joined', round, node })
      case 'decline':
        return runner.advance(run, { kind: 'declined', round, node, reason: message.reason })
      case 'leave':
        return runner.advance(run, { kind: 'left', round, node, reason: message.reason })
      case 'report': {
        const shape = await this.#shapeOf(current)
        const collecting = admitReport(current, node, message, shape.parameters)
        if (!collecting.ok) return collecting
        // A small vector comes along; a large one was uploaded before.
        const vector = signed.attached.find(({ cid }) => cid === message.vector)
        const parameters = parametersReported(collecting.value, shape.parameters)
        const whole = await shape.vectors.inspect(message.vector, parameters, vector)
        if (!whole.ok) return whole
        const { seal, body } = sealOf(signed)
        await this.#doors.blobs.putBlocks([...(vector ? [vector] : []), body, seal])
        const { trainMillis } = message
        return runner.advance(run, { kind: 'reported', round, node, update: seal.cid, trainMillis })
      }
    }
  }

  #shapeOf(run: Run): Promise<Shape> {
    const id = run.spec.run
    const known = this.#shapes.get(id)
    if (known) return known
    const made = this.#readShape(run)
    this.#shapes.set(id, made)
    made.catch(() => this.#shapes.delete(id))
    return made
  }

  async #readShape(run: Run): Promise<Shape> {
    const task = await readBlock(this.#doors.blobs, run.spec.task, taskSchema)
    const parameters = await parametersOf(this.#doors.blobs, task.architecture)
    return { parameters, vectors: new Inspection(this.#doors.blobs, quantiserOf(run.spec, task)) }
  }

  #refuse(to: NodeId, message: ClientMessage | undefined, refusal: string, detail = ''): void {
    this.#doors.counters.count('frames_refused', refusal)
    if (!message || message.kind === 'hello') return
    const { run, round, kind } = message
    const why = { kind: 'refused', run, round, of: kind, refusal, detail: detail.slice(0, REASON_CHARS_MAX) } as const
    this.#say(to, why).catch((cause: unknown) => this.#fault(cause))
  }

  /** A node came back or is new: its current message in every run. */
  async #greet(node: NodeId): Promise<void> {
    for (const run of this.#doors.runner.runs()) await this.#sayCurrent(run, node)
  }

  async #sayCurrent(run: Run, node: NodeId): Promise<void> {
    const round = run.round
    if (!round) return
    if (round.phase === 'selection') {
      if (seatOf(round.joined, node) < 0) await this.#doors.transport.send(node, await this.#invite(run, round))
    } else if (round.phase === 'reporting' || round.phase === 'evaluation') {
      const seat = seatOf(round.cohort, node)
      if (seat >= 0 && round.seats[seat] === 'waiting') await this.#say(node, await this.#seated(run, round, seat))
    }
  }

  async #leave(node: NodeId): Promise<void> {
    this.#heard.delete(node)
    for (const run of this.#doors.runner.runs()) {
      if (run.round)
        await this.#doors.runner.advance(run.spec.run, {
          kind: 'left',
          round: run.round.round,
          node,
          reason: 'link-lost',
        })
    }
  }

  /** After a restart nobody is linked yet: who holds a seat and does not come back within the grace has left. */
  async #missAbsent(graceMillis: Millis, signal: AbortSignal): Promise<void> {
    const { clock, transport, runner } = this.#doors
    const held = runner.runs().flatMap(({ round }) => membersOf(round))
    try {
      await clock.wakeAt(clock.now() + graceMillis, signal)
    } catch {
      return
    }
    const here = new Set(transport.linked())
    for (const node of new Set(held)) if (!here.has(node)) this.#turn(node, () => this.#leave(node))
  }

  /** Says what a transition means to the nodes it concerns. */
  async #announce({ before, after }: Advanced): Promise<void> {
    const [was, is] = [before?.round, after.round]
    if (after.phase === 'ended') {
      this.#shapes.delete(after.spec.run)
      this.#invites.delete(after.spec.run)
    }
    try {
      if (was && (!is || is.round !== was.round)) await this.#sayEnded(before as Run, was, after)
      if (!is || (was?.round === is.round && was.phase === is.phase)) return
      if (is.phase === 'selection') await this.#sayToAll(this.#doors.transport.linked(), await this.#invite(after, is))
      if (is.phase !== 'reporting' && is.phase !== 'evaluation') return
      for (const [seat, node] of is.cohort.entries()) await this.#say(node, await this.#seated(after, is, seat))
      if (was?.phase !== 'selection') return
      const left = was.joined.filter((node) => seatOf(is.cohort, node) < 0)
      if (left.length > 0) await this.#sayToAll(left, this.#frame(endedOf(after, is.round, 'not-selected', '')))
    } catch (cause) {
      this.#fault(cause)
    }
  }

  async #sayEnded(before: Run, was: Round, after: Run): Promise<void> {
    const past = after.past[was.round - 1]
    const outcome = past?.manifest ? 'closed' : 'aborted'
    await this.#sayToAll(membersOf(was), this.#frame(endedOf(before, was.round, outcome, past?.reason ?? '')))
  }

  /** One frame for everybody, signed once, with what everybody will ask for next. */
  #invite(run: Run, round: Extract<Round, { phase: 'selection' }>): Promise<Bytes> {
    const id = run.spec.run
    const known = this.#invites.get(id)
    if (known?.plan === round.plan) return known.frame
    const frame = invitation(this.#doors.blobs, run, round).then((blocks) =>
      say(this.#doors.signer, inviteTo(run, round), blocks),
    )
    this.#invites.set(id, { plan: round.plan, frame })
    frame.catch(() => this.#invites.delete(id))
    return frame
  }

  async #seated(run: Run, round: Collecting, seat: number): Promise<CoordinatorMessage> {
    const { parameters } = await this.#shapeOf(run)
    const ticket = issueTicket(this.#doors.ticketKey, {
      run: run.spec.run,
      round: round.round,
      seat,
      sizeBytes: vectorBytesOf(parametersReported(round, parameters)),
      expiresAt: round.endsAt,
    })
    return {
      kind: 'seated',
      run: run.spec.run,
      round: round.round,
      plan: round.plan,
      seat,
      endsAt: round.endsAt,
      ticket,
    }
  }

  async #say(to: NodeId, message: CoordinatorMessage): Promise<void> {
    await this.#doors.transport.send(to, this.#frame(message))
  }

  async #sayToAll(nodes: readonly NodeId[], frame: Bytes): Promise<void> {
    await Promise.all(nodes.map((node) => this.#doors.transport.send(node, frame)))
  }

  #frame(message: CoordinatorMessage): Bytes {
    return say(this.#doors.signer, message)
  }
}

/** Who is waited for or has worked in a round. */
function membersOf(round: Round | undefined): readonly NodeId[] {
  if (round?.phase === 'selection') return round.joined
  return (round && 'cohort' in round && round.cohort) || []
}

/** What a run's vectors look like. */
type Shape = { readonly parameters: number; readonly vectors: Inspection }

function inviteTo(run: Run, round: Extract<Round, { phase: 'selection' }>): CoordinatorMessage {
  return { kind: 'invite', run: run.spec.run, round: round.round, plan: round.plan, closesAt: round.endsAt }
}

function endedOf(
  run: Run,
  round: number,
  outcome: 'closed' | 'aborted' | 'not-selected',
  reason: string,
): CoordinatorMessage {
  return { kind: 'ended', run: run.spec.run, round, outcome, reason }
}
