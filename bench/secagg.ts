import { spawnSync } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { accumulate } from '#aggregation/accumulate.ts'
import { survivorsOf } from '#aggregation/secagg/aggregator.ts'
import { type Mask, openMasker } from '#aggregation/secagg/mask.ts'
import { bodyBytes, parcelSchema, type Said, say } from '#aggregation/secagg/messages.ts'
import { agree, confirm, mask, unmask } from '#aggregation/secagg/participant.ts'
import { masksOf, removeMasks } from '#aggregation/secagg/removal.ts'
import { openSurvival } from '#aggregation/secagg/session.ts'
import { combine, split } from '#aggregation/secagg/shamir.ts'
import { UNSPENT } from '#aggregation/secagg/spending.ts'
import type { Shared } from '#aggregation/secagg/states.ts'
import { encodeLanes, lanesOf, vectorBytesOf } from '#aggregation/vector.ts'
import { keystream } from '#crypto'
import { assert } from '#protocol/assert.ts'
import { cidOf, RAW } from '#protocol/cid.ts'
import { encode } from '#protocol/codec.ts'
import { frameOf } from '#protocol/envelope.ts'
import type { Bytes } from '#protocol/ids.ts'
import { openMaskRemoval } from '#threads/removal.ts'
import { timed } from './cpu.ts'
import type { Report } from './report.ts'
import { chanceOf, claimedInputs, dealtCohort, type Size, sure } from './secagg-cohort.ts'
import { groupsTable } from './secagg-groups.ts'

/** What masking costs a client and the aggregator, in time and bytes. */
export async function bench(): Promise<Report> {
  const sizes: readonly Size[] = [
    { n: 10, parameters: 100_000, hybrid: false },
    { n: 10, parameters: 1_000_000, hybrid: false },
    { n: 10, parameters: 1_000_000, hybrid: true },
    { n: 100, parameters: 100_000, hybrid: false },
    { n: 100, parameters: 1_000_000, hybrid: false },
  ]
  const rows = { client: [] as Row[], aggregator: [] as Row[] }
  for (const size of sizes) {
    const measured = await session(size)
    rows.client.push(measured.client)
    rows.aggregator.push(...measured.aggregator)
  }
  return {
    bench: 'secagg',
    notes: [
      'One client of a real cohort, from its advert to its answer. Every time is CPU, user and system, of the process. AES:',
      'node:crypto making AES-256-CTR keystream in 64 KiB steps and nothing else, turn by turn with the masks. Sent and',
      'received: all messages and boxes of a session and the masked vector over the plain vector’s bytes. Masks off',
      'one sum: by the wall, the middle of three turns, beside AES alone making as many bytes on one thread, turn by turn.',
    ],
    tables: [
      {
        title: 'Client',
        columns: ['nodes', 'parameters', 'suite', 'keys ms', 'mask ms', 'unmask ms', 'all CPU ms', 'sent', 'received'],
        rows: rows.client,
      },
      {
        title: 'Aggregator: secrets to keys, and masks off the sum',
        columns: ['nodes', 'parameters', 'suite', 'dropouts', 'masks', 'keys CPU s', 'masks CPU s', 'sum CPU s'],
        rows: rows.aggregator,
      },
      {
        title: 'Mask rate',
        columns: ['masks', 'AES GB/s', 'masked GB/s', 'ratio'],
        rows: [await maskRate(10), await maskRate(100)],
      },
      {
        title: 'Masks off the sum of 100 nodes and 10^6 parameters, on one thread and on threads of its own',
        columns: ['dropouts', 'masks', 'by', 's', 'CPU s', 'GB/s', 'of AES × cores', 'of AES, by CPU'],
        rows: [...(await unmasking(0.05)), ...(await unmasking(0.3))],
      },
      {
        title: 'Streaming: a vector that never is in memory, masked in a process of its own',
        columns: ['nodes', 'parameters', 'vector MB', 's', 'largest resident MB'],
        rows: [streaming(10, 1_000_000), streaming(10, 100_000_000)],
      },
      {
        title: 'Shamir, both secrets of one member',
        columns: ['n', 't', 'split ms', 'combine ms'],
        rows: [shamir(10, 5), shamir(100, 51), shamir(128, 65)],
      },
      await groupsTable(),
    ],
  }
}

type Row = readonly (string | number)[]

async function session(size: Size) {
  const { n, parameters, hybrid } = size
  const cohort = dealtCohort(size)
  const plainBytes = vectorBytesOf(parameters)
  const vector = new Uint32Array(lanesOf(parameters))
  vector.set([1, 1])

  const keys = await timed(() => {
    const { next } = cohort.shareAs(1)
    return sure(agree(next as Shared, cohort.shared, cohort.keys, cohort.parcel)).next
  })
  const keyed = keys.value
  assert(keyed.phase === 'keyed', 'honest dealers leave nothing to complain of')
  const masked = await timed(async () =>
    sure(
      await mask(keyed, pieces(encodeLanes(vector)), async (stream) => {
        for await (const _piece of stream);
        return cidOf(RAW, new Uint8Array(0))
      }),
    ),
  )
  const everyone = cohort.sites.map((_, index) => index + 1)
  const answered = await timed(() => answer(cohort, masked.value.next, everyone))
  const { said, answers } = answered.value
  const sent =
    [cohort.adverts[0], cohort.keys[0], masked.value.say, ...answers].reduce(
      (sum, one) => sum + (one ? frameOf(one.signed).length : 0),
      0,
    ) + encode(parcelSchema, cohort.dealt[0]?.say.parcel ?? { boxes: [], maskCts: [] }).length
  const received =
    [...cohort.adverts, ...cohort.keys, cohort.roster, cohort.shared, ...said].reduce(
      (sum, one) => sum + frameOf(one.signed).length,
      0,
    ) + encode(parcelSchema, cohort.parcel).length
  const name = [n, parameters, hybrid ? 2 : 1]
  const client = [
    ...name,
    ms(keys.cpu),
    ms(masked.cpu),
    ms(answered.cpu),
    ms(keys.cpu + masked.cpu + answered.cpu),
    over(sent, plainBytes),
    over(received, plainBytes),
  ]
  const aggregator: Row[] = []
  for (const share of [0, 0.05, 0.3])
    aggregator.push([...name, ...(await removal(cohort, vector, Math.round(n * share), masked.value.say))])
  return { client, aggregator }
}

/** The member's last two steps; the others' signatures are real, their vectors are not there. */
function answer(
  cohort: ReturnType<typeof dealtCohort>,
  state: Parameters<typeof confirm>[0],
  survivors: readonly number[],
) {
  const inputs = claimedInputs(cohort, survivors, state.input)
  const survivorsSaid = say(cohort.coordinator, 'Survivors', survivorsOf(cohort.sharing, inputs))
  const confirmed = sure(confirm(state, survivorsSaid, inputs, UNSPENT))
  const { sid } = cohort.sharing.session
  const sigs = survivors.slice(0, cohort.roster.body.params.q).map((u) => {
    const body = bodyBytes('Confirm', { sid, u, u3Hash: survivorsSaid.hash })
    return { u, sig: (cohort.sites[u - 1] as (typeof cohort.sites)[number]).signer.sign('Confirm', body).signature }
  })
  const certificate = say(cohort.coordinator, 'QuorumCert', { sid, u3Hash: survivorsSaid.hash, sigs })
  const said = sure(unmask(confirmed.next, certificate)).say
  return { answers: [confirmed.say, said], said: [survivorsSaid, certificate, ...inputs] }
}

/** From revealed secrets to a plain sum. */
async function removal(
  cohort: ReturnType<typeof dealtCohort>,
  vector: Uint32Array,
  dropouts: number,
  own: Said<'MaskedInput'>,
): Promise<Row> {
  const n = cohort.sites.length
  const survivors = cohort.sites.map((_, index) => index + 1).slice(0, n - dropouts)
  const inputs = claimedInputs(cohort, survivors, own)
  const said = say(cohort.coordinator, 'Survivors', survivorsOf(cohort.sharing, inputs))
  const survival = sure(openSurvival(cohort.sharing, said, inputs))
  const secret = (u: number) => cohort.dealt[u - 1]?.next.held.look()
  const revealed = {
    selfSeeds: new Map(survivors.map((u) => [u, secret(u)?.self as Bytes])),
    roots: new Map(survival.dropouts.map((u) => [u, secret(u)?.maskRoot as Bytes])),
  }
  const maskCts = cohort.dealt.flatMap((one) => one.say.parcel.maskCts)
  const keys = await timed(() => sure(masksOf(survival, revealed, maskCts).masks))
  const sum = Uint32Array.from(vector)
  const taken = await timed(() => removeMasks(sum, keys.value))
  const summed = await timed(async () =>
    sure(
      await accumulate(
        survivors.map(() => pieces(encodeLanes(vector))),
        vector.length,
      ),
    ),
  )
  return [dropouts, keys.value.length, s(keys.cpu), s(taken.cpu), s(summed.cpu)]
}

function streaming(n: number, parameters: number): Row {
  const child = fileURLToPath(new URL('./secagg-memory.ts', import.meta.url))
  const made = spawnSync(process.execPath, [child, String(n), String(parameters)], { encoding: 'utf8' })
  assert(made.status === 0, `the process that measures memory ran: ${made.stderr}`)
  const { seconds, peakBytes } = JSON.parse(made.stdout) as { readonly seconds: number; readonly peakBytes: number }
  return [n, parameters, Math.round(vectorBytesOf(parameters) / 1e6), seconds.toFixed(1), Math.round(peakBytes / 1e6)]
}

function shamir(n: number, t: number): Row {
  const [secret, key] = [chanceOf('secret')(32), chanceOf('coefficients')(32)]
  const shares = split(secret, t, n, key).map((share, index) => ({ x: index + 1, share }))
  const best = (work: () => unknown) =>
    Math.min(
      ...Array.from({ length: 20 }, () => {
        const start = performance.now()
        work()
        work()
        return performance.now() - start
      }),
    )
  return [n, t, best(() => split(secret, t, n, key)).toFixed(2), best(() => combine(shares.slice(0, t))).toFixed(2)]
}

/** A vector of 10^6 lanes under so many masks, beside bare keystream of as many bytes: turn by turn, and the middle turn. */
async function maskRate(count: number): Promise<Row> {
  const vector = new Uint32Array(lanesOf(1_000_000))
  const masks = drawnMasks(count)
  const masker = openMasker(vector.length)
  const bytes = count * vector.byteLength
  const turns: { readonly bare: number; readonly masked: number }[] = []
  while (turns.length < 9) {
    const aes = await timed(() => bareKeystream(bytes))
    const own = await timed(() => masker.add(vector, masks, 0))
    turns.push({ bare: bytes / aes.cpu / 1e6, masked: bytes / own.cpu / 1e6 })
  }
  const of = (figure: (turn: (typeof turns)[number]) => number) => middle(turns.map(figure)).toFixed(2)
  return [count, of(({ bare }) => bare), of(({ masked }) => masked), of(({ bare, masked }) => masked / bare)]
}

/** Every survivor's own mask and one with each dropout, off a sum, by each adapter of the door. */
async function unmasking(share: number): Promise<readonly Row[]> {
  const dropouts = Math.round(100 * share)
  const masks = drawnMasks((100 - dropouts) * (1 + dropouts))
  const sum = new Uint32Array(lanesOf(1_000_000))
  const bytes = masks.length * sum.byteLength
  const cores = availableParallelism()
  await using threads = openMaskRemoval()
  const ways: Readonly<Record<string, () => void | Promise<void>>> = {
    'AES alone': () => bareKeystream(bytes),
    'one thread': () => removeMasks(sum, masks),
    [`${cores} threads`]: () => threads.removeMasks(sum, masks),
  }
  const turns: Readonly<Record<string, { readonly cpu: number; readonly wall: number }>>[] = []
  while (turns.length < 3) {
    const turn: Record<string, Awaited<ReturnType<typeof timed>>> = {}
    for (const [by, work] of Object.entries(ways)) turn[by] = await timed(work)
    turns.push(turn)
  }
  const figure = (by: string, of: 'cpu' | 'wall') => middle(turns.map((turn) => turn[by]?.[of] as number))
  return Object.keys(ways).map((by) => {
    const [wall, cpu] = [figure(by, 'wall'), figure(by, 'cpu')]
    const limit = figure('AES alone', 'wall') / cores
    const ratios = [(limit / wall).toFixed(2), (figure('AES alone', 'cpu') / cpu).toFixed(2)]
    return [dropouts, masks.length, by, s(wall), s(cpu), (bytes / wall / 1e6).toFixed(2), ...ratios]
  })
}

function drawnMasks(count: number): readonly Mask[] {
  return Array.from({ length: count }, (_, index) => ({
    seed: chanceOf(`mask ${index}`)(40),
    sign: index % 2 ? 1 : -1,
  }))
}

function bareKeystream(bytes: number): void {
  const next = keystream(chanceOf('aes')(32), new Uint8Array(16))
  for (let at = 0; at < bytes; at += 65_536) next(65_536)
}

async function* pieces(bytes: Bytes): AsyncGenerator<Bytes> {
  for (let at = 0; at < bytes.length; at += 2 ** 20) yield bytes.subarray(at, at + 2 ** 20)
}

const middle = (figures: readonly number[]) => figures.toSorted((a, b) => a - b)[figures.length >> 1] as number
const ms = (millis: number) => millis.toFixed(1)
const s = (millis: number) => (millis / 1_000).toFixed(3)
const over = (bytes: number, plain: number) => (1 + bytes / plain).toFixed(4)
