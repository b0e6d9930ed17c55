import { execFile, spawnSync } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import type { z } from 'zod'
import { auditEventView } from '#coordinator/api/audit.ts'
import { dryRunView } from '#coordinator/api/dry-run.ts'
import * as federations from '#coordinator/api/federation-schemas.ts'
import * as keys from '#coordinator/api/keys.ts'
import { matrixRowView } from '#coordinator/api/matrix.ts'
import { metricsView } from '#coordinator/api/metrics.ts'
import { modelView } from '#coordinator/api/models.ts'
import * as nodeViews from '#coordinator/api/node-views.ts'
import { balanceView, payoutView } from '#coordinator/api/payouts.ts'
import { publicationsPage } from '#coordinator/api/publications.ts'
import * as runViews from '#coordinator/api/run-views.ts'
import * as schemas from '#coordinator/api/schemas.ts'
import { taskView } from '#coordinator/api/tasks.ts'
import { verificationView } from '#coordinator/api/verification.ts'
import { deliveryView, endpointView, endpointWithSecretView } from '#coordinator/api/webhook-schemas.ts'
import { MODEL_FORMATS } from '#protocol/formats/model-file.ts'
import { Consilium } from '#sdk/client.ts'
import { ApiError } from '#sdk/errors.ts'
import type { Run } from '#sdk/runs.ts'
import type { Ask } from '#sdk/stats.ts'
import type { CreateRun, NewTask } from '#sdk/task.ts'
import { type Live, live, request } from '#test/coordinator/live.ts'
import { comesTrue } from '#test/eventually.ts'
import { temporaryFolder } from '#test/folder.ts'
import { LiveSite } from '#test/live-site.ts'

/** Every method on the routes as they are, over one coordinator where a run of two rounds has trained, and a fork of it. */
let at: Live
let client: Consilium
let run: Run
let fork: Run
const order = {
  ...request({ timing: { selectionMillis: 600_000 } }),
  masking: 'none',
  rounds: 2,
  budget: '100',
  cohort: { min: 3, max: 3, quorum: 3 },
} as CreateRun

/** What came is what the validator says, to the last member. */
function expectView(view: z.ZodObject, answer: unknown): void {
  expect(view.strict().parse(answer)).toEqual(answer)
}

async function expectViews(view: z.ZodObject, list: AsyncIterable<unknown>, count: number): Promise<void> {
  const all = await Array.fromAsync(list)
  expect(all).toHaveLength(count)
  for (const one of all) expectView(view, one)
}

beforeAll(async () => {
  at = await live({ webhookHosts: new Set(['127.0.0.1:9']) })
  client = new Consilium({ url: at.coordinator.url, apiKey: at.key, coordinatorKey: at.coordinator.id })
  const end = new AbortController()
  const { url, id: key } = at.coordinator
  const lives = LiveSite.toys(3).map(async (site) => {
    for await (const _ of site.live({ url, key }, end.signal));
  })
  await comesTrue(async () => (await client.nodes.list().page()).data.length === 3)
  expectView(dryRunView, await client.runs.dryRun(order))
  run = await (await client.runs.create(order)).done()
  const forked = { ...order, task: { cid: run.view.task }, fork: { run: run.id, round: 1 }, rounds: 1 }
  fork = await (await client.runs.create(forked)).done()
  await expectViews(nodeViews.nodeView, client.nodes.list({ which: 'linked', limit: 2 }), 3)
  for await (const { id } of client.nodes.list()) expectView(nodeViews.nodeWithHistoryView, await client.nodes.get(id))
  end.abort()
  await Promise.all(lives)
}, 120_000)
afterAll(async () => at[Symbol.asyncDispose]())

test('a run is told of in the shapes that the SDK has for it', async () => {
  expectView(runViews.runView, (await run.refresh()).view)
  expect((await Array.fromAsync(client.runs.list({ limit: 1 }))).map(({ id }) => id)).toEqual([fork.id, run.id])
  const asked = { status: 'completed', createdAfter: run.view.created_at } as const
  expect((await Array.fromAsync(client.runs.list(asked))).map(({ id }) => id)).toEqual([fork.id])
  expect(await Array.fromAsync(client.runs.list({ status: ['running', 'paused'] }))).toEqual([])
  const counts = await client.runs.counts()
  expectView(runViews.runCountsView, counts)
  expect([counts.statuses.completed, counts.rounds]).toEqual([2, { closed: 5, aborted: 0 }])
  await expectViews(runViews.roundView, run.rounds({ limit: 2 }), 3)
  expectView(runViews.roundWithSeatsView, await run.round(1))
  expect(metricsView.parse(await run.metrics())).toHaveProperty('accuracy')
  expect(await run.metricsCsv({ keys: ['reports'] })).toMatch(/^round,reports\r\n0,\r\n1,3\r\n/)
  await expectViews(matrixRowView, run.matrix({ limit: 2 }), 3)
  await expectViews(payoutView, run.receipts(1, { limit: 2 }), 3)
  const all = await Array.fromAsync(run.past())
  expect(await Array.fromAsync(run.events({ after: all.length - 2 }))).toEqual(all.slice(-1))
  expect(await Array.fromAsync(run.events({ after: all.length - 1 }))).toEqual([])
  const past = await run.past({ limit: 2 }).page()
  expect(past).toMatchObject({ has_more: true, next: '1', data: [{ seq: 0 }, { seq: 1 }] })
  expectView(verificationView, await run.verify())
  expectView(verificationView, await run.verification())
  const bundle = await Array.fromAsync(await run.bundle({ vectors: false }))
  expect(bundle.length).toBeGreaterThan(0)
})

test('a model is that of the record, in every format as the coordinator has it, and its card says what it was forked from', async () => {
  const model = await run.model()
  expect([model.cid, model.record?.cid]).toEqual([run.view.model, run.view.manifest])
  for (const format of MODEL_FORMATS) {
    const told = await client.transport.bytes(`/v1/runs/${run.id}/model`, 2 ** 20, { query: { format } })
    expect(Buffer.from(await model.file(format)).equals(told)).toBe(true)
  }
  const first = await run.model({ round: 1 })
  expect(first.record?.cid).toBe(fork.view.origin?.manifest)
  expect(await fork.card()).toContain(`\`${first.cid}\`, which \`${run.id}:1\` made`)
  await expect(run.model({ round: 0 })).rejects.toThrow(/no record/)
  const unpinned = new Consilium({ url: at.coordinator.url, apiKey: at.key })
  expect((await (await unpinned.runs.get(run.id)).model({ round: 0 })).record).toBeNull()
  expectView(modelView, await client.tasks.model(first.cid))
})

test('tasks, questions, nodes and money are told of as well', async () => {
  const kept = await client.tasks.create(order.task as NewTask)
  expectView(taskView, kept)
  await expectViews(taskView, client.tasks.list({ limit: 1 }), 2)
  expect(await client.tasks.create(await client.tasks.get(kept.task))).toEqual(kept)
  expectView(schemas.fileView, await client.tasks.keepFile(new Blob(['a,b\n1,2\n'])))
  await expectViews(federations.datasetView, client.nodes.datasets(), 0)
  await expectViews(payoutView, client.payments.list({ run: run.id, limit: 4 }), 6)
  await expectViews(balanceView, client.payments.balances({ limit: 2 }), 3)
  const question: Ask['question'] = {
    ...({ v: 1, kind: 'question', name: 'how many', minCell: 1, minCohort: 3 } as const),
    items: [{ kind: 'count', column: null }],
  }
  const asked = await client.stats.ask({ question })
  expectView(runViews.statsQueryView, asked)
  await expectViews(runViews.statsQueryView, client.stats.list(), 1)
  expect((await client.stats.get(asked.id)).question).toBe(asked.question)
})

test('a run is paused, extended once, resumed and stopped', async () => {
  const { id } = await client.runs.create(order)
  expect((await client.runs.pause(id, 'the night')).view.reason).toBe('the night')
  const more = { rounds: 1, budget: '7' }
  expect((await client.runs.extend(id, more, { idempotencyKey: 'one more' })).view.rounds).toBe(3)
  expect((await client.runs.extend(id, more, { idempotencyKey: 'one more' })).view.rounds).toBe(3)
  expect((await client.runs.resume(id)).view.reason).toBeNull()
  const told = client.changes()[Symbol.asyncIterator]()
  expect((await told.next()).value).toEqual({ type: 'reset' })
  expectView(runViews.runView, (await client.runs.stop(id, 'enough')).view)
  expect((await told.next()).value).toMatchObject({ type: 'run.event', run: id })
  await told.return?.()
  const late = await client.runs.pause(id, 'late').catch((cause) => cause)
  expect(late).toBeInstanceOf(ApiError)
  expect(late).toMatchObject({ status: 409, code: expect.stringMatching(/^run_(ended|stopped)$/), retryable: false })
})

const isThere = spawnSync('python3', ['--version']).status === 0
if (!isThere) process.stderr.write('skipped: the Python client on real routes (no python3 on the PATH)\n')
const python = isThere ? test : test.skip

/** Every method of the Python client, and what came of it. */
const SCRIPT = `
import json, os, sys
import consilium

told = json.load(sys.stdin)
client = consilium.Consilium(told["url"], told["key"], coordinator_key=told["coordinator"])
order, run = told["order"], told["run"]
new = client.create(order, idempotency_key="python")["id"]
same = client.create(order, idempotency_key="python")["id"]
try:
    client.run("run_00000000000000000000000000")
except consilium.ApiError as error:
    refused = [error.status, error.code, error.retryable]
json.dump({
    "ok": client.dry_run(order)["ok"], "same": new == same, "refused": refused,
    "paused": client.pause(new, "lunch")["reason"], "extended": client.extend(new, 1, "7", "more")["rounds"],
    "resumed": client.resume(new)["reason"], "stopped": client.stop(new, "enough")["id"] == new,
    "listed": new in [one["id"] for one in client.runs()],
    "filtered": new in [one["id"] for one in client.runs(status="running,finishing,stopped", created_after="2020-01-01T00:00:00+01:00")],
    "counted": client.counts("2020-01-01T00:00:00Z")["rounds"], "rounds": [one["round"] for one in client.rounds(run)],
    "metrics": client.metrics(run, ["reports"]), "paid": len(list(client.receipts(run, 1))),
    "card": client.card(run).startswith("---"), "verdict": client.verify(run)["verdict"],
    "renamed": client.amend_federation(told["federation"], name="heart", description=None)["name"],
    "federations": [one["name"] for one in client.federations()],
    "secrets": [client.rotate_webhook_secret(told["endpoint"], 60, "once")["secret"][:6] for _ in (0, 1)],
    "after": list(client.follow(run, after=told["head"])),
    "last": [event["type"] for event in client.follow(run, after=3)][-1],
    "models": [client.model(run)[0], client.save_model(run, "one.npz", 1), client.save_model(run, "two.safetensors")],
    "tfjs": client.save_model(run, "three.tfjs.zip"),
    "bundle": client.save_bundle(run, "run.car") or os.path.getsize("run.car") > 0,
    "whoami": client.call("/v1/whoami")["id"],
}, sys.stdout)
`

python('the Python client does all of that, with nothing but the standard library', async () => {
  await using folder = await temporaryFolder()
  await writeFile(join(folder.path, 'script.py'), SCRIPT)
  const path = join(process.cwd(), 'sdk/python')
  const env = { PATH: process.env['PATH'], PYTHONDONTWRITEBYTECODE: '1', PYTHONPATH: path }
  const made = promisify(execFile)('python3', ['script.py'], { cwd: folder.path, env })
  const { url, id } = at.coordinator
  const { id: federation } = await client.federations.create({ name: 'cardio' })
  const { id: endpoint } = await client.webhooks.create({ url: 'http://127.0.0.1:9/nobody' })
  const head = (await Array.fromAsync(run.past())).length - 1
  const told = { url, key: at.key, coordinator: id, order, run: run.id, federation, endpoint, head }
  made.child.stdin?.end(JSON.stringify(told))
  expect(JSON.parse((await made).stdout)).toEqual({
    ...{ ok: true, same: true, refused: [404, 'not_found', false], paused: 'lunch', extended: 3, resumed: null },
    ...{
      stopped: true,
      listed: true,
      filtered: true,
      counted: { closed: 5, aborted: expect.any(Number) },
      rounds: [1, 2, 3],
      paid: 3,
      card: true,
      verdict: 'proved',
    },
    ...{
      metrics: { round: [0, 1, 2], reports: [null, 3, 3] },
      last: 'run.completed',
      after: [],
      bundle: true,
      whoami: 'root',
    },
    ...{ renamed: 'heart', federations: ['heart'], secrets: ['whsec_', 'whsec_'] },
    ...{ tfjs: run.view.model },
    models: [run.view.model, (await run.model({ round: 1 })).cid, run.view.model],
  })
  const model = await run.model()
  for (const [file, format] of [['two.safetensors', 'safetensors'] as const, ['three.tfjs.zip', 'tfjs'] as const])
    expect(await readFile(join(folder.path, file))).toEqual(Buffer.from(await model.file(format)))
  await client.federations.remove(federation)
  await client.webhooks.remove(endpoint)
})

test('federations, keys, webhooks and what was done with them', async () => {
  const { id } = await client.federations.create({ name: 'cardio' })
  expectView(federations.federationView, await client.federations.amend(id, { description: 'hearts' }))
  const stale = client.federations.amend(id, { name: 'x' }, { ifMatch: '"what nobody has read"' })
  await expect(stale).rejects.toMatchObject({ status: 412, code: 'precondition_failed' })
  const read = await client.transport.answer<{ description: string }>(`/v1/federations/${id}`)
  const ifMatch = read.headers.get('etag') ?? ''
  expect((await client.federations.amend(id, { name: 'cardio-2' }, { ifMatch })).name).toBe('cardio-2')
  const member = at.coordinator.id
  expectView(federations.memberView, await client.federations.addMember(id, { node: member, operator: 'charite' }))
  await expectViews(federations.memberView, client.federations.members(id), 1)
  const invite = await client.federations.invite(id, { uses: 2 })
  expectView(federations.inviteWithCodeView, invite)
  await client.federations.withdrawInvite(id, invite.id)
  await expectViews(federations.inviteView, client.federations.invites(id), 1)
  await client.federations.removeMember(id, member)
  expectView(federations.federationView, await client.federations.get(id))
  await client.federations.remove(id)
  await expectViews(federations.federationView, client.federations.list(), 0)

  const made = await client.keys.create({ name: 'reader', scopes: ['runs:read'] })
  expectView(keys.madeKeyView, made)
  const reader = new Consilium({ url: at.coordinator.url, apiKey: made.key })
  expectView(keys.whoamiView, await reader.whoami())
  await expect(reader.keys.list().page()).rejects.toMatchObject({ status: 403, code: 'insufficient_scope' })
  expect((await client.keys.revoke(made.id)).revoked_at).not.toBeNull()
  expectView(keys.apiKeyView, await client.keys.get(made.id))
  await expectViews(keys.apiKeyView, client.keys.list(), 1)

  const endpoint = await client.webhooks.create({ url: 'http://127.0.0.1:9/nobody' })
  expectView(endpointWithSecretView, endpoint)
  expectView(deliveryView, await client.webhooks.test(endpoint.id))
  const message = `msg_${run.id.slice('run_'.length)}_1`
  expectView(deliveryView, await client.webhooks.redeliver(endpoint.id, message))
  await expectViews(deliveryView, client.webhooks.deliveries(endpoint.id), 2)
  const rotated = await client.webhooks.rotateSecret(endpoint.id, { overlapSeconds: 60 })
  expectView(endpointWithSecretView, rotated)
  expect(rotated.secret).not.toBe(endpoint.secret)
  expect((await client.webhooks.change(endpoint.id, { enabled: false })).enabled).toBe(false)
  await expectViews(endpointView, client.webhooks.list(), 1)
  expectView(endpointView, await client.webhooks.get(endpoint.id))
  await client.webhooks.remove(endpoint.id)

  expectView(federations.coordinatorView, await client.coordinator())
  expect(publicationsPage.parse(await client.publications.list({ run: run.id }))).toMatchObject({ data: [], quorum: 0 })
  expect(await Array.fromAsync(client.publications.providers())).toEqual([])
  const audited = await client.keys.audit({ limit: 3 }).page()
  expect(audited.has_more).toBe(true)
  for (const one of audited.data) expectView(auditEventView, one)
})
