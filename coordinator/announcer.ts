import { payloadIn, vectorBytesOf, widthOf } from '#aggregation/vector.ts'
import type { Signer } from '#protocol/envelope.ts'
import type { Bytes, Cid, NodeId, RunId } from '#protocol/ids.ts'
import { type CoordinatorMessage, say } from '#protocol/messages.ts'
import type { BlobStore, Clock, CoordinatorTransport } from '#protocol/ports.ts'
import { issueTicket } from '#protocol/ticket.ts'
import { Briefing } from './briefing.ts'
import type { Eligibility } from './eligibility.ts'
import { invitation } from './invitation.ts'
import { mayBeMissed, Receipts } from './receipts.ts'
import { type Collecting, hasReported, isAmong, type Keys, type Round, seatOf } from './round/round.ts'
import type { Ending } from './round/session.ts'
import type { Run } from './run.ts'
import type { Advanced } from './runner.ts'
import type { Shapes } from './shapes.ts'

export type AnnouncerDoors = {
  readonly transport: CoordinatorTransport
  readonly blobs: BlobStore
  readonly vault: BlobStore
  readonly clock: Clock
  readonly signer: Signer
  readonly ticketKey: Bytes
  readonly shapes: Shapes
  readonly eligibility: Pick<Eligibility, 'invited'>
}

/**
 * What the coordinator says to its nodes. A node's current message is read off the state, so that telling it again when it
 * comes back needs no memory of what it has heard.
 */
export class Announcer {
  readonly #doors: AnnouncerDoors
  readonly #briefing: Briefing
  readonly #receipts: Receipts
  /** Each run's open round, as it is announced. */
  readonly #invites = new Map<RunId, { readonly plan: Cid; readonly frame: Promise<Bytes> }>()

  constructor(doors: AnnouncerDoors) {
    this.#doors = doors
    this.#briefing = new Briefing(doors)
    this.#receipts = new Receipts(doors.blobs)
  }

  /** Says what a transition means to the nodes it concerns. */
  async announce({ before, after, event }: Advanced): Promise<void> {
    const [was, is] = [before?.round, after.round]
    if (event.kind === 'settled' && event.receipts) await this.#sayReceipts(event.receipts)
    if (after.phase === 'ended') {
      this.#doors.shapes.forget(after.spec.run)
      this.#invites.delete(after.spec.run)
    }
    if (was && (!is || is.round !== was.round)) await this.#sayEnded(before as Run, was, after)
    if (!is || (was?.round === is.round && stageOf(was) === stageOf(is))) return
    if (is.phase === 'selection') await this.#sayToAll(await this.#invitees(after), await this.#invite(after, is))
    if (was?.round === is.round && was.phase === 'selection') await this.#sayUnseated(after, was, is)
    await this.#sayStage(after, was, is)
  }

  /** Every seat is told what it owes in the stage that begins. */
  async #sayStage(run: Run, was: Round | undefined, is: Round): Promise<void> {
    if (is.phase === 'selection' || !('cohort' in is) || !is.cohort) return
    // Sharing keys ended: whoever agreed has heard everything but that.
    if ((is.phase === 'reporting' || is.phase === 'evaluation') && is.session && was?.phase === 'keys') {
      const frames = await this.#briefing.mask(run, { ...is, session: is.session })
      const waiting = is.cohort.filter((_, seat) => is.seats[seat] === 'waiting')
      for (const frame of frames) await this.#sayToAll(waiting, frame)
      return
    }
    for (const [seat, node] of is.cohort.entries())
      for (const frame of await this.#current(run, is, seat)) await this.#doors.transport.send(node, frame)
  }

  async #sayUnseated(run: Run, was: Extract<Round, { phase: 'selection' }>, is: Round): Promise<void> {
    if (!('cohort' in is) || !is.cohort) return
    const { cohort } = is
    const left = was.joined.map(({ node }) => node).filter((node) => seatOf(cohort, node) < 0)
    if (left.length > 0) await this.#sayToAll(left, this.#frame(endedOf(run, is.round, 'not-selected', '')))
  }

  async #sayEnded(before: Run, was: Round, after: Run): Promise<void> {
    // It was told when the session began to be abandoned.
    if (was.phase === 'abandonment') return
    const past = after.past[was.round - 1]
    const outcome = past?.manifest ? 'closed' : 'aborted'
    await this.#sayToAll(membersOf(was), this.#frame(endedOf(before, was.round, outcome, past?.reason ?? '')))
  }

  /** To those who were paid and are linked here. */
  async #sayReceipts(list: Cid): Promise<void> {
    for (const [node, frame] of await this.#receipts.of(list)) await this.#doors.transport.send(node, frame)
  }

  /** A node came back or is new. Most runs are over and have nothing for it: looking at those costs it no turn. */
  async brief(runs: readonly Run[], node: NodeId): Promise<void> {
    const now = this.#doors.clock.now()
    for (const run of runs)
      if (run.round || run.endings.length > 0 || mayBeMissed(run, now)) await this.#briefOn(run, node)
  }

  /** Its current message in the run, after the receipts it may have missed. */
  async #briefOn(run: Run, node: NodeId): Promise<void> {
    const { clock, transport } = this.#doors
    for (const frame of await this.#receipts.missed(run, node, clock.now())) await transport.send(node, frame)
    // A member of a session that came to nothing while it was away: its word may free the others' inputs.
    for (const ending of run.endings)
      if (isAwaited(ending, node))
        await this.#doors.transport.send(node, this.#frame(endedOf(run, ending.round, 'aborted', 'session-over')))
    const round = run.round
    if (!round) return
    if (round.phase === 'selection') {
      const isFor = (await this.#invitees(run, [node])).length > 0
      if (isFor && !isAmong(round.joined, node)) await this.#doors.transport.send(node, await this.#invite(run, round))
      return
    }
    const seat = 'cohort' in round && round.cohort ? seatOf(round.cohort, node) : -1
    if (seat < 0) return
    const frames = await this.#current(run, round, seat)
    for (const frame of frames) await this.#doors.transport.send(node, frame)
  }

  /** Everything that a seat must have heard by now to do what it owes. */
  async #current(run: Run, round: Exclude<Round, { phase: 'selection' }>, seat: number): Promise<readonly Bytes[]> {
    switch (round.phase) {
      case 'keys':
        if (round.seats[seat] !== 'waiting' || !round.session.roster) return []
        if (round.step === 'dealing' && !round.session.dealt[seat]) return this.#seated(run, round, seat)
        if (round.step !== 'agreeing' || !round.session.shared?.members[seat] || round.session.answers[seat]) return []
        return this.#briefing.shared(run, round, seat)
      case 'reporting':
      case 'evaluation': {
        if (round.seats[seat] !== 'waiting') return []
        if (round.session === null) return this.#seated(run, round, seat)
        const masked = { ...round, session: round.session }
        const seated = await this.#seated(run, round, seat)
        const shared = await this.#briefing.shared(run, masked, seat)
        return [...seated, ...shared, ...(await this.#briefing.mask(run, masked))]
      }
      case 'consistency':
        return hasReported(round.seats[seat]) && round.session.survivors && !round.session.confirms[seat]
          ? this.#briefing.survivors(run, round)
          : []
      case 'unmasking': {
        if (!hasReported(round.seats[seat]) || round.session.unmasks[seat]) return []
        // Whoever confirmed has them.
        const survivors = round.session.confirms[seat] ? [] : await this.#briefing.survivors(run, round)
        return [...survivors, ...(await this.#briefing.certificate(run, round))]
      }
      case 'abandonment':
        return [this.#frame(endedOf(run, round.round, 'aborted', round.reason))]
      case 'aggregation':
      case 'settlement':
      case 'closed':
      case 'aborted':
        return []
    }
  }

  /** Those of the nodes, of all that are linked where none are named, whom the run is for. */
  #invitees({ spec }: Run, nodes = this.#doors.transport.linked()): Promise<readonly NodeId[]> {
    return this.#doors.eligibility.invited(spec.federation, nodes)
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

  /** The seat with its ticket; in a masked round with the roster, and then training and the session begin together. */
  async #seated(run: Run, round: Keys | Collecting, seat: number): Promise<readonly Bytes[]> {
    const { payload } = await this.#doors.shapes.of(run)
    const { session, secure } = round
    const endsAt = session ? session.deadlines[1] : round.endsAt
    const ticket = issueTicket(this.#doors.ticketKey, {
      run: run.spec.run,
      round: round.round,
      seat,
      sizeBytes: vectorBytesOf(widthOf(payloadIn(round.purpose, payload))),
      publish: secure?.publish ?? 'full',
      expiresAt: endsAt,
    })
    const { run: id } = run.spec
    const roster = session?.roster ?? null
    const word = {
      kind: 'seated',
      run: id,
      round: round.round,
      plan: round.plan,
      seat,
      endsAt,
      ticket,
      roster,
    } as const
    const before = session ? await this.#briefing.roster(run, { ...round, session }) : []
    return [...before, this.#frame(word)]
  }

  async #sayToAll(nodes: readonly NodeId[], frame: Bytes): Promise<void> {
    await Promise.all(nodes.map((node) => this.#doors.transport.send(node, frame)))
  }

  #frame(message: CoordinatorMessage): Bytes {
    return say(this.#doors.signer, message)
  }
}

/** Who is waited for or has worked in a round. */
export function membersOf(round: Round | undefined): readonly NodeId[] {
  if (round?.phase === 'selection') return round.joined.map(({ node }) => node)
  return (round && 'cohort' in round && round.cohort) || []
}

function isAwaited({ cohort, session }: Ending, node: NodeId): boolean {
  const seat = seatOf(cohort, node)
  return seat >= 0 && session.shared?.members[seat] === true && !session.certificate && !session.abandons[seat]
}

/** What nodes are told of as one thing: a phase, or a step of the phase in which keys are shared. */
function stageOf(round: Round): string {
  if (round.phase === 'keys') return `keys ${round.step}`
  return round.phase === 'consistency' ? `consistency ${round.session.survivors}` : round.phase
}

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
