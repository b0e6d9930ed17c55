import { checkParcel, checkUnmask } from '#aggregation/secagg/aggregator.ts'
import { parcelSchema } from '#aggregation/secagg/messages.ts'
import {
  checkAdvert,
  checkMaskedInput,
  checkShareKeys,
  type Session,
  type SpeechRefusal,
  speaker,
} from '#aggregation/secagg/session.ts'
import { equalBytes } from '#protocol/bytes.ts'
import type { Heard } from '#protocol/envelope.ts'
import type { NodeId } from '#protocol/ids.ts'
import type { ClientMessage } from '#protocol/messages.ts'
import type { BlobStore, PartsStore } from '#protocol/ports.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { complaintListSchema } from './effects/session.ts'
import type { Unstamped } from './live.ts'
import type { MaskedInspection } from './masked-inspection.ts'
import { Parcels } from './parcels.ts'
import { blockOf } from './record.ts'
import { sessionUntil } from './retention.ts'
import { type MaskedSeated, type Round, seatOf } from './round/round.ts'
import type { Run } from './run.ts'
import { attachedSaid, keepSaid, lendSaid } from './said.ts'
import type { Sessions } from './sessions.ts'

/** What a member of a session says, and only that. */
export type MemberMessage = Extract<
  ClientMessage,
  { readonly kind: 'deal' | 'agree' | 'object' | 'submit' | 'confirm' | 'unmask' | 'abandon' }
>
type Say<K extends MemberMessage['kind']> = Extract<MemberMessage, { readonly kind: K }>

export function isMemberMessage(message: ClientMessage): message is MemberMessage {
  return KINDS.has(message.kind)
}

const KINDS: ReadonlySet<ClientMessage['kind']> = new Set([
  'deal',
  'agree',
  'object',
  'submit',
  'confirm',
  'unmask',
  'abandon',
] as const)

export type MemberDoors = {
  readonly blobs: BlobStore
  /** Boxes and shares: nobody outside may read them. */
  readonly vault: PartsStore
  /** Masked vectors of which only the hash is public. */
  readonly withheld: BlobStore
  readonly sessions: Sessions
  readonly inspection: MaskedInspection
}

/**
 * The coordinator's ear in a session: each message is judged against the statements that were signed so far, by the same
 * checks as anyone's, kept, and becomes an event; or it is refused by name and leaves nothing behind.
 */
export class Members {
  readonly #doors: MemberDoors
  readonly #parcels = new Parcels()

  constructor(doors: MemberDoors) {
    this.#doors = doors
  }

  /** A key advert that a masked round's roster could take. @returns its name, kept */
  async advert(
    { spec }: Run,
    round: Extract<Round, { phase: 'selection' }>,
    { advert: cid }: Extract<ClientMessage, { kind: 'join' }>,
    heard: Heard,
  ): Promise<Result<undefined>> {
    const { secure } = round
    if (!secure) return cid === null ? accept(undefined) : refuse('not-masked', 'this round takes no key advert')
    if (cid === null) return refuse('advert-missing', 'a masked round takes a key advert with the join')
    const advert = await attachedSaid(heard, 'Advert', cid)
    if (!advert.ok) return advert
    const terms = {
      suite: secure.suite,
      task: spec.task,
      round: round.round,
      keysDue: round.endsAt + round.timing.keysMillis,
      weightMax: 1,
    }
    const checked = checkAdvert(advert.value, terms)
    if (!checked.ok) return checked
    await keepSaid(this.#doors.blobs, advert.value)
    return accept(undefined)
  }

  /** What came in parts and was not finished while it was due. */
  forget({ spec, round }: Run): void {
    if (round?.phase !== 'keys' || round.step !== 'dealing') this.#parcels.forget(spec.run)
  }

  /** @returns the event, or undefined where more is to come */
  hear(run: Run, node: NodeId, message: MemberMessage, heard: Heard): Promise<Result<Unstamped | undefined>> {
    switch (message.kind) {
      case 'deal':
        return this.#deal(run, node, message, heard)
      case 'agree':
        return this.#agree(run, node, message)
      case 'object':
        return this.#object(run, node, message, heard)
      case 'submit':
        return this.#submit(run, node, message, heard)
      case 'confirm':
        return this.#confirm(run, node, message, heard)
      case 'unmask':
        return this.#unmask(run, node, message, heard)
      case 'abandon':
        return this.#abandon(run, node, message, heard)
    }
  }

  async #deal(run: Run, node: NodeId, message: Say<'deal'>, heard: Heard): Promise<Result<Unstamped | undefined>> {
    const round = run.round
    if (round?.phase !== 'keys' || round.step !== 'dealing') return refuse('wrong-phase', 'no keys are due')
    const seat = seatOf(round.cohort, node)
    if (seat < 0) return refuse('not-in-cohort')
    if (round.seats[seat] !== 'waiting') return refuse('seat-gone')
    if (round.session.dealt[seat]) return refuse('said-already')
    const session = await this.#doors.sessions.session(round.session)
    const whole = this.#parcels.take(round, seat, message, heard)
    if (!whole.ok || whole.value === undefined) return whole as Result<undefined>
    const keys = await attachedSaid({ ...heard, attached: whole.value.beside }, 'ShareKeys', message.keys)
    if (!keys.ok) return keys
    const dealer = isOf(seat, checkShareKeys(session, keys.value))
    if (!dealer.ok) return dealer
    const sound = checkParcel(keys.value, whole.value.parcel)
    if (!sound.ok) return sound
    const parcel = blockOf(parcelSchema, whole.value.parcel)
    await this.#doors.vault.putParts(parcel.cid, [parcel], sessionUntil(run))
    await keepSaid(this.#doors.blobs, keys.value)
    return accept({ kind: 'dealt', round: round.round, node, keys: keys.value.cid, parcel: parcel.cid })
  }

  async #agree(run: Run, node: NodeId, { shared }: Say<'agree'>): Promise<Result<Unstamped>> {
    const round = agreeing(run)
    if (!round.ok) return round
    if (shared !== round.value.session.shared?.cid) return refuse('another-sharing')
    return accept({ kind: 'agreed', round: round.value.round, node })
  }

  async #object(run: Run, node: NodeId, message: Say<'object'>, heard: Heard): Promise<Result<Unstamped>> {
    const open = agreeing(run)
    if (!open.ok) return open
    const round = open.value
    const seat = seatOf(round.cohort, node)
    if (message.shared !== round.session.shared?.cid) return refuse('another-sharing')
    const sharing = await this.#doors.sessions.sharing(round.session)
    const said = []
    for (const cid of message.complaints) {
      const complaint = await attachedSaid(heard, 'Complaint', cid)
      if (!complaint.ok) return complaint
      const by = isOf(seat, speaker(sharing.session, complaint.value))
      if (!by.ok) return by
      const { v, cid: about } = complaint.value.body
      if (sharing.keys.get(v)?.cid !== about) return refuse('another-sharing', `no such keys of member ${v}`)
      said.push(complaint.value)
    }
    const list = blockOf(complaintListSchema, message.complaints)
    await this.#doors.blobs.putBlocks([list])
    await keepSaid(this.#doors.blobs, ...said)
    return accept({ kind: 'objected', round: round.round, node, complaints: list.cid })
  }

  async #submit(run: Run, node: NodeId, message: Say<'submit'>, heard: Heard): Promise<Result<Unstamped>> {
    const round = run.round
    if ((round?.phase !== 'reporting' && round?.phase !== 'evaluation') || !round.session)
      return refuse('wrong-phase', 'no masked input is due')
    const seat = seatOf(round.cohort, node)
    if (seat < 0) return refuse('not-in-cohort')
    const state = round.seats[seat]
    if (state !== 'waiting') return refuse(state && 'update' in state ? 'already-reported' : 'seat-gone')
    const sharing = await this.#doors.sessions.sharing(round.session)
    const input = await attachedSaid(heard, 'MaskedInput', message.input)
    if (!input.ok) return input
    const member = isOf(seat, checkMaskedInput(sharing, input.value))
    if (!member.ok) return member
    const { cid, bytes, sha256 } = input.value.body
    if (cid !== undefined && cid !== message.vector) return refuse('wrong-vector', `signed is ${cid}`)
    // A small vector comes along; a large one was uploaded before.
    const store = cid === undefined ? this.#doors.withheld : this.#doors.blobs
    const here = heard.attached.find((block) => block.cid === message.vector)
    const whole = await this.#doors.inspection.inspect(store, message.vector, { bytes, sha256 }, here)
    if (!whole.ok) return whole
    if (here) await store.putBlocks([here])
    await keepSaid(this.#doors.blobs, input.value)
    const { vector, trainMillis } = message
    return accept({ kind: 'reported', round: round.round, node, update: input.value.cid, vector, trainMillis })
  }

  async #confirm(run: Run, node: NodeId, message: Say<'confirm'>, heard: Heard): Promise<Result<Unstamped>> {
    const round = run.round
    if (round?.phase !== 'consistency' || !round.session.survivors) return refuse('wrong-phase', 'nothing to confirm')
    const survival = await this.#doors.sessions.survival(round.session)
    const confirm = await attachedSaid(heard, 'Confirm', message.confirm)
    if (!confirm.ok) return confirm
    const member = isOf(seatOf(round.cohort, node), speaker(survival.sharing.session, confirm.value))
    if (!member.ok) return member
    if (!equalBytes(confirm.value.body.u3Hash, survival.hash)) return refuse('another-set')
    await keepSaid(this.#doors.blobs, confirm.value)
    return accept({ kind: 'confirmed', round: round.round, node, confirm: confirm.value.cid })
  }

  async #unmask(run: Run, node: NodeId, message: Say<'unmask'>, heard: Heard): Promise<Result<Unstamped>> {
    const round = run.round
    if (round?.phase !== 'unmasking') return refuse('wrong-phase', 'no shares are due')
    const survival = await this.#doors.sessions.survival(round.session)
    const unmask = await attachedSaid(heard, 'Unmask', message.unmask)
    if (!unmask.ok) return unmask
    const member = isOf(seatOf(round.cohort, node), checkUnmask(survival, unmask.value))
    if (!member.ok) return member
    // Raw shares are nobody's business once the secrets are put together.
    await lendSaid(this.#doors.vault, unmask.value, sessionUntil(run))
    return accept({ kind: 'unmasked', round: round.round, node, unmask: unmask.value.cid })
  }

  async #abandon(run: Run, node: NodeId, message: Say<'abandon'>, heard: Heard): Promise<Result<Unstamped>> {
    const seated = abandoned(run, message.round)
    if (!seated) return refuse('wrong-phase', 'that session is not over')
    const session: Session = await this.#doors.sessions.session(seated.session)
    const abandon = await attachedSaid(heard, 'Abandon', message.abandon)
    if (!abandon.ok) return abandon
    const member = isOf(seatOf(seated.cohort, node), speaker(session, abandon.value))
    if (!member.ok) return member
    await keepSaid(this.#doors.blobs, abandon.value)
    const { confirmed } = abandon.value.body
    return accept({ kind: 'abandoned', round: message.round, node, abandon: abandon.value.cid, confirmed })
  }
}

/** Index and seat are of one node. */
function isOf<R extends string>(
  seat: number,
  member: Result<{ readonly u: number }, R>,
): Result<undefined, R | SpeechRefusal> {
  if (!member.ok) return member
  return member.value.u === seat + 1 ? accept(undefined) : refuse('not-the-sender', `seat ${seat} speaks for another`)
}

function agreeing(run: Run): Result<Extract<Round, { phase: 'keys' }>> {
  const round = run.round
  return round?.phase === 'keys' && round.step === 'agreeing' ? accept(round) : refuse('wrong-phase', 'no U2 is open')
}

/** A session that came to nothing: of the open round, or of one before over the same model. */
function abandoned(run: Run, round: number): Pick<MaskedSeated, 'cohort' | 'session'> | undefined {
  if (run.round?.round === round) return run.round.phase === 'abandonment' ? run.round : undefined
  return run.endings.find((ending) => ending.round === round)
}
