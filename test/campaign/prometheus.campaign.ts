import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { parse } from 'yaml'
import { type Live, live, RawNode } from '#test/coordinator/live.ts'
import { DOCKER } from '#test/docker/container.ts'
import { comesTrue } from '#test/eventually.ts'
import { temporaryFolder } from '#test/folder.ts'
import { nodeBeside, runOf } from '#test/lend/page.ts'
import { loopback } from '#test/loopback.ts'
import { programAt } from '#test/program.ts'
import { type Prometheus, startPrometheus } from '#test/prometheus.ts'

const prometheus = programAt('PROMETHEUS', 'prometheus')
if (!prometheus)
  console.log(
    'skipped: nothing asks a Prometheus for what the dashboard shows, without one (PROMETHEUS, or on the PATH)',
  )
const withPrometheus = prometheus ? test : test.skip

const RULES = join(DOCKER, 'prometheus/alerts.yaml')
/** Faults of the world: there are none here, and nobody can know how they will be called. */
const UNSEEN = ['sum by (reason) (rate(consilium_faults_total[$__rate_interval]))']
const ROUNDS = 3
const LINKED = 3

type Target = { readonly expr: string; readonly legendFormat: string }
type Panel = { readonly title: string; readonly targets?: readonly Target[] }
type Asked = { readonly where: string; readonly expr: string; readonly labels: readonly string[] }

/** Whatever the dashboard asks, as Grafana would, and what each alert compares with its threshold. */
async function whatIsAsked(): Promise<readonly Asked[]> {
  const { panels } = JSON.parse(await readFile(join(DOCKER, 'grafana/consilium.json'), 'utf8')) as {
    panels: readonly Panel[]
  }
  const { groups } = parse(await readFile(RULES, 'utf8')) as {
    groups: readonly { rules: readonly { alert: string; expr: string }[] }[]
  }
  const shown = panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr, legendFormat }) => ({
      where: title,
      expr,
      labels: [...legendFormat.matchAll(/{{(\w+)}}/g)].map(([, label = '']) => label),
    })),
  )
  const watched = groups.flatMap(({ rules }) =>
    rules.map(({ alert, expr }) => ({
      where: alert,
      expr: expr.replace(/ > [\d.]+$/, '').replace(/^absent\((.*)\)$/, '$1'),
      labels: [],
    })),
  )
  return [...shown, ...watched].filter(({ expr }) => !UNSEEN.includes(expr))
}

/**
 * Each that comes to nothing, to no number, or to series without the labels by which they are told apart. A ratio of what has
 * not happened is no number either.
 */
async function blind(at: Prometheus, asked: readonly Asked[]): Promise<readonly Asked[]> {
  const found = await Promise.all(asked.map(({ expr }) => at.query(expr.replaceAll('$__rate_interval', '5m'))))
  return asked.filter(
    ({ labels }, index) =>
      !found[index]?.some(({ metric, value }) => !Number.isNaN(value) && labels.every((label) => metric[label])),
  )
}

/** What goes wrong at a coordinator every day: somebody who is not who it says, no frame, a flood, a round that nobody joins. */
async function trouble(at: Live): Promise<void> {
  const { coordinator } = at
  await using liar = new RawNode(coordinator.url, coordinator.id, 'liar')
  expect(await liar.link(() => new Uint8Array(8))).not.toBe('linked')
  await using stranger = new RawNode(coordinator.url, coordinator.id, 'stranger')
  expect(await stranger.link()).toBe('linked')
  stranger.raw('no frame')
  const flood = Array.from({ length: 300 }, () =>
    fetch(`${coordinator.url}/v1/runs`, { headers: { authorization: 'Bearer nobody' } }),
  )
  expect((await Promise.all(flood)).map(({ status }) => status)).toContain(429)
  const launched = await at.launch({ cohort: { min: 100, max: 100, quorum: 100 }, timing: { selectionMillis: 50 } })
  expect(launched.status).toBe(201)
}

withPrometheus(
  'a Prometheus has data for every panel of the dashboard and every alert, and all are evaluated',
  async () => {
    await using folder = await temporaryFolder()
    await using hook = await loopback((_request, response) => response.end())
    await using at = await live({ graceMillis: 2000, webhookHosts: new Set([`127.0.0.1:${hook.port}`]) })
    await using watching = await startPrometheus(prometheus as string, [new URL(at.coordinator.url).host], RULES)
    // What comes before its first look is nothing that increases; it begins some seconds after its start.
    await comesTrue(async () => (await watching.query('up == 1')).length === 1)
    const asked = await whatIsAsked()
    expect(asked.length).toBeGreaterThan(40)

    const endpoint = { url: `${hook.url}/told`, events: ['*'] }
    const headers = { 'content-type': 'application/json' }
    expect(
      (await at.api('/v1/webhook-endpoints', { method: 'POST', body: JSON.stringify(endpoint), headers })).status,
    ).toBe(201)
    await using nodes = new AsyncDisposableStack()
    for (let node = 0; node < LINKED; node++)
      nodes.use(await nodeBeside(at.coordinator, join(folder.path, `node-${node}`)))
    const cohort = { min: LINKED, max: LINKED, quorum: LINKED }
    expect(await runOf(at, { rounds: ROUNDS, masking: 'none', cohort })).toMatchObject({ ok: true })
    await trouble(at)

    let left = asked
    for (let look = 0; left.length > 0 && look < 60; look++) {
      left = await blind(watching, left)
      await new Promise((resolve) => setTimeout(resolve, 500))
    }
    expect(left).toEqual([])
    // The series say what was played, under the names and labels that people look for.
    // As they were last known: a look that came too late for Prometheus leaves them empty until the next one.
    const closed = await watching.query('max(last_over_time(consilium_rounds_total{result="closed"}[1h]))')
    // One more: in the last round nodes say how good the model is.
    expect(closed.map(({ value }) => value)).toEqual([ROUNDS + 1])
    const phases = await watching.query('last_over_time(consilium_round_phase_seconds_count{phase="reporting"}[1h])')
    expect(phases.map(({ value }) => value)).toEqual([ROUNDS])

    const rules = await watching.rules()
    expect(rules.filter(({ health }) => health !== 'ok')).toEqual([])
    // A slow disk may have one wait for its time; none has waited that long.
    expect(rules.filter(({ state }) => state === 'firing')).toEqual([])
    expect(rules.length).toBeGreaterThan(10)
  },
  180_000,
)
