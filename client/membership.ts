import type { Parcel, Said } from '#aggregation/secagg/messages.ts'
import { advertise, agree, confirm, narrow, share, unmask } from '#aggregation/secagg/participant.ts'
import { mayMask, namesOf } from '#aggregation/secagg/spending.ts'
import { eraseState, type Keyed, type Shared, sessionOf } from '#aggregation/secagg/states.ts'
import { widthOf } from '#aggregation/vector.ts'
import { assert } from '#protocol/assert.ts'
import type { Block } from '#protocol/envelope.ts'
import type { Cid, Millis } from '#protocol/ids.ts'
import { COMPLAINTS_MAX } from '#protocol/limits.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { payloadOf } from './assignment.ts'
import type { Entry, MembershipDoors, SessionMessage } from './entry.ts'
import { Gathering } from './gathering.ts'
import { saidEntry, type Vector } from './journal.ts'
import { handOver } from './outbox.ts'
import { reasonOf } from './progress.ts'
import { readAdverts, readInputs, readKeys, readSaid } from './said.ts'
import { Speech } from './speech.ts'
import { type Statement, Statements } from './statements.ts'
import { maskTrained, type Trained } from './submission.ts'
import { type State, Tenure } from './tenure.ts'
import { agreeWord, blocksOf, confirmWord, dealWords, joinWord, objectWord, submitWord, unmaskWord } from './words.ts'

type Hear<K extends SessionMessage['kind']> = Extract<SessionMessage, { readonly kind: K }>

/** A coordinator that was away when its selection ended may begin the session so much later. */
const LATENESS_MILLIS: Millis = 3_600_000

/**
 * One node's life in one session, driven by what it hears. The steps and their checks are the pure participant's; here is
 * what surrounds them: reading what a message names, keeping what is said before it is sent, and repeating it when asked
 * again.
 *
 * What a step refuses is answered here: the caller leaves the round. What came too early or too late to matter is passed
 * over, since a network repeats and reorders; nothing that is passed over changes a state.
 */
export class Membership {
  readonly #doors: MembershipDoors
  readonly #entry: Entry
  readonly #tenure: Tenure
  readonly #speech: Speech
  readonly #statements: Statements
  readonly #gathering = new Gathering()
  /** Resolved when U2 is final and its keys are agreed, or when there is nothing more to wait for. */
  readonly #ready = Promise.withResolvers<void>()
  #parcel: Parcel | undefined
  #final: Cid | undefined
  #survivors: Cid | undefined

  /** @param stop ends whatever this node does in the round */
  constructor(doors: MembershipDoors, entry: Entry, stop: AbortController) {
    const { run, round, seq, closesAt, assignment } = entry
    const { secure, task, timing } = assignment.plan
    assert(secure, 'only a masked round has members')
    const expiresAt = closesAt + timing.keysMillis + LATENESS_MILLIS
    const about = { suite: secure.suite, task, round, seq, expiresAt }
    const { next, say: advert } = advertise(doors.site, about, doors.chance)
    this.#doors = doors
    this.#entry = entry
    this.#tenure = new Tenure(doors, entry, stop, next)
    this.#tenure.eraseAt(expiresAt)
    this.#statements = new Statements(doors.site.coordinator)
    this.#speech = new Speech((entries) => doors.journal.keep(run, round, entries), doors.send, stop.signal)
    this.#speech.prepare([joinWord(advert.signed)], [saidEntry(advert.signed)])
    stop.signal.addEventListener('abort', () => this.#ready.resolve(), { once: true })
  }

  get phase(): State['phase'] {
    return this.#tenure.state.phase
  }

  /** Nothing is held any more. */
  get isOver(): boolean {
    return this.phase === 'spent'
  }

  get isClosed(): boolean {
    return this.#tenure.isClosed
  }

  /** A repeat is refused where it was heard the first time: that is no news. */
  hasRepeated(kind: string): boolean {
    return this.#speech.hasRepeated(kind)
  }

  join(): Promise<void> {
    return this.#speech.say('join')
  }

  /** @param how as the tenure's `close` */
  close(how: 'closed' | 'abandoned'): Promise<void> {
    return this.#tenure.close(how)
  }

  erase(): void {
    this.#tenure.erase()
  }

  async hear(message: SessionMessage, attached: readonly Block[]): Promise<Result<void>> {
    const heard = await this.#hear(message, attached)
    return this.isClosed ? accept(undefined) : heard
  }

  #hear(message: SessionMessage, attached: readonly Block[]): Promise<Result<void>> {
    switch (message.kind) {
      case 'seated':
        return this.#share(message)
      case 'shared':
        return this.#receive(message, attached)
      case 'mask':
        return this.#settle(message.shared)
      case 'survivors':
        return this.#confirm(message.survivors, 'say')
      case 'certificate':
        return this.#unmask(message)
    }
  }

  /** Takes the roster, and deals keys to all its members. */
  async #share({ roster: cid }: Hear<'seated'>): Promise<Result<void>> {
    if (cid === null) return refuse('roster-missing', 'a masked round begins with its roster')
    const { blobs, clock, chance } = this.#doors
    const roster = await this.#statement('Roster', cid)
    if (!roster.ok) return roster
    const adverts = await readAdverts(roster.value, blobs)
    if (!adverts.ok) return adverts
    const state = this.#tenure.state
    if (state.phase === 'spent') return accept(undefined)
    if (state.phase !== 'advertised') {
      if (sessionOf(state).roster.cid !== cid) return refuse('advert-used', 'it belongs to another roster')
      // Once there is a U2 its keys were heard.
      if (state.phase === 'shared' && !state.heard) await this.#speech.say('deal')
      return accept(undefined)
    }
    const { assignment } = this.#entry
    const { task, round, model, quantiser } = assignment.plan
    const width = widthOf(payloadOf(assignment))
    const expected = { task, round, model, spec: this.#entry.plan, width, quantiser, now: clock.now() }
    const shared = share(state, roster.value, adverts.value, expected, chance)
    if (!shared.ok) return shared
    const { next, say: dealt } = shared.value
    this.#tenure.become(next)
    this.#tenure.eraseAt(next.session.roster.body.deadlines[3])
    const bound = { kind: 'bound', advert: state.advert.cid, sid: next.session.sid, u: next.u } as const
    this.#speech.prepare(dealWords(dealt.keys, dealt.parcel), [bound, saidEntry(dealt.keys.signed)])
    await this.#speech.say('deal')
    return accept(undefined)
  }

  /** A U2, and part by part what its members sent to this node alone. */
  async #receive(message: Hear<'shared'>, attached: readonly Block[]): Promise<Result<void>> {
    const { phase } = this.#tenure.state
    if (phase === 'advertised' || phase === 'spent') return accept(undefined)
    if (phase === 'shared') {
      const parcel = this.#gathering.take(message, attached)
      if (!parcel.ok) return parcel
      if (parcel.value === undefined) return accept(undefined)
      this.#parcel = parcel.value
    } else if (message.part + 1 < message.parts) return accept(undefined)
    const taken = await this.#take(message.shared)
    if (!taken.ok) return taken
    if (this.#final !== undefined) return phase === 'shared' ? this.#settle(this.#final) : accept(undefined)
    const word = this.#tenure.state.phase === 'shared' ? 'object' : 'agree'
    if (this.#speech.has(word)) await this.#speech.say(word)
    return accept(undefined)
  }

  /** This U2 is final: whoever has trained masks under it. */
  async #settle(cid: Cid): Promise<Result<void>> {
    const { phase } = this.#tenure.state
    if (phase === 'advertised' || phase === 'spent') return accept(undefined)
    this.#final = cid
    const taken = await this.#take(cid)
    const state = this.#tenure.state
    // Where its boxes have not come yet, it is settled when they have.
    if (!taken.ok || u2Of(state) !== cid) return taken
    if (state.phase === 'shared') return refuse('keys-in-dispute', 'some boxes do not hold what was promised')
    if (state.phase === 'masked' && this.#speech.has('submit')) await this.#speech.say('submit')
    this.#ready.resolve()
    return accept(undefined)
  }

  /** Brings the state under a U2: its first, or one that is the first without some. */
  async #take(cid: Cid): Promise<Result<void>> {
    if (u2Of(this.#tenure.state) === cid) return accept(undefined)
    const shared = await this.#statement('Shared', cid)
    if (!shared.ok) return shared
    const keys = await readKeys(shared.value, this.#doors.blobs)
    if (!keys.ok) return keys
    const state = this.#tenure.state
    switch (state.phase) {
      case 'shared':
        return this.#parcel ? this.#agree(state, shared.value, keys.value, this.#parcel) : accept(undefined)
      case 'keyed': {
        const narrowed = narrow(state, shared.value, keys.value)
        if (narrowed.ok) this.#agreed(narrowed.value.next)
        return narrowed.ok ? accept(undefined) : narrowed
      }
      case 'masked':
      case 'confirmed':
        return refuse('already-masked', 'under another U2')
      case 'advertised':
      case 'spent':
        return accept(undefined)
    }
  }

  #agree(state: Shared, shared: Said<'Shared'>, keys: readonly Said<'ShareKeys'>[], parcel: Parcel): Result<void> {
    const agreed = agree(state, shared, keys, parcel)
    if (!agreed.ok) return agreed
    const { next, say: complaints } = agreed.value
    if (next.phase === 'keyed') {
      this.#agreed(next)
      return accept(undefined)
    }
    this.#tenure.become(next)
    const said = complaints.slice(0, COMPLAINTS_MAX).map(({ signed }) => signed)
    this.#speech.prepare([objectWord(shared.cid, said)], said.map(saidEntry))
    return accept(undefined)
  }

  #agreed(next: Keyed): void {
    this.#tenure.become(next)
    this.#parcel = undefined
    this.#speech.prepare([agreeWord(next.sharing.said.cid)], [])
    this.#doors.tell({ kind: 'agreed', members: next.sharing.keys.size })
  }

  /**
   * Masks what was trained as soon as U2 is final, and submits it. The lanes are overwritten, whatever becomes of them.
   *
   * @param known whether the model is one that this node recomputed: on no other anything is masked (R8)
   * @returns when it is said, or when there is nothing to say any more
   */
  async submit(trained: Trained, known: Promise<boolean>): Promise<Result<void>> {
    try {
      const masked = await this.#masked(trained, known).finally(() => trained.lanes.fill(0))
      if (!masked) return accept(undefined)
      if (!masked.ok) return this.isClosed ? accept(undefined) : masked
      const { input, vector } = masked.value
      const given = await handOver(this.#doors, vector, blocksOf(input.signed), this.#tenure.over)
      this.#speech.prepare([submitWord(input.signed, vector.cid, vector.trainMillis, given)], [])
      return await this.#report(vector)
    } catch (cause) {
      if (this.isClosed) return accept(undefined)
      throw cause
    }
  }

  /** Undefined where there is nothing to mask for. */
  async #masked(trained: Trained, known: Promise<boolean>) {
    await this.#ready.promise
    if (!(await known)) return undefined
    const state = this.#tenure.state
    return state.phase === 'keyed' ? this.#tenure.masksIn(this.#mask(state, trained)) : undefined
  }

  async #mask(state: Keyed, trained: Trained) {
    const { over } = this.#tenure
    const { assignment, freshness } = this.#entry
    // An answer is not spent on a set that could not be confirmed: nothing would free it but that this session is abandoned.
    const free = assignment.kind === 'asking' ? mayMask(freshness, state.sharing) : accept(undefined)
    if (!free.ok) return free
    const lodged = (vector: Cid) => this.#tenure.lodge(vector)
    const masked = await maskTrained(this.#doors, this.#entry, state, trained, { lodged, over })
    if (!masked.ok) return masked
    if (over.aborted) {
      eraseState(masked.value.next)
      return refuse('session-over')
    }
    this.#tenure.become(masked.value.next)
    this.#doors.tell({ kind: 'masked', bytes: masked.value.vector.sizeBytes })
    return masked
  }

  async #report({ sizeBytes, trainMillis }: Vector): Promise<Result<void>> {
    const { tell } = this.#doors
    try {
      await this.#speech.say('submit')
      if (!this.isClosed) tell({ kind: 'reported', bytes: sizeBytes, trainMillis })
    } catch (cause) {
      // A link that broke comes back, and then the coordinator asks again.
      tell({ kind: 'failed', reason: `submit: ${reasonOf(cause)}` })
    }
    return accept(undefined)
  }

  /** Signs the one set of survivors that it will ever sign here. */
  async #confirm(cid: Cid, how: 'say' | 'keep'): Promise<Result<void>> {
    if (this.#survivors !== cid) {
      const { phase } = this.#tenure.state
      if (phase === 'advertised' || phase === 'shared' || phase === 'keyed') return accept(undefined)
      const survivors = await this.#statement('Survivors', cid)
      if (!survivors.ok) return survivors
      const inputs = await readInputs(survivors.value, this.#doors.blobs)
      if (!inputs.ok) return inputs
      const state = this.#tenure.state
      if (state.phase !== 'masked') return refuse('already-confirmed', 'another set')
      const { quorum } = this.#entry.assignment.plan.cohort
      const { length } = survivors.value.body.list
      // Below q it is no set of survivors at all.
      if (length >= state.sharing.session.params.q && length < quorum)
        return refuse('cohort-too-small', `a sum of ${length}, the plan promised ${quorum}`)
      const confirmed = confirm(state, survivors.value, inputs.value, this.#entry.freshness)
      if (!confirmed.ok) return confirmed
      const { next, say: said } = confirmed.value
      this.#tenure.become(next)
      this.#survivors = cid
      this.#speech.prepare([confirmWord(said.signed)], [saidEntry(said.signed)])
      this.#doors.tell({ kind: 'confirmed', survivors: next.survival.inputs.size })
    }
    await this.#speech[how]('confirm')
    return accept(undefined)
  }

  /** With a certificate over the set that it confirmed, gives what takes the masks off their sum. */
  async #unmask({ survivors, certificate: cid }: Hear<'certificate'>): Promise<Result<void>> {
    if (this.#tenure.state.phase === 'masked') {
      // The certificate stands already: nobody waits for this one's signature.
      const confirmed = await this.#confirm(survivors, 'keep')
      if (!confirmed.ok) return confirmed
    }
    if (this.#survivors === undefined) return accept(undefined)
    if (this.#survivors !== survivors) {
      const another = await this.#statement('Survivors', survivors)
      if (!another.ok) return another
    }
    const certificate = await this.#statement('QuorumCert', cid)
    if (!certificate.ok) return certificate
    const state = this.#tenure.state
    if (state.phase === 'confirmed') {
      const unmasked = unmask(state, certificate.value)
      if (!unmasked.ok) return unmasked
      const { next, say: said } = unmasked.value
      this.#tenure.become(next)
      // By the set that it saw certified, kept before its sum can be opened, the next input is judged (R5).
      const certified = { kind: 'certified', members: [...namesOf(state.survival)] } as const
      this.#speech.prepare([unmaskWord(said.signed)], [certified, saidEntry(said.signed)])
      await this.#speech.say('unmask')
      this.#doors.tell({ kind: 'unmasked' })
    } else if (this.#speech.has('unmask')) await this.#speech.say('unmask')
    return accept(undefined)
  }

  /** What the coordinator states, against what it stated before. A contradiction is kept: it proves that it lies. */
  async #statement<K extends Statement['kind']>(kind: K, cid: Cid): Promise<Result<Said<K>>> {
    const { blobs, journal } = this.#doors
    const said = await readSaid(blobs, kind, cid)
    if (!said.ok) return said
    const proof = this.#statements.note(said.value as Statement)
    if (!proof) return said
    const { lie, first, second } = proof
    await journal.keep(this.#entry.run, this.#entry.round, [{ kind: 'lie', lie, first, second }])
    return refuse('equivocation', `${lie}, proven in the journal`)
  }
}

/** The U2 that a member has answered, if any. */
function u2Of(state: State): Cid | undefined {
  switch (state.phase) {
    case 'shared':
      return state.heard?.cid
    case 'keyed':
    case 'masked':
      return state.sharing.said.cid
    case 'confirmed':
      return state.survival.sharing.said.cid
    case 'advertised':
    case 'spent':
      return undefined
  }
}
