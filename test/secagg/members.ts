import { certificateOf, parcelFor, sharedOf, survivorsOf } from '#aggregation/secagg/aggregator.ts'
import { type Said, say } from '#aggregation/secagg/messages.ts'
import { agree, confirm, mask, share, unmask } from '#aggregation/secagg/participant.ts'
import { checkCertificate, openSession, openSharing, openSurvival, type Sharing } from '#aggregation/secagg/session.ts'
import { UNSPENT } from '#aggregation/secagg/spending.ts'
import type { Advertised, Confirmed, Keyed, Masked, Shared } from '#aggregation/secagg/states.ts'
import type { Bytes } from '#protocol/ids.ts'
import type { Result } from '#protocol/result.ts'
import { must } from '#test/aggregation/given.ts'
import { advertiseAs, type Cohort, chanceOf, expectedBy, rosterOf, streamOf, Vectors } from './cohort.ts'
import { dealAll } from './play.ts'

/** Sets of members, as sorted text: `1,2,4`. */
export type Set_ = string
export const setOf = (members: readonly number[]): Set_ => [...members].toSorted((a, b) => a - b).join()
export const membersOf = (set: Set_): readonly number[] => (set === '' ? [] : set.split(',').map(Number))

/** What one member did when it was shown one U2, one U3 and a certificate, by its real code and in real bytes. */
export type Deed = {
  readonly u: number
  readonly u2: Set_
  readonly input: Said<'MaskedInput'>
  readonly u3?: Set_
  readonly confirm?: Said<'Confirm'>
  readonly unmask?: Said<'Unmask'>
}

/**
 * One roster's worlds: each member's behaviour under every message that a coordinator could show it. A world is made again
 * from the same randomness for each alternative, so that no state is ever used twice.
 */
export class Worlds {
  readonly cohort: Cohort
  readonly roster: Said<'Roster'>
  readonly vectors = new Vectors()
  readonly #adverts: readonly Said<'Advert'>[]
  readonly #dealt
  readonly #session
  readonly #inputs = new Map<string, Said<'MaskedInput'>>()

  constructor(cohort: Cohort, attempt = 1) {
    this.cohort = cohort
    const dealt = dealAll(cohort)
    this.roster = rosterOf(cohort, dealt.adverts, { attempt })
    this.#session = must(openSession(this.roster, dealt.adverts, cohort.coordinator.id))
    this.#adverts = dealt.adverts
    const made = cohort.sites.map((_, index) => must(this.share(advertiseAs(cohort, index + 1).next)))
    this.#dealt = {
      keys: made.map(({ say }) => say.keys),
      parcels: made.map(({ say }) => say.parcel),
    }
  }

  get session() {
    return this.#session
  }

  /** @param own of the same cohort: another world may have had it before */
  share(own: Advertised) {
    const u = this.cohort.sites.findIndex(({ signer }) => signer.id === own.site.signer.id) + 1
    return share(own, this.roster, this.#adverts, expectedBy(this.cohort), chanceOf(this.cohort, u, 1_000))
  }

  shared(u2: Set_) {
    const keys = this.#dealt.keys.filter(({ body }) => membersOf(u2).includes(body.u))
    return { keys, said: say(this.cohort.coordinator, 'Shared', sharedOf(this.#session, keys)) }
  }

  agree(u: number, u2: Set_, state: Shared = this.fresh(u)) {
    const { keys, said } = this.shared(u2)
    return agree(state, said, keys, parcelFor(u, this.#dealt.parcels))
  }

  /** A member as it was after dealing: what a rolled-back disk or a second life would give. */
  fresh(u: number): Shared {
    return must(this.share(advertiseAs(this.cohort, u).next)).next
  }

  keyed(u: number, u2: Set_): Keyed {
    const { next } = must(this.agree(u, u2))
    if (next.phase !== 'keyed') throw new Error('honest dealers leave nothing to complain of')
    return next
  }

  async masked(u: number, u2: Set_): Promise<Masked> {
    const vector = streamOf(this.cohort.inputs[u - 1] as Uint32Array)
    const { next, say } = must(await mask(this.keyed(u, u2), vector, this.vectors.keep))
    this.#inputs.set(`${u}|${u2}`, say)
    return next
  }

  /** A survivors list of these members, each with the input it made under its own U2. */
  async survivors(u2: Set_, u3: Set_, under: (u: number) => Set_ = () => u2) {
    const { keys, said } = this.shared(u2)
    const sharing = openSharing(this.#session, said, keys)
    const inputs: Said<'MaskedInput'>[] = []
    for (const u of membersOf(u3)) inputs.push(await this.input(u, under(u)))
    const body = {
      sid: this.#session.sid,
      u2Hash: said.hash,
      list: survivorsOf({ session: this.#session, hash: said.hash } as Sharing, inputs).list,
    }
    return { inputs, said: say(this.cohort.coordinator, 'Survivors', body), sharing }
  }

  async input(u: number, u2: Set_): Promise<Said<'MaskedInput'>> {
    return this.#inputs.get(`${u}|${u2}`) ?? (await this.masked(u, u2)).input
  }

  async confirm(state: Masked, u2: Set_, u3: Set_, under?: (u: number) => Set_) {
    const { inputs, said } = await this.survivors(u2, u3, under)
    return confirm(state, said, inputs, UNSPENT)
  }

  async certificate(u2: Set_, u3: Set_, confirms: readonly Said<'Confirm'>[]): Promise<Result<Said<'QuorumCert'>>> {
    const { inputs, said, sharing } = await this.survivors(u2, u3)
    const survival = must(openSurvival(must(sharing), said, inputs))
    const body = certificateOf(survival, confirms)
    if (!body.ok) return body
    const certificate = say(this.cohort.coordinator, 'QuorumCert', body.value)
    must(checkCertificate(survival, certificate))
    return { ok: true, value: certificate }
  }

  unmask(state: Confirmed, certificate: Said<'QuorumCert'>) {
    return unmask(state, certificate)
  }

  /** What a corrupt member knows of the others' secrets: its own shares. */
  sharesOf(u: number, u2: Set_): ReadonlyMap<number, { readonly root: Bytes; readonly self: Bytes }> {
    const held = this.keyed(u, u2).held.look()
    if (!held) throw new Error('a fresh state holds its secrets')
    return held.shares
  }
}
