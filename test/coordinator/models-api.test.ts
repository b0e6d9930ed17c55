import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { unzipSync } from 'fflate'
import { TOY_TASK } from '#sim/toy.ts'
import { CARD } from './prose.ts'
import { type Json, type Trained, trained } from './trained.ts'

let given: Trained
beforeAll(async () => {
  given = await trained()
}, 60_000)
afterAll(async () => given[Symbol.asyncDispose]())

const listed = async (path: string) => (await given.get(path))['data'] as Json[]

describe('metrics', () => {
  test('are columns that say what the events say, the model before training first', async () => {
    const columns = (await given.get(`/v1/runs/${given.plain}/metrics`)) as Record<string, unknown[]>
    const events = await listed(`/v1/runs/${given.plain}/events?limit=1000`)
    const completed = events.filter(({ type, purpose }) => type === 'round.completed' && purpose === 'train')
    const evaluated = events
      .filter(({ type }) => type === 'model.aggregated')
      .map((event) => event['evaluated'] as Json)
    expect(columns['round']).toEqual([0, 1, 2])
    for (const key of ['loss', 'accuracy', 'rows']) expect(columns[key]).toEqual(evaluated.map((one) => one[key]))
    for (const key of ['train_ms', 'duration_ms', 'overhead_ms', 'reports'])
      expect(columns[key]).toEqual([null, ...completed.map((event) => event[key])])
    expect(columns['sites']).toEqual([null, null, null])
    const masked = (await given.get(`/v1/runs/${given.masked}/metrics?keys=rows,sites`)) as Record<string, unknown[]>
    expect(masked).toEqual({ round: [0, 1, 2], rows: [null, null, null], sites: [3, 3, 3] })
  })

  test('come as CSV, as few rows as asked for, and under no unknown name', async () => {
    const csv = await given.at.api(`/v1/runs/${given.plain}/metrics?keys=accuracy,reports`, {
      headers: { accept: 'text/csv' },
    })
    expect(csv.headers.get('content-type')).toContain('text/csv')
    const lines = (await csv.text()).split('\r\n')
    expect(lines.map((line) => line.split(',').length)).toEqual([3, 3, 3, 3, 1])
    expect(lines[0]).toBe('round,accuracy,reports')
    expect(lines[1]).toMatch(/^0,0\.\d+,$/)
    expect(await given.get(`/v1/runs/${given.plain}/metrics?keys=loss,fun`)).toMatchObject({
      status: 400,
      code: 'unknown_key',
    })
    expect(await given.get(`/v1/runs/${given.plain}/metrics?downsample=2`)).toMatchObject({ status: 400 })
  })
})

describe('a task', () => {
  const post = (body: object) =>
    given.at.api('/v1/tasks', {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
    })

  test('is the same by content, whoever posts it and whatever runs it', async () => {
    const run = await given.get(`/v1/runs/${given.plain}`)
    const told = await given.get(`/v1/tasks/${run['task']}`)
    expect(told).toMatchObject({
      name: 'toy, none',
      card: CARD,
      seed: TOY_TASK.seed,
      architecture: TOY_TASK.architecture,
    })
    const again = await post(told)
    expect([again.status, again.headers.get('location')]).toEqual([201, `/v1/tasks/${run['task']}`])
    expect(await again.json()).toMatchObject({ task: run['task'], parameters: 3, trained: 3, data: 'table' })

    const fresh = (await (await post(TOY_TASK)).json()) as Json
    expect(await (await post(TOY_TASK)).json()).toEqual(fresh)
    const tasks = await listed('/v1/tasks')
    expect(tasks.map(({ task }) => task)).toEqual([
      fresh['task'],
      (await given.get(`/v1/runs/${given.masked}`))['task'],
      run['task'],
    ])
    const paged = await given.get('/v1/tasks?limit=1')
    expect(await listed(`/v1/tasks?limit=1&after=${paged['next']}`)).toEqual(tasks.slice(1, 2))
  })

  test('that nobody could train is refused, with where the mistake is', async () => {
    const answer = await post({ ...TOY_TASK, architecture: { ...TOY_TASK.architecture, input: [3] } })
    expect(answer.status).toBe(422)
    expect(await answer.json()).toMatchObject({ code: 'invalid_task', errors: [{ pointer: '/architecture/input' }] })
    const run = await given.get(`/v1/runs/${given.plain}`)
    for (const cid of [run['model'], run['manifest'], 'bafkqaaa', '..%2f..'])
      expect(await given.get(`/v1/tasks/${cid}`)).toMatchObject({ status: 404 })
  })
})

describe('a model', () => {
  const fileOf = (query: string, headers = {}) => given.at.api(`/v1/runs/${given.plain}/model${query}`, { headers })

  test('is handed over in every format, under its CID, and not again to whoever has it', async () => {
    const run = await given.get(`/v1/runs/${given.plain}`)
    const model = await given.get(`/v1/models/${run['model']}`)
    const weights = Buffer.from(
      await (await fetch(`${given.at.coordinator.url}/ipfs/${model['weights']}?format=raw`)).arrayBuffer(),
    )
    const files = new Map<string, Buffer>()
    for (const format of ['raw', 'safetensors', 'npz', 'tfjs']) {
      const answer = await fileOf(`?format=${format}`)
      expect([answer.status, answer.headers.get('etag')]).toEqual([200, `"${run['model']}"`])
      expect(answer.headers.get('x-consilium-model')).toBe(run['model'])
      expect(answer.headers.get('content-disposition')).toContain(`${given.plain}.`)
      files.set(format, Buffer.from(await answer.arrayBuffer()))
    }
    expect(files.get('raw')).toEqual(weights)
    expect(files.get('safetensors')?.subarray(-weights.length)).toEqual(weights)
    expect(Object.keys(unzipSync(files.get('npz') as Buffer))).toEqual(['out/kernel.npy', 'out/bias.npy'])
    expect(Object.keys(unzipSync(files.get('tfjs') as Buffer))).toEqual(['model.json', 'group1-shard1of1.bin'])
    expect((await fileOf('', { 'if-none-match': `"x", "${run['model']}"` })).status).toBe(304)
    expect((await fileOf('?format=onnx')).status).toBe(400)
  })

  test('is that of a round, where it closed, and says which rounds made it', async () => {
    const run = await given.get(`/v1/runs/${given.plain}`)
    const cids = await Promise.all(
      [0, 1, 2].map(async (round) => (await fileOf(`?round=${round}`)).headers.get('x-consilium-model')),
    )
    expect(new Set(cids).size).toBe(3)
    expect(cids[2]).toBe(run['model'])
    for (const round of [3, 4, 4096]) expect((await fileOf(`?round=${round}`)).status).toBe(404)
    const { data: rounds } = (await given.get(`/v1/runs/${given.plain}/rounds`)) as { data: Json[] }
    const shown = await given.get(`/v1/models/${cids[1]}`)
    expect(shown).toMatchObject({ parameters: 3, size_bytes: 12, input: [2], output: [1] })
    expect(shown['lineage']).toEqual([{ run: given.plain, round: 1, manifest: rounds[0]?.['record'] }])
    const first = await given.get(`/v1/models/${cids[0]}`)
    expect((first['lineage'] as Json[]).map(({ round, manifest }) => [round, manifest])).toEqual([
      [0, null],
      [0, null],
    ])
    for (const cid of [run['task'], run['manifest'], 'bafkqaaa', 'x'])
      expect(await given.get(`/v1/models/${cid}`)).toMatchObject({ status: 404 })
  })
})

describe('the matrix', () => {
  test('has each model at each site, which add up to all of them', async () => {
    const rows = await listed(`/v1/runs/${given.plain}/matrix`)
    expect(rows.map(({ round, tested_in }) => [round, tested_in])).toEqual([
      [0, 1],
      [1, 2],
      [2, 3],
    ])
    for (const row of rows) {
      const [all, sites] = [
        row['all'] as Json,
        row['sites'] as { rows: number; correct: number; loss: number; node: string }[],
      ]
      expect(row['why']).toBeNull()
      // What the toys say that they have: 20 + site rows, 10 of them right, 3.5·(site + 1) nats.
      expect(
        sites.map(({ rows, correct, loss }) => [rows, correct, Number((loss * rows).toFixed(3))]).toSorted(),
      ).toEqual([
        [20, 10, 3.5],
        [21, 10, 7],
        [22, 10, 10.5],
      ])
      expect(all['rows']).toBe(63)
      expect(all['accuracy']).toBeCloseTo(30 / 63)
    }
    const page = await given.get(`/v1/runs/${given.plain}/matrix?limit=2`)
    expect(await listed(`/v1/runs/${given.plain}/matrix?after=${page['next']}`)).toEqual(rows.slice(2))
  })

  test('of a masked run has the column of all sites alone, and says why', async () => {
    const rows = await listed(`/v1/runs/${given.masked}/matrix`)
    expect(rows).toHaveLength(3)
    for (const row of rows) expect(row).toMatchObject({ sites: null, why: 'masked', all: { rows: null, sites: 3 } })
  })
})

describe('money', () => {
  const sum = (amounts: readonly unknown[]) =>
    amounts.reduce<bigint>((all, amount) => all + BigInt(amount as string), 0n)
  const all = async (path: string) => {
    const data: Json[] = []
    for (let after = ''; ; ) {
      const page = await given.get(`${path}${path.includes('?') ? '&' : '?'}limit=4${after}`)
      data.push(...(page['data'] as Json[]))
      if (!page['has_more']) return data
      after = `&after=${page['next']}`
    }
  }

  test('adds up, however it is looked at, to what the runs have paid', async () => {
    const payouts = await all('/v1/payouts')
    const runs = [await given.get(`/v1/runs/${given.masked}`), await given.get(`/v1/runs/${given.plain}`)]
    expect(payouts.map(({ run, round }) => `${run} ${round}`)).toEqual(
      runs.flatMap(({ id }) => [2, 2, 2, 1, 1, 1].map((round) => `${id} ${round}`)),
    )
    for (const run of runs) {
      const own = await all(`/v1/payouts?run=${run['id']}`)
      expect(own).toEqual(payouts.filter((one) => one['run'] === run['id']))
      expect(sum(own.map(({ amount }) => amount))).toBe(BigInt(run['paid'] as string))
      const byRound = await Promise.all([1, 2, 3].map((round) => all(`/v1/runs/${run['id']}/rounds/${round}/receipts`)))
      expect(byRound[2]).toEqual([])
      expect([...(byRound[1] as Json[]), ...(byRound[0] as Json[])]).toEqual(own)
    }
    const balances = await all('/v1/balances')
    expect(balances).toHaveLength(3)
    expect(sum(balances.map(({ earned }) => earned))).toBe(1100n)
    for (const { node, earned, updates } of balances) {
      const own = await all(`/v1/payouts?node=${node}`)
      expect(own).toEqual(payouts.filter((one) => one['node'] === node))
      expect([sum(own.map(({ amount }) => amount)), own.length]).toEqual([BigInt(earned as string), updates])
    }
  })

  test('is asked for by names that are none in no way that is a fault', async () => {
    for (const path of ['/v1/payouts?node=x', '/v1/payouts?run=x', `/v1/runs/${given.plain}/rounds/9/receipts`])
      expect(await given.get(path)).toMatchObject({ status: 404 })
    for (const after of ['x', 'run_.1.1', `${given.plain}.1`, `${given.plain}.-1.0`, `${given.plain}.1.1.1`])
      expect(await given.get(`/v1/payouts?after=${after}`)).toMatchObject({ status: 400, code: 'invalid_cursor' })
  })
})

describe('a verification', () => {
  const post = async (id: string) => given.at.api(`/v1/runs/${id}/verification`, { method: 'POST' })

  test('redoes the record once, whoever asks, and is kept', async () => {
    const { manifest } = await given.get(`/v1/runs/${given.plain}`)
    expect(await given.get(`/v1/runs/${given.plain}/verification`)).toMatchObject({
      ...{ status: 404, code: 'not_verified', detail: expect.stringContaining(String(manifest)) },
    })
    const answers = await Promise.all([1, 2, 3].map(() => post(given.plain)))
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200])
    const [first, ...others] = await Promise.all(answers.map(async (answer) => (await answer.json()) as Json))
    for (const other of others) expect(other).toEqual(first)
    expect(first).toMatchObject({
      ...{ verdict: 'proved', root: manifest, run: given.plain, failure: null },
      figures: {
        rounds_closed: 3,
        rounds_aborted: 0,
        sums_recomputed: 3,
        sums_committed: 0,
        sums_expired: 0,
        nodes: 3,
      },
    })
    expect(await given.get(`/v1/runs/${given.plain}/verification`)).toEqual(first)
    expect(await (await post(given.masked)).json()).toMatchObject({
      verdict: 'proved',
      figures: { sums_recomputed: 3 },
    })
  })

  test('waits for the record', async () => {
    const { id } = (await (await given.at.launch()).json()) as { id: string }
    expect((await post(id)).status).toBe(409)
    expect((await (await given.at.api(`/v1/runs/${id}/verification`)).json()) as Json).toMatchObject({
      code: 'run_not_ended',
    })
  })
})

describe('a card', () => {
  test('tells of the run, and nothing in it is more than it seems', async () => {
    const answer = await given.at.api(`/v1/runs/${given.plain}/card`)
    expect(answer.headers.get('content-type')).toContain('text/markdown')
    const card = await answer.text()
    expect(card).toBe(await (await given.at.api(`/v1/runs/${given.plain}/card`)).text())
    const run = await given.get(`/v1/runs/${given.plain}`)
    for (const cid of [run['model'], run['manifest'], run['task'], given.at.coordinator.id])
      expect(card).toContain(`\`${cid}\``)
    expect(card).not.toMatch(/[^\\]<|https:\/|^# not|\\\n#/m)
    expect(await (await given.at.api(`/v1/runs/${given.masked}/card`)).text()).toContain('secagg/1')
  })
})
