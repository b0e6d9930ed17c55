import type { MaskCt, Said } from '#aggregation/secagg/messages.ts'
import { encodeLanes } from '#aggregation/vector.ts'
import { sha256 } from '#crypto'
import { cidOf, RAW } from '#protocol/cid.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import type { Endings } from '#protocol/manifest.ts'
import { seed } from '#test/aggregation/given.ts'
import { flip } from '#test/conformance/crypto.ts'
import type { Hooks, Shape } from './fixture.ts'
import type { Lie } from './lies.ts'
import {
  again,
  ciphertexts,
  confirmed,
  earlier,
  lane,
  lie,
  manifest,
  own,
  PUBLIC,
  record,
  signedBy,
  stranger,
  words,
} from './telling.ts'

const emptyFile = cidOf(RAW, new Uint8Array(0))
const hybrid: Shape = { secure: { ...PUBLIC, suite: 2 } }
const alike: Shape = { losses: { 1: { mask: [4] }, 2: { mask: [4] } } }

/** The same for every step from the revealed seeds to the model. */
export const SUM_LIES = {
  'self-seed': [
    lie(
      'a seed with a bit flipped',
      words('result', ({ selfSeeds }) => ({
        selfSeeds: selfSeeds.with(0, { u: 1, b: flip(selfSeeds[0]?.b as Bytes, 3) }),
      })),
    ),
    lie(
      'a seed less',
      words('result', ({ selfSeeds }) => ({ selfSeeds: selfSeeds.slice(1) })),
    ),
    lie(
      'seeds in another order',
      words('result', ({ selfSeeds }) => ({ selfSeeds: selfSeeds.toReversed() })),
    ),
    lie(
      "another member's seed",
      words('result', ({ selfSeeds }) => ({ selfSeeds: selfSeeds.with(0, { u: 1, b: selfSeeds[1]?.b as Bytes }) })),
    ),
    lie(
      "the last round's seeds",
      words('result', (_, at) => ({ selfSeeds: earlier(at).result.body.selfSeeds })),
      alike,
    ),
  ],
  'mask-root': [
    lie(
      'a root with a bit flipped',
      words('result', ({ roots: [root] }) => ({ roots: [{ u: 4, maskRoot: flip(root?.maskRoot as Bytes, 3) }] })),
    ),
    lie(
      'no root',
      words('result', () => ({ roots: [] })),
    ),
    lie(
      "a survivor's root besides",
      words('result', ({ roots }) => ({ roots: [...roots, { u: 5, maskRoot: seed(1) }] })),
    ),
    lie(
      "the last round's root",
      words('result', (_, at) => ({ roots: earlier(at).result.body.roots })),
      alike,
    ),
  ],
  'mask-ciphertext': [
    lie(
      'none',
      ciphertexts(() => []),
      hybrid,
    ),
    lie(
      'one less',
      ciphertexts((lists) => lists.slice(1)),
      hybrid,
    ),
    lie(
      'one with a bit flipped',
      ciphertexts((lists) => lists.map((list) => list.map((one) => ({ ...one, ct: flip(one.ct, 5) })))),
      hybrid,
    ),
    lie(
      'others in another order',
      ciphertexts((lists) => lists.toReversed()),
      hybrid,
    ),
    lie(
      'all in one block',
      ciphertexts((lists) => [lists.flat()]),
      hybrid,
    ),
    lie(
      'one twice',
      ciphertexts((lists) => [...lists.slice(0, 1), ...lists]),
      hybrid,
    ),
    lie(
      'one between survivors besides',
      ciphertexts(([first = [], ...rest]) => [[...first, { ...(first[0] as MaskCt), v: 5 }], ...rest]),
      hybrid,
    ),
    lie(
      'ones of another session',
      ciphertexts((lists) => lists.map((list) => list.map((one) => ({ ...one, sid: seed(1) })))),
      hybrid,
    ),
    lie(
      'one in suite 1, which has none',
      ciphertexts((_, at) => [[{ sid: earlier(at).result.body.sid, u: 1, v: 4, ct: new Uint8Array(1088) }]]),
    ),
  ],
  vector: [
    lie(
      "another's vector",
      confirmed(({ inputs }) => ({ cid: inputs[1]?.body.cid as Cid })),
    ),
    lie(
      'another hash than the vector has',
      confirmed(() => ({ sha256: seed(1) })),
    ),
    lie(
      'a vector with a bit flipped',
      confirmed(async (_, { store, act }) => {
        const plain = encodeLanes(act.inputs[0] as Uint32Array)
        return { cid: await store.file(new Uint32Array(flip(plain.slice(), 400).buffer)), sha256: sha256(plain) }
      }),
    ),
    lie(
      'a manifest for a vector',
      confirmed((_, { act }) => ({ cid: act.planCid })),
    ),
    lie(
      'an empty vector',
      confirmed(() => ({ cid: emptyFile, sha256: sha256(new Uint8Array(0)) })),
    ),
  ],
  ranges: [
    lie('something in the reserved lanes', lane(2, 1)),
    lie('something in the check lanes', lane(-1, 1)),
    lie('a coordinate beyond what all others could hide', lane(8, 2 ** 31)),
    lie('rows of more sites than there are', lane(8 + 19, 5 * 65_536)),
    lie('more right than there are rows', lane(8 + 19 + 1, 5 * 65_536)),
  ],
  sum: [
    lie('one unit more in one lane', {
      aggregate: (lanes, round) => (round === 2 ? lanes.with(9, (lanes[9] as number) + 1) : lanes),
    }),
    lie(
      'another hash of the sum',
      words('result', () => ({ sumSha256: seed(1) })),
    ),
    lie(
      'another file for the sum',
      words('result', ({ model }) => ({ sumCid: model })),
    ),
    lie(
      'another aggregate',
      manifest(({ memory }) => ({ aggregate: memory })),
    ),
    lie('a result signed by a member', signedBy('result', own)),
    lie(
      'a result of another set',
      words('result', () => ({ u3Hash: seed(1) })),
    ),
    lie(
      'a result of another session',
      words('result', () => ({ sid: seed(1) })),
    ),
    lie(
      "the last round's result",
      record((_, at) => ({ result: earlier(at).result })),
    ),
  ],
  model: [
    lie(
      'a result with another model',
      words('result', ({ sumCid }) => ({ model: sumCid })),
    ),
    lie(
      'another model than the sum makes',
      manifest(({ plan }) => ({ model: plan })),
    ),
  ],
} as const satisfies Record<string, readonly Lie[]>

/** Of four rounds the second was abandoned and the third got a certificate, and no more; the fourth plan tells of both. */
const ENDED: Shape = { secure: PUBLIC, nodes: 4, planned: 4, fates: { 2: 'abandoned', 3: 'certified' }, until: 4 }
type Ending = Endings[number]
type Both = readonly [abandoned: Ending, certified: Ending]

function told(
  what: string,
  change: (both: Both, at: Parameters<NonNullable<Hooks['endings']>>[1]) => Promise<Endings> | Endings,
): Lie {
  return [what, 4, { endings: (list, at) => (list.length === 2 ? change(list as unknown as Both, at) : list) }, ENDED]
}

/** One thing of the certificate that the second one names is another. */
const certified =
  (change: (links: NonNullable<Ending['certified']>) => Partial<NonNullable<Ending['certified']>>) =>
  ([first, second]: Both): Endings => [
    first,
    { ...second, certified: second.certified && { ...second.certified, ...change(second.certified) } },
  ]

export const ENDING_LIES: readonly Lie[] = [
  told('a round that was closed', ([first, second]) => [{ ...first, round: 1 }, second]),
  told('this round', ([first, second]) => [first, { ...second, round: 4 }]),
  told('one round twice', ([first]) => [first, first]),
  told('rounds in another order', ([first, second]) => [second, first]),
  told("one round's roster for another's", ([first, second]) => [first, { ...first, round: second.round }]),
  told('a plan for a roster', ([first, second]) => [{ ...first, roster: first.abandons[0] as Cid }, second]),
  told("a closed round's roster", ([first, second], { earlier }) => [
    { ...first, roster: earlier.get(1)?.roster.cid as Cid },
    second,
  ]),
  told('one abandonment twice', ([first, second]) => [
    { ...first, abandons: [...first.abandons.slice(0, 1), ...first.abandons] },
    second,
  ]),
  told('abandonments in another order', ([first, second]) => [
    { ...first, abandons: first.abandons.toReversed() },
    second,
  ]),
  told('abandonments of another session', ([first, second]) => [first, { ...second, abandons: first.abandons }]),
  told('an abandonment by a stranger', async ([first, second], { store, abandons }) => {
    const lied = again(abandons[0] as Said<'Abandon'>, stranger, {})
    return [{ ...first, abandons: [await store.sealed(lied.signed), ...first.abandons.slice(1)] }, second]
  }),
  told(
    'U3 for U2',
    certified(({ survivors }) => ({ shared: survivors })),
  ),
  told("another session's certificate", ([first, second], { earlier }) =>
    certified(() => ({ certificate: earlier.get(1)?.certificate.cid as Cid }))([first, second]),
  ),
  told("another session's U3", ([first, second], { earlier }) =>
    certified(() => ({ survivors: earlier.get(1)?.survivors.cid as Cid }))([first, second]),
  ),
  told("another session's U2", ([first, second], { earlier }) =>
    certified(() => ({ shared: earlier.get(1)?.shared.cid as Cid }))([first, second]),
  ),
  ['a task for the list', 4, { plan: (plan) => (plan.round === 4 ? { ...plan, endings: plan.task } : plan) }, ENDED],
]
