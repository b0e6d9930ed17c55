import { describe, expect, test } from '@jest/globals'
import { parseNodeId } from '#protocol/ids.ts'
import { say } from '#protocol/messages.ts'
import { fileOf } from '#verify/bundle.ts'
import { verifyAny, verifyBundle, verifyFile } from '#verify/verify.ts'
import { type Live, live, RawNode } from './live.ts'

type Json = Record<string, unknown>
const json = async (answer: Response): Promise<Json> => (await answer.json()) as Json
const post = (at: Live, path: string, body?: object) =>
  at.api(path, {
    method: 'POST',
    ...(body ? { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } } : {}),
  })

/** The run's events until this one, the last. */
async function until(at: Live, id: string, type: string, after = -1): Promise<Json[]> {
  const stream = await at.api(`/v1/runs/${id}/events`, {
    headers: { accept: 'text/event-stream', ...(after < 0 ? {} : { 'last-event-id': String(after) }) },
  })
  const seen: Json[] = []
  let text = ''
  for await (const piece of (stream.body as ReadableStream<Uint8Array<ArrayBuffer>>).pipeThrough(
    new TextDecoderStream(),
  )) {
    text += piece
    const lines = text.split('\n')
    text = lines.pop() ?? ''
    for (const line of lines.filter((one) => one.startsWith('data: '))) seen.push(JSON.parse(line.slice(6)) as Json)
    if (seen.some((event) => event['type'] === type)) return seen
  }
  throw new Error(`the run ended before ${type}`)
}

/** A run whose second round in a row has just come to nothing: one of the two nodes it takes joins, and no other. */
async function paused(at: Live): Promise<{ id: string; events: Json[] }> {
  const order = { timing: { selectionMillis: 60 }, failuresMax: 2, onFailures: 'pause' }
  const { id } = await json(await at.launch(order))
  return { id: String(id), events: await until(at, String(id), 'run.paused') }
}

describe('a run that is paused', () => {
  test('says so and why, with each round, and waits', async () => {
    await using at = await live()
    const { id, events } = await paused(at)
    expect(events.map(({ type }) => type)).toEqual([
      ...['run.created', 'run.funded', 'round.opened', 'round.aborted', 'round.recorded'],
      ...['round.opened', 'round.aborted', 'run.paused'],
    ])
    const reason = '2 rounds in a row were aborted, the last one: too-few-nodes'
    expect(events.at(-1)).toMatchObject({ reason, round: 2, failures: 2, record: expect.stringMatching(/^bafy/) })
    expect(await json(await at.api(`/v1/runs/${id}`))).toMatchObject({
      status: 'paused',
      reason,
      closed: 0,
      round: null,
    })
    const { data, has_more } = await json(await at.api(`/v1/runs/${id}/rounds`))
    const aborted = { outcome: 'aborted', phase: 'selection', reason: 'too-few-nodes', cohort: 0 }
    expect(data).toMatchObject([
      { round: 1, ...aborted },
      { round: 2, ...aborted },
    ])
    expect(has_more).toBe(false)
    expect(await json(await at.api(`/v1/runs/${id}/rounds/2`))).toMatchObject({ round: 2, ...aborted, seats: [] })
  })

  test('goes on when it is resumed, and is paused again when that does not help', async () => {
    await using at = await live()
    const { id } = await paused(at)
    expect(await json(await post(at, `/v1/runs/${id}/resume`))).toMatchObject({ status: 'running', reason: null })
    const again = await until(at, id, 'run.paused', 7)
    expect(again.map(({ type }) => type).slice(0, 2)).toEqual(['run.resumed', 'round.opened'])
    expect(again.at(-1)).toMatchObject({ round: 4, failures: 2 })
  })

  test('is stopped at once, and its record says by whom and proves it', async () => {
    await using at = await live()
    const { id } = await paused(at)
    const stopped = await post(at, `/v1/runs/${id}/stop`, { reason: 'the data changed' })
    expect(stopped.status).toBe(200)
    const events = await until(at, id, 'run.stopped', 7)
    expect(events.map(({ type }) => type)).toEqual(['run.stopping', 'run.stopped'])
    expect(events[0]).toMatchObject({ reason: 'the data changed', round: null })
    expect(events[1]).toMatchObject({ ledger: { budget: '100', paid: '0', released: '100' } })
    const bundle = new Uint8Array(await (await at.api(`/v1/runs/${id}/bundle`)).arrayBuffer())
    expect(await verifyBundle(fileOf(bundle), { coordinator: at.coordinator.id })).toMatchObject({
      ...{ ok: true, outcome: 'stopped', reason: 'the data changed', released: 100n },
      rounds: [{ reason: 'too-few-nodes' }, { reason: 'too-few-nodes' }],
    })
    const second = new Uint8Array(await (await at.api(`/v1/runs/${id}/bundle?round=2`)).arrayBuffer())
    expect(await verifyFile(fileOf(second), { coordinator: at.coordinator.id }, verifyAny)).toMatchObject({
      ...{ ok: true, round: { round: 2, outcome: 'aborted', reason: 'too-few-nodes' }, start: { kind: 'genesis' } },
    })
  })
})

describe('what its owner decides', () => {
  test('may be said again, and is refused by name where it is not possible any more', async () => {
    await using at = await live()
    const { id } = await json(await at.launch({ timing: { selectionMillis: 60_000 } }))
    const path = `/v1/runs/${id}`
    await until(at, String(id), 'round.opened')
    expect(await json(await post(at, `${path}/resume`))).toMatchObject({ status: 'running' })
    const answers = [1, 2, 3].map(() => post(at, `${path}/stop`, { reason: 'enough' }))
    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([200, 200, 200])
    const events = await until(at, String(id), 'run.stopped')
    expect(events.filter(({ type }) => type === 'run.stopping')).toMatchObject([{ round: 1, purpose: 'train' }])
    expect(await json(await post(at, `${path}/stop`, { reason: 'once more' }))).toMatchObject({
      ...{ status: 'stopped', reason: 'enough' },
    })
    const late = await post(at, `${path}/resume`)
    expect([late.status, (await json(late))['code']]).toEqual([409, 'run_ended'])
    for (const body of [undefined, {}, { reason: '' }, { reason: 'x'.repeat(101) }, { reason: '\ud800' }])
      expect((await post(at, `${path}/stop`, body)).status).toBe(400)
    expect((await post(at, '/v1/runs/run_00000000000000000000000000/stop', { reason: 'x' })).status).toBe(404)
  })

  test('does not stop a run that has failed', async () => {
    await using at = await live()
    const { id } = await json(await at.launch({ timing: { selectionMillis: 60 } }))
    await until(at, String(id), 'run.failed')
    for (const [path, body] of [['stop', { reason: 'late' }], ['resume']] as [string, object?][]) {
      const answer = await post(at, `/v1/runs/${id}/${path}`, body)
      expect([answer.status, (await json(answer))['code']]).toEqual([409, 'run_ended'])
    }
  })
})

describe('a round that is open', () => {
  test('shows its seats, and after it was stopped what became of each', async () => {
    await using at = await live()
    await using nodes = new AsyncDisposableStack()
    const { id } = await json(await at.launch({ timing: { selectionMillis: 20_000, reportingMillis: 20_000 } }))
    const path = `/v1/runs/${id}/rounds`
    for (const name of ['one', 'two']) {
      const node = nodes.use(new RawNode(at.coordinator.url, at.coordinator.id, name))
      expect(await node.link()).toBe('linked')
      const { run, round } = await node.hear('invite')
      node.raw(say(node.signer, { kind: 'join', ...node.said(), run, round, advert: null }))
      if (name === 'two') await node.hear('seated')
    }
    const open = await json(await at.api(`${path}/1`))
    expect(open).toMatchObject({ outcome: 'open', phase: 'reporting', cohort: 2, reports: 0, ended_at: null })
    const waiting = { outcome: 'waiting', reason: null, update: null }
    expect(open['seats']).toMatchObject([waiting, waiting])
    for (const { node } of open['seats'] as { node: string }[]) expect(parseNodeId(node).ok).toBe(true)
    await post(at, `/v1/runs/${id}/stop`, { reason: 'enough' })
    await until(at, String(id), 'run.stopped')
    const over = await json(await at.api(`${path}/1`))
    expect(over).toMatchObject({ outcome: 'aborted', phase: 'reporting', reason: 'run-stopped' })
    const gone = { outcome: 'gone', reason: 'round-ended', update: null }
    expect(over['seats']).toMatchObject([gone, gone])
    expect((await at.api(`${path}/2`)).status).toBe(404)
    expect(await json(await at.api(`${path}?after=1`))).toMatchObject({ data: [], has_more: false, next: null })
  })
})
