import { accumulate } from '#aggregation/accumulate.ts'
import { unitStream } from '#aggregation/rng.ts'
import { certificateOf, checkUnmask, parcelFor, reveal, sharedOf, survivorsOf } from '#aggregation/secagg/aggregator.ts'
import { type Parcel, type Said, SUITE_HYBRID, SUITE_X25519, say } from '#aggregation/secagg/messages.ts'
import { agree, confirm, mask, share, unmask } from '#aggregation/secagg/participant.ts'
import { masksOf, removeMasks } from '#aggregation/secagg/removal.ts'
import { openSession, openSharing, openSurvival } from '#aggregation/secagg/session.ts'
import { UNSPENT } from '#aggregation/secagg/spending.ts'
import type { Advertised, Confirmed, Keyed, Masked, Shared, Spent } from '#aggregation/secagg/states.ts'
import { encodeLanes, lanesOf } from '#aggregation/vector.ts'
import { assert } from '#protocol/assert.ts'
import { toHex } from '#protocol/bytes.ts'
import { must, seed as seedOf } from '#test/aggregation/given.ts'
import {
  advertiseAll,
  type Cohort,
  chanceOf,
  cohortOf,
  expectedBy,
  plainSum,
  rosterOf,
  streamOf,
  Vectors,
} from './cohort.ts'

/** How a rough session ended: with the exact sum of so many, or by the name of what was lacking. */
export type Ending = { readonly n: number; readonly refused: number } & (
  | { readonly survivors: number }
  | { readonly lacking: string }
)

type State = Advertised | Shared | Keyed | Masked | Confirmed | Spent
type Parting = 'share' | 'mask' | 'confirm' | 'unmask' | 'never'

/**
 * A session over a network that repeats and reorders, with members that vanish in every phase and a coordinator's stale
 * words among the right ones. Throws when a sum is wrong, a state answers twice, or a secret of both kinds comes out.
 */
export async function roughSession(
  seed: number,
  size: { readonly min: number; readonly max: number },
): Promise<Ending> {
  const unit = unitStream(seedOf(seed))
  const below = (bound: number) => Math.floor(unit() * bound)
  const n = size.min + below(size.max - size.min + 1)
  const suite = below(10) === 0 ? SUITE_HYBRID : SUITE_X25519
  const cohort = cohortOf(`rough ${seed}`, n, { parameters: below(40), suite })
  const loss = [0, 0.1, 0.3][below(3)] as number
  const partings: readonly Parting[] = ['share', 'mask', 'confirm', 'unmask']
  const fates = cohort.sites.map((): Parting => (unit() < loss ? (partings[below(4)] as Parting) : 'never'))
  const stays = (u: number, phase: Parting) => {
    const fate = fates[u - 1] as Parting
    return fate === 'never' || partings.indexOf(fate) > partings.indexOf(phase)
  }
  const shuffled = <T>(items: readonly T[]): readonly T[] =>
    items
      .map((item) => ({ item, rank: unit() }))
      .toSorted((a, b) => a.rank - b.rank)
      .map(({ item }) => item)
  /** One to three times each, in any order. */
  const rough = <T>(items: readonly T[]) =>
    shuffled(items.flatMap((item) => Array.from({ length: 1 + below(3) }, () => item)))

  const all = advertiseAll(cohort)
  const states = new Map<number, State>(all.map((state, index) => [index + 1, state]))
  const adverts = all.map(({ advert }) => advert)
  const [roster, stale] = [rosterOf(cohort, adverts), rosterOf(cohort, adverts, { attempt: 2 })]
  let refused = 0
  /** Every delivery is tried; the state that a member had answers once, and nothing else moves it. */
  const deliver = async <S extends State, M>(
    u: number,
    phase: S['phase'],
    words: readonly M[],
    step: (state: S, word: M) => Promise<State | undefined> | State | undefined,
  ) => {
    const state = states.get(u) as State
    if (state.phase !== phase) return
    let moved = 0
    for (const word of rough(words)) {
      const next = await step(state as S, word)
      if (!next) {
        refused += 1
        continue
      }
      moved += 1
      states.set(u, next)
    }
    assert(moved <= 1, 'a state is good for one step')
  }

  const [keys, parcels]: [Map<number, Said<'ShareKeys'>>, Map<number, Parcel>] = [new Map(), new Map()]
  for (const u of states.keys()) {
    if (!stays(u, 'share')) continue
    await deliver<Advertised, Said<'Roster'>>(u, 'advertised', [roster], (state, word) => {
      const dealt = share(state, word, adverts, expectedBy(cohort), chanceOf(cohort, u, 1_000))
      if (!dealt.ok) return undefined
      keys.set(u, dealt.value.say.keys)
      parcels.set(u, dealt.value.say.parcel)
      return dealt.value.next
    })
    assert(!share(all[u - 1] as Advertised, stale, adverts, expectedBy(cohort), chanceOf(cohort, u)).ok, 'R1')
  }
  const session = must(openSession(roster, adverts, cohort.coordinator.id))
  const listed = shuffled([...keys.values()]).toSorted((a, b) => a.body.u - b.body.u)
  const shared = say(cohort.coordinator, 'Shared', sharedOf(session, shuffled(listed)))
  const sharing = openSharing(session, shared, listed)
  if (!sharing.ok) return { n, refused, lacking: sharing.refusal }
  const staleShared = say(cohort.coordinator, 'Shared', { ...shared.body, sid: stale.hash })
  for (const u of keys.keys())
    await deliver<Shared, Said<'Shared'>>(u, 'shared', [shared, staleShared], (state, word) => {
      const agreed = agree(state, word, listed, parcelFor(u, [...parcels.values()]))
      return agreed.ok ? agreed.value.next : undefined
    })

  const [vectors, inputs] = [new Vectors(), new Map<number, Said<'MaskedInput'>>()]
  for (const u of keys.keys())
    if (stays(u, 'mask'))
      await deliver<Keyed, Uint32Array>(u, 'keyed', [cohort.inputs[u - 1] as Uint32Array], async (state, vector) => {
        const masked = await mask(state, streamOf(vector), vectors.keep)
        if (!masked.ok) return undefined
        inputs.set(u, masked.value.say)
        return masked.value.next
      })

  const said = [...inputs.values()].toSorted((a, b) => a.body.u - b.body.u)
  const survivors = say(cohort.coordinator, 'Survivors', survivorsOf(sharing.value, shuffled(said)))
  const survival = openSurvival(sharing.value, survivors, said)
  if (!survival.ok) return { n, refused, lacking: survival.refusal }
  const staleList = say(cohort.coordinator, 'Survivors', { ...survivors.body, u2Hash: stale.hash })
  const confirms: Said<'Confirm'>[] = []
  for (const u of inputs.keys())
    if (stays(u, 'confirm'))
      await deliver<Masked, Said<'Survivors'>>(u, 'masked', [survivors, staleList], (state, word) => {
        const confirmed = confirm(state, word, said, UNSPENT)
        if (!confirmed.ok) return undefined
        confirms.push(confirmed.value.say)
        return confirmed.value.next
      })

  const certified = certificateOf(survival.value, rough(confirms))
  if (!certified.ok) return { n, refused, lacking: certified.refusal }
  const certificate = say(cohort.coordinator, 'QuorumCert', certified.value)
  const staleCertificate = say(cohort.coordinator, 'QuorumCert', { ...certified.value, u3Hash: stale.hash })
  const answers: Said<'Unmask'>[] = []
  for (const u of inputs.keys())
    if (stays(u, 'unmask'))
      await deliver<Confirmed, Said<'QuorumCert'>>(u, 'confirmed', [certificate, staleCertificate], (state, word) => {
        const answered = unmask(state, word)
        if (!answered.ok) return undefined
        must(checkUnmask(survival.value, answered.value.say))
        answers.push(answered.value.say)
        return answered.value.next
      })
  eitherOr(answers)

  const { revealed } = reveal(survival.value, rough(answers))
  if (!revealed.ok) return { n, refused, lacking: revealed.refusal }
  const maskCts = [...parcels.values()].flatMap(({ maskCts }) => maskCts)
  const masks = must(masksOf(survival.value, revealed.value, shuffled(maskCts)).masks)
  const sum = must(
    await accumulate(
      shuffled(said).map(({ body }) => vectors.read(body)),
      lanesOf(cohort.parameters),
    ),
  )
  await removeMasks(sum, masks)
  isExact(cohort, sum, inputs.keys())
  return { n, refused, survivors: inputs.size }
}

/** Of nobody are shares of both kinds out, and nobody answered twice. */
function eitherOr(answers: readonly Said<'Unmask'>[]): void {
  const alive = new Set(answers.flatMap(({ body }) => [body.u, ...body.bShares.map(({ u }) => u)]))
  const dead = new Set(answers.flatMap(({ body }) => body.rootShares.map(({ u }) => u)))
  assert(alive.isDisjointFrom(dead), 'a secret of one kind only')
  assert(new Set(answers.map(({ body }) => body.u)).size === answers.length, 'one answer of each')
}

function isExact(cohort: Cohort, sum: Uint32Array, survivors: Iterable<number>): void {
  const expected = toHex(encodeLanes(plainSum(cohort, survivors)))
  assert(toHex(encodeLanes(sum)) === expected, `the exact sum: ${cohort.name}`)
}
