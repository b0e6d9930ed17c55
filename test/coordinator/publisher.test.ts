import { describe, expect, test } from '@jest/globals'
import { Publications } from '#coordinator/publications.ts'
import { type PublisherDoors, publishing } from '#coordinator/publisher.ts'
import type { Past, Run } from '#coordinator/run.ts'
import type { Cid, RunId } from '#protocol/ids.ts'
import type { PinningService, PinRequest } from '#protocol/ports.ts'
import { virtualClock } from '#sim/virtual-clock.ts'
import { systemClock } from '#storage/clock.ts'
import { openMemoryLog } from '#storage/logs/memory.ts'
import { openMemoryPinning } from '#storage/pinning/memory.ts'
import { openPinningService } from '#storage/pinning/service.ts'
import { pinningDouble, type Quirk } from '#test/pinning-double.ts'
import { cid, RUN, specOf } from './fixture.ts'
import { started } from './histories.ts'

const [MINUTE, HOUR, DAY] = [60_000, 3_600_000, 86_400_000]
const running = (round: number, change: Partial<Run> = {}): Run => ({
  ...started(specOf()),
  ...{ parent: cid(`manifest ${round}`), model: cid(`model ${round}`), trained: round },
  past: Array.from({ length: round }, () => undefined as unknown as Past),
  ...change,
})
const ended = (round: number, change: Partial<Run> = {}) =>
  running(round, { phase: 'ended', manifest: cid('run'), ...change })

/** One process that publishes at one provider, over a log that others may share. */
function process(
  service: PinningService,
  { log = openMemoryLog(), ...more }: Partial<PublisherDoors> & { log?: ReturnType<typeof openMemoryLog> } = {},
) {
  const clock = virtualClock(1_000_000)
  const state = {
    runs: [] as readonly Run[],
    until: null as number | null,
    faults: [] as unknown[],
    dialled: [] as string[],
  }
  const publications = new Publications(log)
  const duty = publishing(
    { name: 'one', service, slow: false },
    {
      ...{ publications, clock, publishHospitals: false },
      ...{ runs: () => state.runs, vectorsUntil: () => state.until, bundleOf: async () => cid('bundle') },
      origins: () => ['/ip4/127.0.0.1/tcp/4001'],
      connect: async (delegates) => void state.dialled.push(...delegates),
      failed: (cause) => state.faults.push(cause),
      ...more,
    },
  )
  const turn = async (millis = MINUTE) => {
    await clock.advance(millis)
    await duty.perform(new AbortController().signal)
  }
  const known = async () =>
    (await publications.select(() => true)).map(({ what, cid, status }) => [what, cid, status] as const)
  return Object.assign(state, { clock, log, publications, turn, known })
}

const cids = (service: ReturnType<typeof openMemoryPinning>) => service.pins().map((pin) => pin.cid)

describe('a run', () => {
  test('has its latest record pinned while it goes on, which stands for those before it', async () => {
    const service = openMemoryPinning(['/ip4/127.0.0.1/tcp/4002'])
    const asked: PinRequest[] = []
    const add = (request: PinRequest) => {
      asked.push(request)
      return service.add(request)
    }
    const at = process({ ...service, add })
    at.runs = [running(0, { parent: null })]
    await at.turn()
    expect(cids(service)).toEqual([])
    at.runs = [running(1)]
    await at.turn()
    await at.turn()
    expect(cids(service)).toEqual([cid('manifest 1')])
    expect(asked).toMatchObject([{ name: `${RUN} record`, origins: ['/ip4/127.0.0.1/tcp/4001'] }])
    expect(at.dialled).toEqual(['/ip4/127.0.0.1/tcp/4002'])
    // The queue is slower than the rounds: what waits in it is not joined by each of them.
    at.runs = [running(2)]
    await at.turn()
    at.runs = [running(3)]
    await at.turn()
    expect(cids(service)).toEqual([cid('manifest 1')])
    service.settle('pinned')
    await at.turn()
    expect(cids(service)).toEqual([cid('manifest 3')])
    expect(await at.known()).toEqual([['record', cid('manifest 3'), 'pinned']])
    expect(at.faults).toEqual([])
  })

  test('that has ended has its record pinned until vectors expire, and its model and its bundle for good', async () => {
    const service = openMemoryPinning()
    service.settle('pinned')
    const at = process(service)
    at.runs = [running(3)]
    await at.turn()
    at.runs = [ended(3)]
    at.until = at.clock.now() + 30 * DAY
    await at.turn()
    expect(cids(service)).toEqual([cid('run'), cid('model 3'), cid('bundle')])
    await at.turn(31 * DAY)
    expect(cids(service)).toEqual([cid('model 3'), cid('bundle')])
    await at.turn(400 * DAY)
    expect(cids(service)).toEqual([cid('model 3'), cid('bundle')])
    expect(at.faults).toEqual([])
  })

  test('of hospitals is published nowhere, unless the operator says so, and no longer than that is said', async () => {
    const service = openMemoryPinning()
    const run = ended(3, { spec: specOf({ population: 'hospital' }) })
    const log = openMemoryLog()
    const [silent, open] = [process(service, { log }), process(service, { log, publishHospitals: true })]
    silent.runs = open.runs = [run]
    await silent.turn()
    expect(service.pins()).toEqual([])
    await open.turn()
    expect(service.pins()).toHaveLength(3)
    await silent.turn()
    expect(service.pins()).toEqual([])
  })

  test('that is a question has no model, and one that no round of made a model has none of its own', async () => {
    const service = openMemoryPinning()
    const at = process(service)
    at.runs = [ended(1, { spec: specOf({ purpose: 'ask' }) })]
    await at.turn()
    expect(cids(service)).toEqual([cid('run'), cid('bundle')])
  })

  test('that this process has not heard of stays published', async () => {
    const [service, log] = [openMemoryPinning(), openMemoryLog()]
    const [knows, behind] = [process(service, { log }), process(service, { log })]
    knows.runs = [running(2)]
    await knows.turn()
    service.settle('pinned')
    for (const runs of [[], [running(0, { parent: null })], [running(1)]]) {
      behind.runs = runs
      await behind.turn()
      expect(cids(service)).toEqual([cid('manifest 2')])
    }
  })
})

describe('a request', () => {
  test('is made once, whatever dies between it and the log, and by however many processes', async () => {
    const [service, log] = [openMemoryPinning(), openMemoryLog()]
    await service.add({ cid: cid('run'), name: 'before it died', origins: [], meta: {} })
    const [one, two] = [process(service, { log }), process(service, { log })]
    one.runs = two.runs = [ended(3)]
    await Promise.all([one.turn(), two.turn()])
    await Promise.all([one.turn(), two.turn()])
    expect(cids(service).sort()).toEqual([cid('run'), cid('model 3'), cid('bundle')].sort())
    expect(await one.known()).toEqual(await two.known())
  })

  test('that stands for two runs is let go with the last of them', async () => {
    await using double = await pinningDouble('one-id-a-cid')
    const service = openPinningService({ url: double.url, token: double.token, clock: systemClock })
    const other = 'run_01ARZ3NDEKTSV4RRFFQ69G5FAW' as RunId
    const at = process(service, { vectorsUntil: () => null, bundleOf: async () => undefined })
    const runs = [running(1), running(1, { spec: specOf({ run: other }) })]
    at.runs = runs
    await at.turn()
    expect([(await at.known()).length, double.stored.size]).toEqual([2, 1])
    at.runs = [{ ...runs[0], phase: 'ended', parent: null, trained: 0 } as Run, runs[1] as Run]
    await at.turn()
    expect([(await at.known()).length, double.stored.size]).toEqual([1, 1])
    at.runs = at.runs.map((run) => ({ ...run, phase: 'ended', parent: null, trained: 0 }))
    await at.turn()
    expect([(await at.known()).length, double.stored.size]).toEqual([0, 0])
  })

  test('that failed, or that the provider has lost, is made anew after a pause', async () => {
    const service = openMemoryPinning()
    const at = process(service)
    at.runs = [running(1)]
    await at.turn()
    service.settle('failed')
    await at.turn()
    expect(await at.known()).toEqual([['record', cid('manifest 1'), 'failed']])
    await at.turn(HOUR / 2)
    expect(service.pins()).toMatchObject([{ id: 'request-1' }])
    service.settle('pinned')
    await at.turn(HOUR)
    await at.turn()
    expect(service.pins()).toMatchObject([{ id: 'request-2', status: 'pinned' }])
    expect(await at.known()).toEqual([['record', cid('manifest 1'), 'pinned']])
    await service.remove('request-2')
    await at.turn(DAY)
    expect(await at.known()).toEqual([['record', cid('manifest 1'), 'failed']])
    await at.turn(HOUR)
    expect(service.pins()).toMatchObject([{ id: 'request-3' }])
  })
})

describe('a provider', () => {
  test.each<Quirk>([
    'fails',
    'unauthorised',
    'unpaid',
    'redirects',
    'wrong-cid',
    'endless',
    'no-json',
    'many-delegates',
  ])('that is of the kind %s is asked less and less often, and pinned nothing', async (quirk) => {
    await using double = await pinningDouble(quirk)
    const at = process(openPinningService({ url: double.url, token: double.token, clock: systemClock }))
    at.runs = [ended(3)]
    for (let turn = 0; turn < 120; turn++) await at.turn(MINUTE)
    expect(double.asked.length).toBeLessThan(40)
    expect(at.faults.length).toBeLessThan(12)
    expect(at.faults[0]).toMatchObject({ message: 'one does not pin' })
    expect((await at.known()).filter(([, , status]) => status === 'pinned')).toEqual([])
    double.quirks = new Set()
    await at.turn(HOUR)
    await at.turn(HOUR)
    expect((await at.known()).map(([, , status]) => status)).toEqual(['pinned', 'pinned', 'pinned'])
  })

  test('that says when to come again is not asked before', async () => {
    await using double = await pinningDouble('busy')
    const at = process(openPinningService({ url: double.url, token: double.token, clock: systemClock }))
    at.runs = [running(1)]
    await at.turn()
    await at.turn()
    expect(double.asked).toHaveLength(1)
    await at.turn()
    expect(double.asked).toHaveLength(2)
  })

  test('that takes requests and forgets them writes few entries, and is not pinned', async () => {
    await using double = await pinningDouble('drops')
    const at = process(openPinningService({ url: double.url, token: double.token, clock: systemClock }))
    at.runs = [running(1)]
    for (let turn = 0; turn < 24 * 60; turn++) await at.turn(MINUTE)
    expect(await at.log.head('publications')).toBeLessThan(100)
  })

  test('that is new to many runs is asked for some of them at a time', async () => {
    const service = openMemoryPinning()
    const at = process(service, { bundleOf: async () => undefined })
    at.runs = Array.from({ length: 50 }, (_, index) =>
      running(index + 1, { spec: specOf({ run: `run_${`${index}`.padStart(26, '0')}` as RunId }) }),
    )
    const counts: number[] = []
    for (let turn = 0; turn < 4; turn++) {
      await at.turn()
      counts.push(service.pins().length)
    }
    expect(counts).toEqual([20, 40, 50, 50])
    expect(new Set<Cid>(cids(service)).size).toBe(50)
  })
})
