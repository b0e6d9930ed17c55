import { expect } from '@jest/globals'
import { unitStream } from '#aggregation/rng.ts'
import { certificateOf, survivorsOf } from '#aggregation/secagg/aggregator.ts'
import { type Body, hear, type Said } from '#aggregation/secagg/messages.ts'
import { toHex } from '#protocol/bytes.ts'
import type { Signed } from '#protocol/envelope.ts'
import { must, seed } from '#test/aggregation/given.ts'
import type { SaidFrame } from './bench.ts'
import { Host } from './host.ts'
import { dealt, quiet, rest, signedIn, told } from './stages.ts'
import { plainSum, unmaskedSum } from './vectors.ts'

/**
 * Sessions of real nodes that nobody would wish for, everything drawn from a seed: over a network that loses, repeats and
 * reorders, and with a coordinator that lies. What must hold whatever happens is checked here.
 */
type Random = { readonly below: (bound: number) => number; readonly chance: (of: number) => boolean }

function randomOf(number: number): Random {
  const unit = unitStream(seed(number))
  return { below: (bound) => Math.floor(unit() * bound), chance: (of) => unit() < of }
}

type Act = () => void
const LOSS = 0.3

/**
 * An honest coordinator over a rough network, and a node that may restart. Each stage ends when all have answered, or after
 * so many deliveries with those who have.
 *
 * @returns how far it came, by how many; `exact` when the masks came off a right sum
 */
export async function roughSession(number: number): Promise<'exact' | 'too-few'> {
  const { below, chance } = randomOf(number)
  const host = new Host(5, { name: `rough ${number}` })
  await host.open()
  await host.join()
  const roster = await host.roster()
  const { q, t } = roster.body.params
  const older: Act[][] = host.seats.map(() => [])
  const again = chance(0.5) ? below(5) : -1

  /** Delivers what is current, and some of what was, to one seat after another. @returns those who have answered */
  async function stage(current: (seat: number) => readonly Act[], answers: readonly unknown[], seats = host.seats) {
    const waiting = () => seats.filter((seat) => answers[seat] === undefined)
    for (let turn = 0; turn < 40 && waiting().length > 0; turn++) {
      const seat = seats[below(seats.length)] as number
      const now = current(seat)
      const all = [...now, ...(older[seat] ?? []).filter(() => chance(0.05))]
      if (turn < 4) older[seat]?.push(...now)
      for (const act of all.toSorted(() => (chance(0.5) ? 1 : -1))) if (!chance(LOSS)) act()
      if (seat === again && chance(0.02)) host.restart(seat)
      await quiet(host)
      for (const one of host.seats)
        for (const frame of await rest(host, one)) if (!chance(LOSS)) await take(host, one, frame)
    }
    return seats.filter((seat) => answers[seat] !== undefined)
  }

  async function play(): Promise<'exact' | 'too-few'> {
    const dealers = await stage((seat) => [() => host.sit(seat, roster)], host.parcels)
    if (dealers.length < q) return 'too-few'
    const shared = await host.shared(roster, dealers)
    const briefed = (seat: number) => [() => host.share(seat, shared), () => host.mask(seat, shared)]
    const reporters = await stage((seat) => [() => host.sit(seat, roster), ...briefed(seat)], host.inputs, dealers)
    if (reporters.length < q) return 'too-few'
    const sharing = host.sharing(roster, shared)
    const survivors = await host.survivors(sharing, reporters)
    const survey = (seat: number) => () => host.survey(seat, survivors)
    const confirmers = await stage((seat) => [survey(seat)], host.confirms, reporters)
    if (confirmers.length < q) return 'too-few'
    const certificate = await host.certificate(sharing, survivors)
    const certify = (seat: number) => () => host.certify(seat, survivors, certificate)
    const answered = await stage((seat) => [survey(seat), certify(seat)], host.unmasks, reporters)
    if (answered.length < t) return 'too-few'
    const sum = await unmaskedSum(host, roster, shared, survivors, certificate)
    expect(sum).toEqual(await plainSum(host, reporters))
    return 'exact'
  }

  const ending = await play()
  await expectOnce(host)
  expectOneSecret(
    host.unmasks.filter(Boolean).map(({ body }) => body),
    t,
  )
  // Nothing that an honest coordinator says makes a member leave, in whatever order it comes.
  expect(host.seats.flatMap((seat) => host.lives(seat).flatMap((node) => told(node, 'failed')))).toEqual([])
  return ending
}

/** The real coordinator's ear, as far as it matters here: what came first stands. */
async function take(host: Host, seat: number, frame: SaidFrame): Promise<void> {
  const { message } = frame
  if (message.kind === 'deal' && !host.parcels[seat]) await host.takeDeal(seat, { ...frame, message })
  if (message.kind === 'submit' && !host.inputs[seat]) await host.takeSubmission(seat, { ...frame, message })
  if (message.kind === 'confirm') host.confirms[seat] ??= await host.attached(frame, 'Confirm', message.confirm)
  if (message.kind === 'unmask') host.unmasks[seat] ??= await host.attached(frame, 'Unmask', message.unmask)
}

export type Told = {
  readonly inputs: number
  readonly confirms: number
  readonly unmasks: number
  readonly sets: number
}

/**
 * A coordinator that shows each of four members a world of its own: one U2 of several, one U3 of several over it, and a
 * certificate of whatever was confirmed; now and then a word out of another world, an end, or a restart. With four members
 * of whom one may be corrupt, a single one that signed twice would be enough to open two sums.
 */
export async function lyingSession(number: number): Promise<Told> {
  const { below, chance } = randomOf(number)
  const host = new Host(4, { name: `lie ${number}` })
  const { roster } = await dealt(host)
  const { q, t } = roster.body.params
  const attempt = await host.roster({ attempt: 2 })
  const lists = [
    await host.shared(roster),
    await host.shared(roster, [0, 1, 2]),
    await host.shared(roster, [1, 2, 3], 2),
    await host.shared(roster, [0, 1, 2], 2),
  ]
  const inputs: Said<'MaskedInput'>[] = []
  const confirms: Said<'Confirm'>[] = []
  const unmasks: Body<'Unmask'>[] = []
  const sets: Said<'Survivors'>[] = []
  const certificates: (readonly [Said<'Survivors'>, Said<'QuorumCert'>])[] = []
  const pick = <Item>(items: readonly Item[]): Item | undefined => items[below(items.length)]
  const worlds = host.seats.map((seat) => ({
    shared: (chance(0.75) || seat === 3 ? lists[0] : pick(lists)) as Said<'Shared'>,
    second: chance(0.2),
  }))

  /** Something out of place, to this seat. */
  function stray(seat: number): void {
    const [shared, set, certified] = [pick(lists), pick(sets), pick(certificates)]
    const acts: readonly (Act | undefined)[] = [
      shared && (() => host.share(seat, shared)),
      shared && (() => host.mask(seat, shared)),
      set && (() => host.survey(seat, set)),
      certified && (() => host.certify(seat, ...certified)),
      () => host.sit(seat, chance(0.3) ? attempt : roster),
      chance(0.3) ? () => host.end(seat, chance(0.7) ? 'aborted' : 'closed') : undefined,
      chance(0.3) ? () => void host.restart(seat) : undefined,
    ]
    pick(acts)?.()
  }

  async function toAll(say: (seat: number) => void): Promise<void> {
    for (const seat of host.seats.toSorted(() => (chance(0.5) ? 1 : -1))) {
      if (chance(0.12)) stray(seat)
      say(seat)
      if (chance(0.12)) stray(seat)
      for (const one of host.seats)
        for (const frame of await rest(host, one)) {
          const { message } = frame
          if (message.kind === 'submit') inputs.push(await host.attached(frame, 'MaskedInput', message.input))
          if (message.kind === 'confirm') confirms.push(await host.attached(frame, 'Confirm', message.confirm))
          if (message.kind === 'unmask') unmasks.push((await host.attached(frame, 'Unmask', message.unmask)).body)
        }
    }
  }

  await toAll((seat) => host.share(seat, worlds[seat]?.shared as Said<'Shared'>))
  await toAll((seat) => host.mask(seat, worlds[seat]?.shared as Said<'Shared'>))
  for (const shared of lists) {
    const under = new Map(
      inputs.filter(({ body }) => toHex(body.u2Hash) === toHex(shared.hash)).map((one) => [one.body.u, one]),
    )
    if (under.size < q) continue
    const sharing = host.sharing(roster, shared)
    for (const without of [0, 4, 1]) {
      const some = [...under.values()].filter(({ body }) => body.u !== without)
      if (some.length < q) continue
      const set = await host.state('Survivors', survivorsOf(sharing, some))
      if (!sets.some(({ cid }) => cid === set.cid)) sets.push(set)
    }
  }
  const setFor = (seat: number) => (worlds[seat]?.second ? (sets[1] ?? sets[0]) : sets[0])
  await toAll((seat) => {
    const set = setFor(seat)
    if (set) host.survey(seat, set)
  })
  for (const input of inputs) host.inputs[input.body.u - 1] = input
  for (const set of sets) {
    const shared = lists.find(({ hash }) => toHex(hash) === toHex(set.body.u2Hash)) as Said<'Shared'>
    const made = certificateOf(host.survival(host.sharing(roster, shared), set), confirms)
    if (made.ok) certificates.push([set, await host.state('QuorumCert', made.value)])
  }
  // L1: there is a certificate of one set at most.
  expect(certificates.length).toBeLessThan(2)
  await toAll((seat) => {
    const [certified] = certificates
    if (certified) host.certify(seat, ...certified)
  })
  await toAll(stray)
  await expectOnce(host)
  expectOneSecret(unmasks, t)
  const count = (list: readonly { readonly u: number }[]) => new Set(list.map(({ u }) => u)).size
  const bodies = (list: readonly { readonly body: { readonly u: number } }[]) => list.map(({ body }) => body)
  return {
    ...{ inputs: count(bodies(inputs)), confirms: count(bodies(confirms)), unmasks: count(unmasks) },
    sets: sets.length,
  }
}

/** Everything that a node signed in its lives, each signature once, in the order of first saying. */
async function signedBy(host: Host, seat: number): Promise<readonly Signed[]> {
  const found = new Map<string, Signed>()
  for (const { said } of host.lives(seat))
    for (const frame of said)
      for (const one of await signedIn(frame))
        if (!found.has(toHex(one.signature))) found.set(toHex(one.signature), one)
  return [...found.values()]
}

/** R1, R3: whatever was said to it, a member said each thing once, and nothing that contradicts it. */
async function expectOnce(host: Host): Promise<void> {
  for (const seat of host.seats) {
    const signed = await signedBy(host, seat)
    const of = (type: string) => signed.filter((one) => one.type === type)
    for (const type of ['Advert', 'ShareKeys', 'MaskedInput', 'Confirm', 'Unmask'])
      expect(`${type}: ${of(type).length}`).toMatch(/: [01]$/)
    const [confirm, unmask] = [of('Confirm')[0], of('Unmask')[0]]
    if (confirm && unmask)
      expect(must(hear('Unmask', unmask)).body.u3Hash).toEqual(must(hear('Confirm', confirm)).body.u3Hash)
    if (unmask) expect(of('Abandon')).toEqual([])
    const abandoned = signed.findIndex(({ type }) => type === 'Abandon')
    if (abandoned >= 0) expect(signed.slice(abandoned).every(({ type }) => type === 'Abandon')).toBe(true)
  }
}

/** L2: of nobody do shares of both secrets come out, those of one corrupt member counted. */
function expectOneSecret(unmasks: readonly Body<'Unmask'>[], t: number): void {
  const byMember = [...new Map(unmasks.map((body) => [body.u, body])).values()]
  for (let dealer = 1; dealer <= 5; dealer++) {
    const holders = (of: 'bShares' | 'rootShares') => byMember.filter((body) => body[of].some(({ u }) => u === dealer))
    expect(Math.min(holders('bShares').length, holders('rootShares').length) + 1).toBeLessThan(t)
  }
}
