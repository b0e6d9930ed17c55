import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { question } from '#test/statistics/given.ts'
import { type Live, live } from './live.ts'

type Json = Record<string, unknown>
const ROWS = question([{ kind: 'count', column: null }], { name: 'rows', minCell: 5 })

async function post(at: Live, body: object, headers: Record<string, string> = {}): Promise<readonly [Response, Json]> {
  const answer = await at.api('/v1/stats-queries', {
    ...{ method: 'POST', body: JSON.stringify(body) },
    headers: { 'content-type': 'application/json', ...headers },
  })
  return [answer, (await answer.json()) as Json]
}
const get = async (at: Live, path: string) => (await (await at.api(path)).json()) as Json

describe('the API of questions', () => {
  test('shows a question as what it is, and apart from the runs that train', async () => {
    await using at = await live()
    const [answer, asked] = await post(at, { question: ROWS })
    expect(answer.status).toBe(201)
    expect(answer.headers.get('location')).toBe(`/v1/stats-queries/${asked['id']}`)
    expect(asked).toMatchObject({ name: 'rows', min_cell: 5, min_cohort: 3, population: 'open', manifest: null })
    expect(await get(at, `/v1/stats-queries/${asked['id']}`)).toMatchObject({
      id: asked['id'],
      question: asked['question'],
    })
    expect(await get(at, '/v1/stats-queries')).toMatchObject({ data: [{ id: asked['id'] }], has_more: false })
    expect(await get(at, '/v1/runs')).toMatchObject({ data: [] })
    // Its events and its record are where those of runs are.
    expect(await get(at, `/v1/runs/${asked['id']}`)).toMatchObject({
      purpose: 'ask',
      task: asked['question'],
      budget: '0',
    })
    expect(await get(at, `/v1/runs/${asked['id']}/events?limit=1`)).toMatchObject({
      data: [{ type: 'run.created', purpose: 'ask' }],
    })
    const trained = (await (await at.launch()).json()) as Json
    expect(await get(at, `/v1/stats-queries/${trained['id']}`)).toMatchObject({ code: 'not_found' })
  })

  test('asks once per idempotency key, which no run may share', async () => {
    await using at = await live()
    const key = { 'idempotency-key': 'one' }
    const answers = await Promise.all([1, 2, 3].map(() => post(at, { question: ROWS }, key)))
    expect(answers.map(([{ status }]) => status).sort()).toEqual([200, 200, 201])
    expect(new Set(answers.map(([, { id }]) => id)).size).toBe(1)
    const launched = await at.launch({}, key)
    expect([launched.status, ((await launched.json()) as Json)['code']]).toEqual([422, 'idempotency_key_reused'])
  })
})

describe('a question that cannot be asked', () => {
  let at: Live
  beforeAll(async () => {
    at = await live()
  })
  afterAll(async () => at[Symbol.asyncDispose]())

  test.each([
    [
      'the quorum is below the sites that the question wants',
      { cohort: { min: 3, max: 4, quorum: 2 } },
      '/cohort/quorum',
    ],
    ['the quorum is above the least cohort', { cohort: { min: 3, max: 4, quorum: 4 } }, '/cohort/quorum'],
    [
      'two would see each other',
      { cohort: { min: 2, max: 2, quorum: 2 }, question: { ...ROWS, minCohort: 3 } },
      '/cohort/quorum',
    ],
    ['so few could all be corrupt', { secure: { corrupt: 2 }, cohort: { min: 3, max: 4, quorum: 3 } }, '/cohort/min'],
    [
      'one operator could have more seats than masks bear',
      { cohort: { min: 3, max: 4, quorum: 3, operatorSeatsMax: 2 } },
      '/cohort/operatorSeatsMax',
    ],
    ['a plan has no room for so many failures', { failuresMax: 17 }, '/failuresMax'],
  ])('says where the mistake is when %s', async (_, change, pointer) => {
    const [answer, problem] = await post(at, { question: ROWS, ...change })
    expect(answer.status).toBe(422)
    expect(problem).toMatchObject({ code: 'invalid_run', errors: [{ pointer }] })
  })

  test.each<[string, object, object?]>([
    ['nothing', { ...ROWS, items: [] }],
    ['a column twice, so that the two could be subtracted', { ...ROWS, items: [...ROWS.items, ...ROWS.items] }],
    ['for the answer of two sites', { ...ROWS, minCohort: 2 }],
    ['and for money', ROWS, { budget: '5' }],
  ])('takes no question that asks for %s', async (_, asked, change = {}) => {
    expect((await post(at, { question: asked, ...change }))[0].status).toBe(400)
    expect(await get(at, '/v1/stats-queries')).toMatchObject({ data: [] })
  })
})
