import { type Block, type Heard, sealOf } from '#protocol/envelope.ts'
import type { Cid } from '#protocol/ids.ts'
import { Mailbox } from '#protocol/mailbox.ts'
import type { CoordinatorMessage } from '#protocol/messages.ts'
import type { RemoteStore } from '#protocol/ports.ts'
import type { Receipt } from '#protocol/receipt.ts'
import type { Refused } from '#protocol/result.ts'
import { inputKeyOf } from './asking.ts'
import { type CachedBlobs, cachedBlobs } from './block-cache.ts'
import { type Conduct, FREE } from './conduct.ts'
import { Considering } from './considering.ts'
import type { ClientDoors } from './doors.ts'
import type { SessionMessage } from './entry.ts'
import { type FulfilmentDoors, fulfil } from './fulfilment.ts'
import { HeldSeat } from './held-seat.ts'
import { Journal } from './journal.ts'
import { type JudgementDoors, judge } from './judgement.ts'
import { listen } from './listening.ts'
import { Measuring } from './measuring.ts'
import { type Progress, reasonOf, type Told } from './progress.ts'
import { Receipts } from './receipts.ts'
import { isNoNews, isTraining, mayKeep, NOTHING, overBy, type Place, type Seat } from './seat.ts'
import { Sessions } from './sessions.ts'
import { Voice } from './voice.ts'

/**
 * A node's whole life on the link: invited, it reads the plan, judges it by its own policy and joins; seated, it trains
 * and reports; told the round is over, it stops. Data never passes through here: only the trainer sees it, and only the
 * clipped, quantised delta comes out, in a masked round under masks that only a sum of many takes off.
 */
export async function* participate(doors: ClientDoors, signal: AbortSignal): AsyncIterable<Progress> {
  const progress = new Mailbox<Progress | Drained>()
  const stop = new AbortController()
  const ended = AbortSignal.any([signal, stop.signal])
  const node = new Participant(doors, (made) => progress.push(made), ended)
  using _ = doors.supervision?.watch(() => void node.obey())
  // Who takes the progress may be slow (a receipt is synced to the disk): the coordinator is not heard any faster.
  const keepUp = () => progress.room(PROGRESS_MAX, ended)
  const listening = listen(node, doors, ended, keepUp).finally(() => stop.abort())
  for await (const made of progress.items(ended)) {
    if (made === 'drained') break
    yield made
  }
  stop.abort()
  node.stop()
  await listening
}

/** What it tells last where it is to end, and has no seat any more. */
type Drained = 'drained'

/** What may wait to be told to the operator. */
const PROGRESS_MAX = 1024

/** Plans, manifests and small models of a few rounds, and the signed messages of a session of 128. */
const CACHE_BYTES_MAX = 2 ** 23

type Hear<K extends CoordinatorMessage['kind']> = Extract<CoordinatorMessage, { readonly kind: K }>

class Participant {
  readonly #doors: ClientDoors
  readonly #push: (progress: Progress | Drained) => void
  readonly #ended: AbortSignal
  readonly #blobs: CachedBlobs<RemoteStore>
  readonly #judging: JudgementDoors
  readonly #considering: Considering
  readonly #sessions: Sessions
  readonly #voice: Voice
  readonly #held: HeldSeat
  readonly #receipts = new Receipts()
  readonly #fulfilling: FulfilmentDoors
  readonly #measuring: Measuring | undefined
  /** Seats that are being given up. */
  #leaving = 0

  constructor(doors: ClientDoors, push: (progress: Progress | Drained) => void, ended: AbortSignal) {
    this.#doors = doors
    this.#ended = ended
    this.#blobs = cachedBlobs(doors.blobs, CACHE_BYTES_MAX)
    this.#judging = { ...doors, blobs: this.#blobs }
    this.#considering = new Considering(doors)
    this.#voice = new Voice(doors)
    this.#held = new HeldSeat(doors)
    this.#push = push
    this.#sessions = new Sessions({
      ...{ ...doors, blobs: this.#blobs, uncached: doors.blobs, journal: new Journal(doors.journal), ended },
      voice: this.#voice,
      tell: (place, made) => this.tell(place, made),
    })
    this.#fulfilling = { ...doors, blobs: this.#blobs, sessions: this.#sessions, voice: this.#voice, holder: this }
    this.#measuring = Measuring.open(doors, ended, {
      isFree: () => this.#conduct.trains && !isTraining(this.#held.seat),
      say: (word, blocks) => this.#voice.say(word, blocks),
    })
  }

  async linked(): Promise<void> {
    await this.#measuring?.announce()
    if (this.#doors.published) await this.#voice.say(this.#doors.published.word, this.#doors.published.blocks)
  }

  hear(message: CoordinatorMessage, heard: Heard): Promise<void> {
    return this.#hear(message, heard).finally(() => this.#endIfDone())
  }

  async #hear(message: CoordinatorMessage, heard: Heard): Promise<void> {
    this.#blobs.remember(heard.attached)
    switch (message.kind) {
      case 'invite':
        return this.#consider(message)
      case 'seated':
        return this.#sit(message, heard.attached)
      case 'shared':
      case 'mask':
      case 'survivors':
      case 'certificate':
        return this.#follow(message, heard.attached)
      case 'ended':
        return this.#end(message)
      case 'refused': {
        if (isNoNews(message, this.#held.of(message))) return
        return this.tell(message, { kind: 'refused', reason: whyOf(message) })
      }
      case 'receipt':
        return this.#keepReceipt(message, sealOf(heard).seal.cid)
      case 'measure':
        return void this.#measuring?.answer(message)
      case 'consider':
        return this.#answer(message, heard.attached)
      case 'blocks':
      case 'challenge':
        return
    }
  }

  async #answer(message: Hear<'consider'>, attached: readonly Block[]): Promise<void> {
    const answer = this.#conduct.answers ? await this.#considering.answer(message, attached) : undefined
    if (answer) await this.#voice.say(answer)
  }

  missed(message: CoordinatorMessage, cause: unknown): void {
    if ('run' in message) this.tell(message, { kind: 'failed', reason: `${message.kind}: ${reasonOf(cause)}` })
  }

  /** Whoever runs this machine has its way at once, whatever a round is at. Never throws. */
  async obey(): Promise<void> {
    const { heldBack, ends, trains } = this.#conduct
    if (!trains) this.#measuring?.interrupt()
    const seat = this.#held.seat
    if (seat && heldBack && !mayKeep(seat, this.#conduct)) {
      this.tell(seat, { kind: 'left', reason: heldBack })
      await this.leave(seat, heldBack).catch((fault: unknown) =>
        this.tell(seat, { kind: 'failed', reason: reasonOf(fault) }),
      )
    } else if (seat && ends) {
      // A coordinator that is away says no end.
      this.#doors.clock.wakeAt(overBy(seat), this.#ended).then(
        () => this.#held.drop(seat, 'its time is over').finally(() => this.#endIfDone()),
        () => undefined,
      )
    }
    this.#endIfDone()
  }

  /** The process ends: nothing is held any more, and nothing more is said. */
  stop(): void {
    this.#held.stop()
  }

  get #conduct(): Conduct {
    return this.#doors.supervision?.conduct ?? FREE
  }

  #endIfDone(): void {
    if (this.#conduct.ends && !this.#held.seat && this.#leaving === 0) this.#push('drained')
  }

  async #consider(message: Hear<'invite'>): Promise<void> {
    const { run, round, plan, closesAt } = message
    const seat = this.#held.of(message)
    if (seat) {
      if (seat.stage !== 'joined') return
      return seat.membership ? seat.membership.join() : this.#voice.send(seat.frame)
    }
    const { heldBack } = this.#conduct
    if (heldBack) return this.#decline(message, { refusal: heldBack })
    if (this.#held.isBusyElsewhere(run)) return this.#decline(message, { refusal: 'busy' })
    const assignment = await judge(this.#judging, plan, message)
    if (!assignment.ok) return this.#decline(message, assignment)
    const inputKey = await inputKeyOf(assignment.value, this.#doors.statistician)
    if (!inputKey.ok) return this.#decline(message, inputKey)
    const entry = { run, round, plan, closesAt, assignment: assignment.value, inputKey: inputKey.value }
    const stop = new AbortController()
    const entered = await this.#sessions.enter(entry, stop)
    if (!entered.ok) return this.#decline(message, entered)
    const membership = entered.value
    await this.#held.drop(this.#held.seat, 'a newer round')
    const meanwhile = this.#conduct.heldBack
    if (meanwhile) {
      membership?.erase()
      return this.#decline(message, { refusal: meanwhile })
    }
    const frame = membership ? NOTHING : this.#voice.frame({ kind: 'join', run, round, advert: null })
    this.#held.seat = { ...entry, membership, frame, stage: 'joined', stop }
    this.tell(message, { kind: 'joined' })
    await (membership ? membership.join() : this.#voice.send(frame))
  }

  async #sit(message: Hear<'seated'>, attached: readonly Block[]): Promise<void> {
    const { run, round, plan, endsAt, ticket } = message
    let seat = this.#held.of(message)
    if (seat?.membership)
      return seat.membership.isClosed ? this.#sitAgain(message) : this.#sitMasked(seat, message, attached)
    if (seat) {
      if (seat.stage === 'reported') return this.#voice.send(seat.frame)
      if (seat.plan !== plan) return this.leave(message, 'foreign-plan')
      if (seat.stage === 'training') return this.#doors.useTicket(ticket)
    } else {
      if (this.#held.seat?.stage === 'training' && this.#held.isBusyElsewhere(run)) return this.leave(message, 'busy')
      // We joined before a restart and came back in time: the same data, seeds and model give the same update.
      const assignment = await judge(this.#judging, plan, message)
      if (!assignment.ok) return this.leave(message, assignment.refusal)
      if (assignment.value.plan.secure !== null) return this.#sitAgain(message)
      const plain = await this.#sessions.checkPlain(assignment.value.plan)
      if (!plain.ok) return this.leave(message, plain.refusal)
      await this.#held.drop(this.#held.seat, 'a newer round')
      const { heldBack } = this.#conduct
      if (heldBack) return this.leave(message, heldBack)
      seat = {
        ...{ run, round, plan, closesAt: endsAt, assignment: assignment.value, frame: NOTHING, stage: 'joined' },
        ...{ inputKey: assignment.value.plan.model, membership: undefined, stop: new AbortController() },
      }
      this.#held.seat = seat
    }
    this.#doors.useTicket(ticket)
    this.#begin(seat, message)
  }

  /** Keys are dealt first, so that a roster which is not what the site insists on costs no training. */
  async #sitMasked(seat: Seat, message: Hear<'seated'>, attached: readonly Block[]): Promise<void> {
    if (seat.plan !== message.plan) return this.leave(message, 'foreign-plan')
    this.#doors.useTicket(message.ticket)
    await this.#follow(message, attached)
    if (this.#held.seat === seat && seat.stage === 'joined' && !seat.membership?.isOver) this.#begin(seat, message)
  }

  /** The keys that were advertised are gone, with the process that made them or by their time. */
  async #sitAgain(message: Hear<'seated'>): Promise<void> {
    if (!this.#conduct.answers) return this.leave(message, 'stopped')
    this.#doors.useTicket(message.ticket)
    if (!(await this.#sessions.recollect(message))) await this.leave(message, 'keys-gone')
  }

  #begin(seat: Seat, { seat: number }: Hear<'seated'>): void {
    seat.stage = 'training'
    this.#measuring?.interrupt()
    this.tell(seat, { kind: 'seated', seat: number, purpose: seat.assignment.plan.purpose })
    void fulfil(seat, number, this.#fulfilling)
  }

  /** What a coordinator says to a member of a session. */
  async #follow(message: SessionMessage, attached: readonly Block[]): Promise<void> {
    const membership = this.#held.of(message)?.membership
    if (!membership || membership.isClosed) {
      if (!this.#conduct.answers) return this.leave(message, 'stopped')
      const answered = this.#sessions.recollect(message)
      // To hand over a large vector takes its time: nobody else waits for it.
      if (message.kind === 'mask') answered.catch((cause: unknown) => this.missed(message, cause))
      else await answered
      return
    }
    const heard = await membership.hear(message, attached)
    if (!heard.ok) await this.withdraw(message, heard)
  }

  async #end(message: Hear<'ended'>): Promise<void> {
    const { outcome, reason } = message
    await this.#held.drop(this.#held.of(message), 'the round is over', outcome === 'aborted' ? 'abandoned' : 'closed')
    this.tell(message, { kind: 'ended', outcome: reason ? `${outcome}: ${reason}` : outcome })
    await this.#sessions.recollect(message)
  }

  /** A receipt is told again to who was away, so to some who were not. */
  async #keepReceipt(message: Receipt, receipt: Cid): Promise<void> {
    const { node, amount } = message
    if (node !== this.#doors.signer.id) return this.tell(message, { kind: 'failed', reason: 'receipt: not ours' })
    if (!this.#receipts.isNew(receipt)) return
    this.tell(message, { kind: 'paid', amount, receipt })
  }

  async #decline(place: Place, refused: Refusing): Promise<void> {
    this.tell(place, { kind: 'declined', reason: whyOf(refused) })
    await this.#voice.speak(place, { utterance: { kind: 'decline', reason: refused.refusal }, blocks: [] })
  }

  /** Something was asked of this node that it never does. */
  async withdraw(place: Place, refused: Refusing): Promise<void> {
    this.tell(place, { kind: 'failed', reason: whyOf(refused) })
    await this.leave(place, refused.refusal)
  }

  async leave(place: Place, reason: string): Promise<void> {
    this.#leaving++
    try {
      await this.#held.drop(this.#held.of(place), reason)
      await this.#voice.speak(place, { utterance: { kind: 'leave', reason }, blocks: [] })
    } finally {
      this.#leaving--
      this.#endIfDone()
    }
  }

  tell({ run, round }: Place, made: Told): void {
    this.#push({ ...made, run, round })
  }
}

type Refusing = Pick<Refused, 'refusal' | 'detail'>

function whyOf({ refusal, detail }: Refusing): string {
  return detail ? `${refusal}: ${detail}` : refusal
}
