import { clip } from '#aggregation/clip.ts'
import { evaluationRowsMax, quantise } from '#aggregation/quantise.ts'
import { uint32Stream } from '#aggregation/rng.ts'
import { encodeLanes } from '#aggregation/vector.ts'
import { BrokenInvariant } from '#protocol/assert.ts'
import { once } from '#protocol/bytes.ts'
import { cidOf, RAW } from '#protocol/cid.ts'
import { type Block, type Heard, isAttachable, open, type Signer, sealOf } from '#protocol/envelope.ts'
import type { Amount, Bytes, Cid, Millis, NodeId, Round, RunId } from '#protocol/ids.ts'
import { FRAME_BYTES_MAX } from '#protocol/limits.ts'
import { Mailbox } from '#protocol/mailbox.ts'
import { type ClientMessage, type CoordinatorMessage, readCoordinatorMessage, say } from '#protocol/messages.ts'
import {
  type BlobStore,
  type ClientTransport,
  type Clock,
  type TrainerBackend,
  TrainingRefused,
  type TrainProgress,
} from '#protocol/ports.ts'
import type { Receipt } from '#protocol/receipt.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { holdoutSeed, quantiseSeed, shuffleSeed } from '#protocol/seeds.ts'
import { type Assignment, readAssignment } from './assignment.ts'
import { type CachedBlobs, cachedBlobs } from './block-cache.ts'
import type { Policy } from './policy.ts'
import { type Seat, seatIn } from './seat.ts'
import type { Sequence } from './sequence.ts'

/** What a node's core needs of the world. */
export type ClientDoors = {
  readonly transport: ClientTransport
  readonly blobs: BlobStore
  readonly trainer: TrainerBackend
  readonly clock: Clock
  readonly signer: Signer
  /** 32 bytes, the root of the node's private randomness. */
  readonly secret: Bytes
  /** The pinned coordinator: nobody else is listened to. */
  readonly coordinator: NodeId
  readonly sequence: Sequence
  readonly policy: Policy
  /** Hands the upload ticket of the seat to the blob store. */
  readonly useTicket: (ticket: string) => void
}

/** What a node tells its operator. */
export type Progress =
  | { readonly kind: 'joined'; readonly run: RunId; readonly round: Round }
  /** Training begins. */
  | { readonly kind: 'seated'; readonly run: RunId; readonly round: Round; readonly seat: number }
  | { readonly kind: 'declined'; readonly run: RunId; readonly round: Round; readonly reason: string }
  | ({ readonly kind: 'training'; readonly run: RunId; readonly round: Round } & TrainProgress)
  | {
      readonly kind: 'reported'
      readonly run: RunId
      readonly round: Round
      readonly bytes: number
      readonly trainMillis: Millis
    }
  | { readonly kind: 'refused'; readonly run: RunId; readonly round: Round; readonly reason: string }
  | { readonly kind: 'failed'; readonly run: RunId; readonly round: Round; readonly reason: string }
  | { readonly kind: 'ended'; readonly run: RunId; readonly round: Round; readonly outcome: string }
  | {
      readonly kind: 'paid'
      readonly run: RunId
      readonly round: Round
      readonly amount: Amount
      readonly receipt: Cid
    }

/**
 * A node's whole life on the link: invited, it reads the plan, judges it by its own policy and joins; seated, it trains
 * and reports; told the round is over, it stops. Data never passes through here: only the trainer sees it, and only the
 * clipped, quantised delta comes out.
 */
export async function* participate(doors: ClientDoors, signal: AbortSignal): AsyncIterable<Progress> {
  const progress = new Mailbox<Progress>()
  const stop = new AbortController()
  const ended = AbortSignal.any([signal, stop.signal])
  const node = new Participant(doors, (made) => progress.push(made))
  const listening = listen(node, doors, ended).finally(() => stop.abort())
  yield* progress.items(ended)
  node.abandon('node-stops')
  await listening
}

async function listen(node: Participant, { transport, coordinator }: ClientDoors, signal: AbortSignal): Promise<void> {
  for await (const event of transport.events(signal)) {
    if (event.kind === 'linked') continue
    const signed = open(event.frame, FRAME_BYTES_MAX)
    if (!signed.ok || signed.value.from !== coordinator) continue
    const message = readCoordinatorMessage(signed.value)
    if (!message.ok) continue
    try {
      await node.hear(message.value, signed.value)
    } catch (cause) {
      // The world's fault (a block that cannot be fetched) costs this message, not the node.
      if (signal.aborted) return
      if (cause instanceof BrokenInvariant) throw cause
      node.missed(message.value, cause)
    }
  }
}

/** Plans, manifests and small models of a few rounds. */
const CACHE_BYTES_MAX = 2 ** 22

class Participant {
  readonly #doors: ClientDoors
  readonly #tell: (progress: Progress) => void
  readonly #blobs: CachedBlobs
  #seat: Seat | undefined

  constructor(doors: ClientDoors, tell: (progress: Progress) => void) {
    this.#doors = doors
    this.#blobs = cachedBlobs(doors.blobs, CACHE_BYTES_MAX)
    this.#tell = tell
  }

  async hear(message: CoordinatorMessage, heard: Heard): Promise<void> {
    this.#blobs.remember(heard.attached)
    switch (message.kind) {
      case 'invite':
        return this.#consider(message)
      case 'seated':
        return this.#sit(message)
      case 'ended':
        return this.#end(message)
      case 'refused': {
        const { run, round, refusal, detail } = message
        this.#tell({ kind: 'refused', run, round, reason: detail ? `${refusal}: ${detail}` : refusal })
        return
      }
      case 'receipt':
        return this.#keepReceipt(message, sealOf(heard).seal.cid)
      case 'challenge':
        return
    }
  }

  missed(message: CoordinatorMessage, cause: unknown): void {
    if (!('run' in message)) return
    const { run, round, kind } = message
    const reason = `${kind}: ${cause instanceof Error ? cause.message : String(cause)}`
    this.#tell({ kind: 'failed', run, round, reason })
  }

  /** Stops whatever is being trained. */
  abandon(reason: string): void {
    this.#seat?.stop.abort(new Error(reason))
    this.#seat = undefined
  }

  async #consider({ run, round, plan, closesAt }: Extract<CoordinatorMessage, { kind: 'invite' }>): Promise<void> {
    const seat = this.#seat
    if (seat?.run === run && seat.round === round) {
      if (seat.stage === 'joined') await this.#doors.transport.send(seat.frame)
      return
    }
    if (this.#isBusyElsewhere(run)) return this.#decline(run, round, 'busy')
    const assignment = await this.#read(plan, run, round)
    if (!assignment.ok) return this.#decline(run, round, assignment.refusal, assignment.detail)
    this.abandon('a newer round')
    const frame = this.#frame({ kind: 'join', ...this.#said(), run, round })
    this.#seat = seatIn({ run, round, plan, closesAt }, assignment.value, frame)
    this.#tell({ kind: 'joined', run, round })
    await this.#doors.transport.send(frame)
  }

  async #sit(message: Extract<CoordinatorMessage, { kind: 'seated' }>): Promise<void> {
    const { run, round, plan, endsAt, ticket } = message
    let seat = this.#seat
    if (seat?.run === run && seat.round === round) {
      if (seat.stage === 'reported') return this.#doors.transport.send(seat.frame)
      if (seat.plan !== plan) return this.#leave(run, round, 'foreign-plan')
      if (seat.stage === 'training') return this.#doors.useTicket(ticket)
    } else {
      if (this.#seat?.stage === 'training' && this.#isBusyElsewhere(run)) return this.#leave(run, round, 'busy')
      // We joined before a restart and came back in time: the same data, seeds and model give the same update.
      const assignment = await this.#read(plan, run, round)
      if (!assignment.ok) return this.#leave(run, round, assignment.refusal)
      this.abandon('a newer round')
      seat = seatIn({ run, round, plan, closesAt: endsAt }, assignment.value, new Uint8Array(0))
      this.#seat = seat
    }
    seat.stage = 'training'
    this.#doors.useTicket(ticket)
    this.#tell({ kind: 'seated', run, round, seat: message.seat })
    void this.#work(seat, message)
  }

  #isBusyElsewhere(run: RunId): boolean {
    const seat = this.#seat
    if (!seat || seat.run === run || seat.stage === 'reported') return false
    return seat.stage === 'training' || this.#doors.clock.now() < seat.closesAt
  }

  /** Trains and reports. Never throws: what goes wrong gives the seat up, with the reason. */
  async #work(seat: Seat, seated: Extract<CoordinatorMessage, { kind: 'seated' }>): Promise<void> {
    const { run, round, stop } = seat
    try {
      const made = await this.#train(seat)
      if (!made.ok) return await this.#leave(run, round, made.refusal)
      const vector = encodeLanes(made.value.lanes)
      // A small vector travels with its report; a large one goes ahead, under the seat's ticket.
      const attached = isAttachable(vector.length) ? [{ cid: cidOf(RAW, vector), bytes: vector }] : []
      const cid = attached[0]?.cid ?? (await this.#blobs.put(once(vector), vector.length, stop.signal))
      if (stop.signal.aborted) return
      const { trainMillis } = made.value
      const report = {
        ...{ kind: 'report' as const, ...this.#said() },
        ...{ run, round, seat: seated.seat, plan: seat.plan, model: seat.assignment.plan.model },
        ...{ vector: cid, sizeBytes: vector.length, lanes: made.value.lanes.length, trainMillis },
      }
      seat.frame = this.#frame(report, attached)
      seat.stage = 'reported'
      await this.#doors.transport.send(seat.frame)
      this.#tell({ kind: 'reported', run, round, bytes: vector.length, trainMillis })
    } catch (cause) {
      if (stop.signal.aborted) return
      const reason = cause instanceof TrainingRefused ? cause.reason : 'fault'
      this.#tell({ kind: 'failed', run, round, reason: cause instanceof Error ? cause.message : String(cause) })
      await this.#leave(run, round, reason)
    }
  }

  async #train({ run, round, assignment, stop }: Seat): Promise<Result<{ lanes: Uint32Array; trainMillis: Millis }>> {
    const { plan, task, architecture, weights } = assignment
    const { secret, trainer } = this.#doors
    const update = await trainer.fit(
      weights,
      {
        task,
        architecture,
        purpose: plan.purpose,
        shuffleSeed: shuffleSeed(secret, plan.task, round),
        holdoutSeed: holdoutSeed(secret, plan.task),
        evaluationRowsMax: evaluationRowsMax(plan.quantiser),
      },
      stop.signal,
      (at) => this.#tell({ kind: 'training', run, round, ...at }),
    )
    const { delta, examples, evaluation, trainMillis } = update
    const lanes = quantise(
      // Nothing was trained on in an evaluate round; a report weighs at least 1 all the same.
      {
        delta: clip(delta, plan.quantiser.rangeMicro / 1e6),
        weight: plan.purpose === 'train' ? examples : 1,
        evaluation,
      },
      plan.quantiser,
      uint32Stream(quantiseSeed(secret, plan.task, round)),
    )
    return lanes.ok ? accept({ lanes: lanes.value, trainMillis: Math.round(trainMillis) }) : lanes
  }

  async #end({ run, round, outcome, reason }: Extract<CoordinatorMessage, { kind: 'ended' }>): Promise<void> {
    if (this.#seat?.run === run && this.#seat.round === round) this.abandon('the round is over')
    this.#tell({ kind: 'ended', run, round, outcome: reason ? `${outcome}: ${reason}` : outcome })
  }

  async #keepReceipt({ run, round, node, amount }: Receipt, receipt: Cid): Promise<void> {
    if (node !== this.#doors.signer.id) return this.#tell({ kind: 'failed', run, round, reason: 'receipt: not ours' })
    this.#tell({ kind: 'paid', run, round, amount, receipt })
  }

  /** Reads a plan and everything under it, and judges it: a node trains only what it has checked for itself. */
  async #read(cid: Cid, run: RunId, round: Round): Promise<Result<Assignment>> {
    try {
      const assignment = await readAssignment(this.#blobs, this.#doors.coordinator, cid)
      if (!assignment.ok) return assignment
      const { plan } = assignment.value
      if (plan.run !== run || plan.round !== round) return refuse('foreign-plan')
      const allowed = this.#doors.policy(assignment.value)
      return allowed.ok ? assignment : allowed
    } catch (cause) {
      return refuse('fault', cause instanceof Error ? cause.message : String(cause))
    }
  }

  async #decline(run: RunId, round: Round, reason: string, detail = ''): Promise<void> {
    this.#tell({ kind: 'declined', run, round, reason: detail ? `${reason}: ${detail}` : reason })
    await this.#doors.transport.send(this.#frame({ kind: 'decline', ...this.#said(), run, round, reason }))
  }

  async #leave(run: RunId, round: Round, reason: string): Promise<void> {
    if (this.#seat?.run === run && this.#seat.round === round) this.abandon(reason)
    await this.#doors.transport.send(this.#frame({ kind: 'leave', ...this.#said(), run, round, reason }))
  }

  #said(): { readonly to: NodeId; readonly seq: number } {
    return { to: this.#doors.coordinator, seq: this.#doors.sequence.next() }
  }

  #frame(message: ClientMessage, attached: readonly Block[] = []): Bytes {
    return say(this.#doors.signer, message, attached)
  }
}
