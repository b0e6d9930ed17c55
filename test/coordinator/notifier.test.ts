import { describe, expect, test } from '@jest/globals'
import { Notifier, type Post } from '#coordinator/notifier.ts'
import type { Run } from '#coordinator/run.ts'
import type { RunEvent } from '#coordinator/run-events.ts'
import type { Advanced } from '#coordinator/runner.ts'
import { webhookSecretOf, webhookSignature } from '#coordinator/webhook-signature.ts'
import { type Endpoint, versionsAt, Webhooks } from '#coordinator/webhooks.ts'
import type { RunId } from '#protocol/ids.ts'
import { virtualClock } from '#sim/virtual-clock.ts'
import { openMemoryLog } from '#storage/logs/memory.ts'
import { cid, happens, RUN, specOf } from './fixture.ts'
import { accepted } from './histories.ts'

/** Another one. */
const OTHER = 'run_01ARZ3NDEKTSV4RRFFQ69G5FAW' as RunId

/** Some events of one run. */
function history(id: RunId = RUN): readonly Advanced[] {
  const events: RunEvent[] = [
    { kind: 'created', at: 1000, spec: specOf({ run: id }) },
    { kind: 'held', at: 2000 },
    { kind: 'opened', at: 3000, round: 1, plan: cid('plan'), invited: 3 },
    ...[0, 1, 2].map((index) => ({ ...happens.join(index), at: 3010 + index, round: 1 }) as RunEvent),
    { kind: 'stopped', at: 3500, reason: 'enough' },
  ]
  let run: Run | undefined
  return events.map((event, position) => {
    const before = run
    run = accepted(run, event)
    return { before, after: run, event, position }
  })
}

type Sent = {
  readonly url: string
  readonly id: string
  readonly type: string
  readonly attempt: string
  readonly signed: readonly number[]
}

/** Every change makes another secret, and each is known by its number. */
const secretOf = (_endpoint: string, version: number) => webhookSecretOf(new Uint8Array(24).fill(version))

function signersOf(headers: Readonly<Record<string, string>>, body: string): readonly number[] {
  const [id = '', time] = [headers['webhook-id'], Number(headers['webhook-timestamp'])]
  const of = (signature: string) => (version: number) =>
    webhookSignature(secretOf('', version), id, time, body) === signature
  return (headers['webhook-signature'] ?? '').split(' ').map((one) => [0, 1, 2, 3, 4, 5].findIndex(of(one)))
}

/** A process over a log, which may be one of several, or the next one after its death. */
function process(
  log = openMemoryLog(),
  clock = virtualClock(10_000),
  answer: (url: string, id: string) => number | Promise<number> = () => 204,
  runs: readonly RunId[] = [RUN],
) {
  const sent: Sent[] = []
  const all = new Map(runs.map((run) => [run, history(run)]))
  const post: Post = async (url, headers, body) => {
    const { type } = JSON.parse(body) as { readonly type: string }
    const signed = signersOf(headers, body)
    sent.push({ url, id: headers['webhook-id'] ?? '', type, attempt: headers['webhook-timestamp'] ?? '', signed })
    const status = await answer(url, headers['webhook-id'] ?? '')
    if (status === 0) throw new Error('nobody listens')
    return status
  }
  let endpoints = 0
  const webhooks = new Webhooks({ log, clock, newEndpointId: () => `we_${endpoints++}` })
  const shown = { events: history().length }
  const notifier = new Notifier({
    ...{ webhooks, clock, post, secretOf, count: () => undefined },
    orderOf: async () => ({ payload: { parameters: 1, scores: { lanes: 0 } } }) as never,
    runner: {
      runs: () => [...all.values()].map((one) => (one[shown.events - 1] as Advanced).after),
      position: () => shown.events,
      async *follow(run, from) {
        yield* (all.get(run) ?? []).slice(from, shown.events)
      },
    },
  })
  const turn = () => notifier.turn(new AbortController().signal)
  return { log, clock, webhooks, notifier, sent, turn, shown }
}

const body = (url: string, events = ['*']) => ({ url, events, description: '', federation: null })
const seqs = (sent: readonly Sent[]) => sent.map(({ id }) => Number(id.split('_')[2]))

describe('a secret that is changed', () => {
  const DAY = 86_400_000
  const rotating = async (...overlaps: readonly number[]) => {
    const at = process(openMemoryLog(), virtualClock(0))
    await at.webhooks.add(body('https://one.example/'), null)
    for (const overlap of overlaps) await at.webhooks.rotate('we_0', overlap, null)
    return at
  }
  const signersAfter = async (at: Awaited<ReturnType<typeof rotating>>, millis: number) => {
    await at.clock.advance(millis)
    const endpoint = await at.webhooks.get('we_0')
    if (endpoint) await at.notifier.test(endpoint, 'msg_test', new AbortController().signal)
    return at.sent.at(-1)?.signed
  }

  test('signs beside the old one for as long as was said, and alone from then on; the next process knows', async () => {
    const at = await rotating(DAY)
    expect(await signersAfter(at, 0)).toEqual([1, 0])
    expect(await signersAfter(at, DAY)).toEqual([1, 0])
    expect(await signersAfter(at, 2)).toEqual([1])
    const next = process(at.log, at.clock)
    expect(await signersAfter(next, 0)).toEqual([1])
  })

  test('is alone at once where it leaked, also of the ones before; a shorter overlap shortens theirs, and no longer one', async () => {
    expect(await signersAfter(await rotating(DAY, 0), 0)).toEqual([2])
    const at = await rotating(DAY, 1000)
    expect(await signersAfter(at, 0)).toEqual([2, 1, 0])
    expect(await signersAfter(at, 2000)).toEqual([2])
    const longer = await rotating(1000, DAY)
    expect(await signersAfter(longer, 2000)).toEqual([2, 1])
  })

  test('is changed once for one request, as it was seen, and not for a fifth signature', async () => {
    const at = await rotating()
    const once = { key: new Uint8Array(32).fill(1), body: new Uint8Array(32) }
    const first = await at.webhooks.rotate('we_0', DAY, once)
    expect(await at.webhooks.rotate('we_0', DAY, once, () => false)).toEqual({
      ok: true,
      value: { ...(first.ok && first.value), isReplayed: true },
    })
    const refusal = async (...args: Parameters<typeof at.webhooks.rotate>) => {
      const rotated = await at.webhooks.rotate(...args)
      return rotated.ok ? versionsAt(rotated.value.endpoint, at.clock.now()).length : rotated.refusal
    }
    expect(await refusal('we_0', 1, { ...once, body: new Uint8Array(32).fill(1) })).toBe('key-reused')
    expect(await refusal('we_0', 1, null, () => false)).toBe('stale')
    expect(await refusal('we_9', 1, null)).toBe('no-endpoint')
    expect([await refusal('we_0', DAY, null), await refusal('we_0', DAY, null)]).toEqual([3, 4])
    expect(await refusal('we_0', DAY, null)).toBe('too-many-secrets')
    expect(await refusal('we_0', 0, null)).toBe(1)
    expect((await process(at.log, at.clock).webhooks.get('we_0'))?.secrets).toEqual([{ version: 4, until: null }])
  })

  test('is signed with at once, also by who was telling events already', async () => {
    const at = await rotating()
    await at.turn()
    at.sent.length = 0
    const telling = process(at.log, at.clock, async () => {
      if (telling.sent.length === 1) await at.webhooks.rotate('we_0', 0, null)
      return 204
    })
    await at.webhooks.add(body('https://two.example/'), null)
    await telling.turn()
    const all = telling.sent.filter(({ url }) => url.includes('one'))
    expect(all.map(({ signed }) => signed)).toEqual(all.map((_, index) => (index === 0 ? [0] : [1])))
  })
})

describe('an endpoint', () => {
  test('is told each event once, in order, and those of before it not at all; also by the next process', async () => {
    const first = process(openMemoryLog(), virtualClock(2500))
    await first.webhooks.add(body('https://one.example/'), null)
    first.shown.events = 4
    await first.turn()
    await first.turn()
    expect(seqs(first.sent)).toEqual([2, 3])
    const second = process(first.log, first.clock)
    await second.turn()
    await second.turn()
    expect(seqs(second.sent)).toEqual([4, 5, 6])
    expect(second.sent[0]?.id).toBe(`msg_${RUN.slice(4)}_4`)
  })

  test('is told only of what it asked for', async () => {
    const at = process(openMemoryLog(), virtualClock(0))
    await at.webhooks.add(body('https://one.example/', ['node.joined', 'run.*']), null)
    await at.turn()
    expect(at.sent.map(({ type }) => type)).toEqual([
      ...['run.created', 'run.funded', 'node.joined', 'node.joined', 'node.joined', 'run.stopping'],
    ])
  })

  test('that fails is told the same again, later and later, and holds up no other; after a day it is given up', async () => {
    let status = 500
    const at = process(openMemoryLog(), virtualClock(0), (url) => (url.includes('bad') ? status : 200))
    for (const host of ['bad', 'good']) await at.webhooks.add(body(`https://${host}.example/`), null)
    const bad = () => at.sent.filter(({ url }) => url.includes('bad'))
    await at.turn()
    expect(seqs(bad())).toEqual([0])
    expect(seqs(at.sent.filter(({ url }) => url.includes('good')))).toEqual([0, 1, 2, 3, 4, 5, 6])
    for (let minute = 0; minute < 24 * 60 + 61 && seqs(bad()).every((seq) => seq === 0); minute++) {
      await at.clock.advance(60_000)
      await at.turn()
    }
    // Some thirty times in a day, and then the next.
    expect(bad().length).toBeGreaterThan(25)
    expect(bad().length).toBeLessThan(45)
    expect(seqs(bad()).at(-1)).toBe(1)
    expect((await at.webhooks.get('we_0'))?.gaveUp).toMatchObject({ run: RUN, position: 0, reason: 'it answered 500' })
    expect(at.notifier.deliveries('we_0')[0]).toMatchObject({ outcome: 'failed', status: 500 })
    status = 200
    await at.clock.advance(3_600_000)
    await at.turn()
    expect(seqs(bad()).slice(-6)).toEqual([1, 2, 3, 4, 5, 6])
  })

  test('that refuses one message waits with that run alone, and tells all others', async () => {
    const refused = `msg_${RUN.slice(4)}_2`
    const at = process(openMemoryLog(), virtualClock(0), (_url, id) => (id === refused ? 500 : 204), [RUN, OTHER])
    await at.webhooks.add(body('https://one.example/'), null)
    const toldOf = (run: RunId) => seqs(at.sent.filter(({ id }) => id.startsWith(`msg_${run.slice(4)}_`)))
    await at.turn()
    expect([toldOf(RUN), toldOf(OTHER)]).toEqual([
      [0, 1, 2],
      [0, 1, 2, 3, 4, 5, 6],
    ])
    await at.turn()
    expect(toldOf(RUN)).toEqual([0, 1, 2])
    await at.clock.advance(5001)
    await at.turn()
    expect(toldOf(RUN)).toEqual([0, 1, 2, 2])
    expect(at.notifier.deliveries('we_0')[0]).toMatchObject({ run: RUN, seq: 2, attempt: 2, outcome: 'failed' })
  })

  test('is tried by hand, whatever comes of it, and that changes nothing about when the rest is tried again', async () => {
    let status = 500
    const at = process(openMemoryLog(), virtualClock(0), () => status)
    await at.webhooks.add(body('https://one.example/'), null)
    const signal = new AbortController().signal
    const endpoint = () => at.webhooks.get('we_0') as Promise<Endpoint>
    const byHand = async () => {
      await at.notifier.test(await endpoint(), 'msg_test', signal)
      const run = (history()[6] as Advanced).after
      expect(await at.notifier.redeliver(await endpoint(), run, 0, signal)).toMatchObject({ attempt: 1 })
    }
    const tries = () => at.notifier.deliveries('we_0').filter(({ attempt, seq }) => attempt > 1 && seq === 0).length
    await at.turn()
    // Neither is the pause longer by what fails,
    await byHand()
    await at.clock.advance(5001)
    await at.turn()
    expect(tries()).toBe(1)
    // nor does the day begin anew by what arrives.
    for (let minute = 0; minute < 24 * 60 + 61; minute++) {
      await at.clock.advance(60_000)
      if (minute % 60 === 0) {
        status = 204
        await byHand()
        status = 500
      }
      await at.turn()
    }
    expect((await endpoint()).gaveUp).toMatchObject({ run: RUN, position: 0 })
  })

  test('that says that it is gone is switched off at once, at every process, and switched on again goes on from there', async () => {
    let status = 410
    const at = process(openMemoryLog(), virtualClock(0), () => status, [RUN, OTHER])
    await at.webhooks.add(body('https://one.example/'), null)
    await at.turn()
    // It was told one thing, and nothing of the other run.
    expect(at.sent).toHaveLength(1)
    expect(await process(at.log, at.clock).webhooks.get('we_0')).toMatchObject({
      ...{ enabled: false, gaveUp: { run: RUN, position: 0, reason: 'it answered 410' } },
    })
    expect(at.notifier.deliveries('we_0')[0]).toMatchObject({ status: 410, outcome: 'gave-up' })
    await at.clock.advance(3_600_000)
    await at.turn()
    expect(at.sent).toHaveLength(1)
    status = 204
    await at.webhooks.change('we_0', { enabled: true })
    await at.turn()
    expect(seqs(at.sent.filter(({ id }) => id.startsWith(`msg_${RUN.slice(4)}`)))).toEqual([0, 0, 1, 2, 3, 4, 5, 6])
  })

  test('whose address was changed while the old one answered that it is gone stays switched on', async () => {
    const at = process(openMemoryLog(), virtualClock(0), async (url) => {
      if (url.includes('two')) return 204
      await at.webhooks.change('we_0', { url: 'https://two.example/' })
      return 410
    })
    await at.webhooks.add(body('https://one.example/'), null)
    await at.turn()
    expect(await at.webhooks.get('we_0')).toMatchObject({ enabled: true, gaveUp: null })
    await at.clock.advance(5001)
    await at.turn()
    expect(seqs(at.sent.filter(({ url }) => url.includes('two')))).toEqual([0, 1, 2, 3, 4, 5, 6])
  })

  test('that failed, and was switched off for days, has a day again once it is switched on', async () => {
    const at = process(openMemoryLog(), virtualClock(0), () => 500)
    await at.webhooks.add(body('https://one.example/'), null)
    await at.turn()
    await at.webhooks.change('we_0', { enabled: false })
    await at.turn()
    await at.clock.advance(3 * 86_400_000)
    await at.webhooks.change('we_0', { enabled: true })
    await at.turn()
    expect(at.notifier.deliveries('we_0').map(({ attempt, outcome }) => [attempt, outcome])).toEqual([
      [1, 'failed'],
      [1, 'failed'],
    ])
  })

  test('that has not taken from this process what another one gave up has a day for the next one', async () => {
    const at = process(openMemoryLog(), virtualClock(0), () => 500)
    await at.webhooks.add(body('https://one.example/'), null)
    await at.turn()
    await at.webhooks.giveUp({ id: 'we_0', run: RUN, position: 0, reason: 'it answered 500' })
    await at.clock.advance(3 * 86_400_000)
    await at.turn()
    expect(at.notifier.deliveries('we_0')[0]).toMatchObject({ seq: 1, attempt: 1, outcome: 'failed' })
  })

  test('that answers slowly holds up no other, and is told each event once all the same', async () => {
    const answers: (() => void)[] = []
    const slowly = () => new Promise<number>((settle) => answers.push(() => settle(204)))
    const at = process(openMemoryLog(), virtualClock(0), (url) => (url.includes('slow') ? slowly() : 204))
    for (const host of ['slow', 'good']) await at.webhooks.add(body(`https://${host}.example/`), null)
    const toldTo = (host: string) => seqs(at.sent.filter(({ url }) => url.includes(host)))
    const look = async () => {
      const turn = at.turn()
      await at.clock.advance(1000)
      await turn
    }
    at.shown.events = 4
    await look()
    expect([toldTo('slow'), toldTo('good')]).toEqual([[0], [0, 1, 2, 3]])
    at.shown.events = 7
    await look()
    expect([toldTo('slow'), toldTo('good')]).toEqual([[0], [0, 1, 2, 3, 4, 5, 6]])
    for (let turn = 0; turn < 20; turn++) {
      for (const answer of answers.splice(0)) answer()
      await look()
    }
    expect(toldTo('slow')).toEqual([0, 1, 2, 3, 4, 5, 6])
  })

  test('that is gone leaves nothing behind', async () => {
    const at = process(openMemoryLog(), virtualClock(0))
    await at.webhooks.add(body('https://one.example/'), null)
    await at.turn()
    expect(at.notifier.deliveries('we_0')).not.toEqual([])
    await at.webhooks.remove('we_0')
    await at.turn()
    expect(at.notifier.deliveries('we_0')).toEqual([])
  })

  test('that is switched off is told nothing, and afterwards what it missed; one that is gone nothing more', async () => {
    const at = process(openMemoryLog(), virtualClock(0))
    await at.webhooks.add(body('https://one.example/'), null)
    await at.webhooks.change('we_0', { enabled: false })
    await at.turn()
    expect(at.sent).toEqual([])
    await at.webhooks.change('we_0', { enabled: true })
    await at.turn()
    expect(seqs(at.sent)).toEqual([0, 1, 2, 3, 4, 5, 6])
    expect(await at.webhooks.remove('we_0')).toBe(true)
    await at.turn()
    expect(at.sent).toHaveLength(7)
  })
})
