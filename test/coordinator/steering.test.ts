import { describe, expect, test } from '@jest/globals'
import { TOY_TASK } from '#sim/toy.ts'
import { LiveSite } from '#test/live-site.ts'
import { fileOf } from '#verify/bundle.ts'
import { verifyBundle } from '#verify/verify.ts'
import { type Live, live } from './live.ts'

type Json = Record<string, unknown>
const json = async (answer: Response): Promise<Json> => (await answer.json()) as Json
const post = (at: Live, path: string, body: object, headers: Record<string, string> = {}) =>
  at.api(path, {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json', ...headers },
  })

/** The run's events until this one, the last. */
async function until(at: Live, id: unknown, type: string): Promise<Json[]> {
  const seen: Json[] = []
  for (let after = -1; !seen.some((event) => event['type'] === type); ) {
    const page = (await json(await at.api(`/v1/runs/${id}/events?after=${after}`))) as { data?: Json[] }
    seen.push(...(page.data ?? []))
    after = Number(seen.at(-1)?.['seq'] ?? -1)
  }
  return seen
}

/** Sites that train a toy until they are let go. */
function trainers(at: Live, count: number): AsyncDisposable {
  const stop = new AbortController()
  const to = { url: at.coordinator.url, key: at.coordinator.id }
  const lives = LiveSite.toys(count).map(async (site) => {
    for await (const _ of site.live(to, stop.signal));
  })
  return {
    async [Symbol.asyncDispose]() {
      stop.abort()
      await Promise.all(lives)
    },
  }
}

async function proofOf(at: Live, id: unknown) {
  const bundle = new Uint8Array(await (await at.api(`/v1/runs/${id}/bundle`)).arrayBuffer())
  return verifyBundle(fileOf(bundle), { coordinator: at.coordinator.id })
}

describe('a run that trains', () => {
  test('is paused, extended once under its key, resumed, and forked from any round; each record verifies', async () => {
    await using at = await live()
    await using _ = trainers(at, 2)
    const { id } = await json(await at.launch({ rounds: 1, budget: '11' }))
    expect((await post(at, `/v1/runs/${id}/pause`, { reason: 'the night' })).status).toBe(200)
    const more = { rounds: 2, budget: '7' }
    const extend = (body: object) => post(at, `/v1/runs/${id}/extend`, body, { 'idempotency-key': 'two more' })
    const answers = await Promise.all([extend(more), extend(more), extend(more)])
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200])
    expect(answers.filter(({ headers }) => headers.get('idempotent-replayed')).length).toBe(2)
    expect(await json(answers[0] as Response)).toMatchObject({ rounds: 3, budget: '18' })
    expect(await json(await extend({ rounds: 3 }))).toMatchObject({ status: 422, code: 'idempotency_key_reused' })
    expect((await post(at, `/v1/runs/${id}/resume`, {})).status).toBe(200)
    const events = await until(at, id, 'run.completed')
    const types = events.map(({ type }) => type)
    expect(types.filter((type) => type === 'run.extended' || type === 'run.funded').length).toBe(3)
    expect(types).toContain('run.resumed')
    expect(await proofOf(at, id)).toMatchObject({
      ok: true,
      planned: 3,
      budget: 18n,
      paid: 18n,
      released: 0n,
      origin: null,
    })
    const ended = await json(await extend({ rounds: 2, budget: '8' }))
    expect(ended).toMatchObject({ status: 422, code: 'idempotency_key_reused' })
    const late = await json(await post(at, `/v1/runs/${id}/extend`, more, { 'idempotency-key': 'late' }))
    expect(late).toMatchObject({ status: 409, code: 'run_ended', detail: expect.stringMatching('fork') })
    expect((await post(at, `/v1/runs/${id}/pause`, { reason: 'late' })).status).toBe(409)

    const task = (await json(await at.api(`/v1/runs/${id}`)))['task']
    const fork = { task: { cid: task }, fork: { run: id, round: 2 }, rounds: 1 }
    const forked = await json(await at.launch(fork))
    const origin = { run: id, round: 2, manifest: expect.stringMatching(/^bafy/) }
    expect(forked).toMatchObject({ status: expect.anything(), origin })
    expect(forked['task']).not.toBe(task)
    await until(at, forked['id'], 'run.completed')
    expect(await proofOf(at, forked['id'])).toMatchObject({ ok: true, origin, planned: 1 })
  }, 60_000)

  test('is completed by its own rule, with the reason, and the rest of its budget given back', async () => {
    await using at = await live()
    await using _ = trainers(at, 2)
    const stopWhen = { metric: 'accuracy', atLeast: 0 }
    const { id } = await json(await at.launch({ rounds: 4, budget: '9', stopWhen }))
    const completed = (await until(at, id, 'run.completed')).at(-1)
    const reason = 'accuracy is at least 0'
    expect(completed).toMatchObject({ reason, ledger: { budget: '9', paid: '3', released: '6' } })
    expect(await json(await at.api(`/v1/runs/${id}`))).toMatchObject({
      ...{ status: 'completed', reason, closed: 1, stop_when: { metric: 'accuracy', at_least: 0 } },
    })
    expect(await proofOf(at, id)).toMatchObject({ ok: true, outcome: 'completed', reason, planned: 4 })
  }, 60_000)
})

describe('a request for a run', () => {
  test('is refused by the field that is wrong, whichever of its shapes is meant', async () => {
    await using at = await live()
    const { architecture: _, ...half } = TOY_TASK as Json
    const wrongs: [object, number, string][] = [
      [{ task: { ...TOY_TASK, epochs: 0 } }, 400, '/task/epochs'],
      [{ task: half }, 400, '/task/architecture'],
      [{ task: { cid: 'nonsense' } }, 400, '/task/cid'],
      [{ task: { cid: 'bafkreiaoxnbj7kdnjaocmmh2yu63dsi477wv2tkb2ebbyf4uitvwpz7obm' } }, 422, '/task/cid'],
      [{ stopWhen: { metric: 'loss', atLeast: 1 } }, 422, '/stopWhen'],
      [{ stopWhen: { metric: 'auroc', patience: 2 } }, 422, '/stopWhen'],
      [{ stopWhen: { metric: 'loss', patience: 0 } }, 400, '/stopWhen/patience'],
    ]
    for (const [change, status, pointer] of wrongs) {
      const answer = await json(await at.launch(change))
      expect(answer).toMatchObject({ status, errors: expect.arrayContaining([expect.objectContaining({ pointer })]) })
    }
    const fork = { run: 'run_00000000000000000000000000', round: 1 }
    expect((await at.launch({ fork })).status).toBe(404)
  })
})
