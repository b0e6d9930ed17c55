import type { Kind, Said } from '#aggregation/secagg/messages.ts'
import { cidOf, RAW } from '#protocol/cid.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { seed } from '#test/aggregation/given.ts'
import { flip } from '#test/conformance/crypto.ts'
import type { Lie } from './lies.ts'
import {
  advert,
  again,
  bent,
  earlier,
  input,
  lie,
  links,
  manifest,
  other,
  own,
  params,
  plan,
  record,
  seat,
  secured,
  shares,
  signedBy,
  stranger,
  words,
} from './telling.ts'

const emptyFile = cidOf(RAW, new Uint8Array(0))
const named = ['roster', 'shared', 'survivors', 'certificate', 'result'] as const
type List = readonly { readonly u: number; readonly cid: Cid }[]
/** Member 1's place in a list is another message's. */
const instead = (list: List, cid: Cid | undefined) => ({ list: list.with(0, { u: 1, cid: cid as Cid }) })

/**
 * For every step from the plan to the certificate, records that are consistent as far as that step, which is the one that
 * finds the lie: every message of a session swapped, replayed, left out, forged, or saying something else.
 */
export const MEMBERSHIP_LIES = {
  plan: [
    lie(
      'a masked round that says not how',
      plan(() => ({ secure: null })),
    ),
    lie(
      'a plain round in a masked run',
      plan(() => ({ masking: 'none', secure: null })),
    ),
    lie(
      'weights by examples',
      plan(({ quantiser }) => ({ quantiser: { ...quantiser, weightMax: 500 } })),
    ),
    lie('more corrupt members than in the round before', secured({ corrupt: 2 })),
    lie('another suite than in the round before', secured({ suite: 2 as const })),
    lie('another publication than in the round before', secured({ publish: 'commit-only' })),
  ],
  session: [
    lie(
      'no session',
      manifest(() => ({ session: null })),
    ),
    lie(
      'the root of a vector that is named elsewhere',
      links(() => ({ vectorRoots: [seed(1)] })),
    ),
    ...named.flatMap((name, at) => {
      const next = named[(at + 1) % named.length] as typeof name
      return [
        lie(
          `the plan for the ${name}`,
          links((_, { plan }) => ({ [name]: plan })),
        ),
        lie(
          `a file for the ${name}`,
          links(() => ({ [name]: emptyFile })),
        ),
        lie(
          `the ${next} for the ${name}`,
          links((session) => ({ [name]: session[next] })),
        ),
        lie(
          `a forged signature under the ${name}`,
          record((said) => ({ [name]: bent(said[name] as Said<Kind>) })),
        ),
      ]
    }),
    lie('a forged signature under an advert', advert(bent)),
    lie('a forged signature under shares', shares(bent)),
    lie('a forged signature under an input', input(bent)),
    lie(
      'an advert for shares',
      words('shared', ({ list }, _, said) => instead(list, said.adverts[0]?.cid)),
    ),
    lie(
      'shares for an input',
      words('survivors', ({ list }, _, said) => instead(list, said.keys[0]?.cid)),
    ),
    lie(
      'a message for ciphertexts',
      links(({ roster }) => ({ maskCts: [roster] })),
    ),
    lie(
      'a file for ciphertexts',
      links(() => ({ maskCts: [emptyFile] })),
    ),
  ],
  roster: [
    lie(
      "the last round's session once more",
      record((_, at) => earlier(at)),
    ),
    lie(
      "the last round's roster",
      record((_, at) => ({ roster: earlier(at).roster })),
    ),
    lie(
      "the last round's adverts",
      words('roster', (_, at) => ({
        members: earlier(at).adverts.map(({ from, cid }) => ({ id: from, advert: cid })),
      })),
    ),
    lie('a roster signed by a member', signedBy('roster', own)),
    lie(
      'a roster signed by a stranger',
      signedBy('roster', () => stranger),
    ),
    lie(
      'another task',
      words('roster', ({ modelCid }) => ({ task: modelCid })),
    ),
    lie(
      'another round',
      words('roster', () => ({ round: 3 })),
    ),
    lie(
      'another model',
      words('roster', ({ task }) => ({ modelCid: task })),
    ),
    lie(
      'another plan',
      words('roster', ({ task }) => ({ specCid: task })),
    ),
    lie(
      'another history',
      words('roster', ({ specCid }) => ({ prevBundle: specCid })),
    ),
    lie(
      'another suite',
      words('roster', () => ({ suite: 2 as const })),
    ),
    lie(
      'another publication',
      words('roster', () => ({ publish: 'commit-only' as const })),
    ),
    lie('more corrupt members than the plan says', params({ C: 2 })),
    lie('a lower quorum', params({ q: 3 })),
    lie('a lower threshold', params({ t: 2 })),
    lie('shorter vectors', params({ d: 18 })),
    lie(
      'fewer bits',
      words('roster', ({ params }) => ({ params: { ...params, quantiser: { ...params.quantiser, bits: 8 } } })),
    ),
    lie(
      'a member less',
      words('roster', ({ members }) => ({ members: members.slice(1) })),
    ),
    lie(
      'members out of order',
      words('roster', ({ members }) => ({ members: members.toReversed() })),
    ),
    lie(
      'a member for another',
      words('roster', ({ members }) => ({
        members: members.map((one, at) => (at === 4 ? { ...one, id: stranger.id } : one)),
      })),
    ),
    lie(
      'one advert for two members',
      words('roster', ({ members }) => ({
        members: members.map((one) => ({ ...one, advert: members[1]?.advert as Cid })),
      })),
    ),
    lie('a seat less, and a draw without it', {
      ...manifest(({ seats }) => ({ seats: seats.slice(0, -1) })),
      selection: (drawn, round) => (round === 2 ? { ...drawn, candidates: drawn.candidates.slice(0, -1) } : drawn),
    }),
    lie(
      'an advert of another round',
      advert((said, at) => again(said, own(at), { round: 1 })),
    ),
    lie(
      'an advert of another task',
      advert((said, at) => again(said, own(at), { task: at.act.planCid })),
    ),
    lie(
      'an advert that had expired',
      advert((said, at) => again(said, own(at), { exp: 1 })),
    ),
    lie(
      'an advert with a weight',
      advert((said, at) => again(said, own(at), { w: 2 })),
    ),
    lie(
      'an advert for somebody else',
      advert((said, at) => again(said, own(at), { id: other(at).id })),
    ),
    lie(
      'an advert signed by somebody else',
      advert((said, at) => again(said, other(at), {})),
    ),
    lie(
      'an advert of small order',
      advert((said, at) => again(said, own(at), { sPk: new Uint8Array(32) })),
    ),
  ],
  sharing: [
    lie(
      'another attempt of the same roster',
      words('roster', () => ({ attempt: 2 })),
    ),
    lie(
      'another seed committed to',
      advert((said, at) => again(said, own(at), { bCommit: seed(1) })),
    ),
    lie('a U2 signed by a member', signedBy('shared', own)),
    lie(
      "the last round's U2",
      record((_, at) => ({ shared: earlier(at).shared })),
    ),
    lie(
      'a U2 out of order',
      words('shared', ({ list }) => ({ list: list.toReversed() })),
    ),
    lie(
      'a U2 that names one twice',
      words('shared', ({ list }) => ({ list: [...list.slice(0, 1), ...list] })),
    ),
    lie(
      'too small a U2',
      words('shared', ({ list }) => ({ list: list.slice(2) })),
    ),
    lie(
      "one member's shares for another's",
      words('shared', ({ list }) => instead(list, list[1]?.cid)),
    ),
    lie(
      "the last round's shares",
      words('shared', ({ list }, at) => instead(list, earlier(at).keys[0]?.cid)),
    ),
    lie(
      'shares signed by another',
      shares((said, at) => again(said, other(at), {})),
    ),
    lie(
      'a share less',
      shares((said, at) => again(said, own(at), { to: said.body.to.slice(1) })),
    ),
    lie(
      'ciphertexts where there are none',
      shares((said, at) => again(said, own(at), { to: said.body.to.map((one) => ({ ...one, hM: seed(1) })) })),
    ),
  ],
  survivors: [
    lie('a U3 signed by a member', signedBy('survivors', own)),
    lie(
      "the last round's U3",
      record((_, at) => ({ survivors: earlier(at).survivors })),
    ),
    lie(
      'a U3 of another U2',
      words('survivors', () => ({ u2Hash: seed(1) })),
    ),
    lie(
      'another version of U2',
      words('shared', () => ({ ver: 2 })),
    ),
    lie(
      'a member of U2 less',
      words('shared', ({ list }) => ({ list: list.slice(1) })),
    ),
    lie(
      'other commitments to shares',
      shares((said, at) => again(said, own(at), { to: said.body.to.map((one) => ({ ...one, hR: seed(1) })) })),
    ),
    lie(
      'a U3 out of order',
      words('survivors', ({ list }) => ({ list: list.toReversed() })),
    ),
    lie(
      'too small a U3',
      words('survivors', ({ list }) => ({ list: list.slice(1) })),
    ),
    lie(
      "one member's input for another's",
      words('survivors', ({ list }) => instead(list, list[1]?.cid)),
    ),
    lie(
      "the last round's input",
      words('survivors', ({ list }, at) => instead(list, earlier(at).inputs[0]?.cid)),
    ),
    lie(
      'an input for another U2',
      input((said, at) => again(said, own(at), { u2Hash: seed(1) })),
    ),
    lie(
      'an input signed by another',
      input((said, at) => again(said, other(at), {})),
    ),
    lie(
      'an input of another length',
      input((said, at) => again(said, own(at), { bytes: said.body.bytes + 16 })),
    ),
  ],
  certificate: [
    lie(
      "the last round's certificate",
      record((_, at) => ({ certificate: earlier(at).certificate })),
    ),
    lie('a certificate signed by a member', signedBy('certificate', own)),
    lie(
      'a certificate of another set',
      words('certificate', () => ({ u3Hash: seed(1) })),
    ),
    lie(
      'a certificate of another session',
      words('certificate', () => ({ sid: seed(1) })),
    ),
    lie(
      'a signature less than the quorum',
      words('certificate', ({ sigs }) => ({ sigs: sigs.slice(1) })),
    ),
    lie(
      'one signature twice',
      words('certificate', ({ sigs }) => ({ sigs: [...sigs.slice(0, 1), ...sigs.slice(0, -1)] })),
    ),
    lie(
      'a signature with a bit flipped',
      words('certificate', ({ sigs }) => ({ sigs: sigs.with(0, { u: 1, sig: flip(sigs[0]?.sig as Bytes, 3) }) })),
    ),
    lie(
      "a dropout's signature",
      words('certificate', ({ sigs }) => ({ sigs: sigs.with(3, { u: 4, sig: sigs[3]?.sig as Bytes }) })),
    ),
    lie(
      'an input that nobody confirmed',
      input((said, at) => again(said, own(at), { sha256: seed(1) })),
    ),
  ],
  update: [
    lie(
      'a survivor that is said not to have reported',
      seat(0, () => ({ update: null, reason: 'late' })),
    ),
    lie(
      "a dropout that is said to have reported, with another's input",
      seat(3, ([first]) => ({ update: first?.update ?? null, reason: null })),
    ),
    lie(
      "another survivor's input in a seat",
      seat(0, ([, second]) => ({ update: second?.update ?? null })),
    ),
    lie(
      'a plan for an input',
      manifest(({ seats, plan }) => ({ seats: seats.map((one, at) => (at === 0 ? { ...one, update: plan } : one)) })),
    ),
  ],
} as const satisfies Record<string, readonly Lie[]>
