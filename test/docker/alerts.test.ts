import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { parse } from 'yaml'
import { Counters } from '#coordinator/counters.ts'
import { COUNTERS } from '#coordinator/measures.ts'
import { programAt } from '#test/program.ts'
import { DOCKER } from './container.ts'

const folder = join(DOCKER, 'prometheus')
const read = (name: string) => parse(readFileSync(join(folder, name), 'utf8'))
const promtool = programAt('PROMTOOL', 'promtool')
if (!promtool)
  console.log('skipped: Prometheus itself does not read the alerts, without promtool (PROMTOOL, or on the PATH)')
const withPromtool = promtool ? test : test.skip

function ask(args: readonly string[], input = '') {
  const { status, stdout, stderr } = spawnSync(promtool as string, args, { cwd: folder, encoding: 'utf8', input })
  return { status, said: stdout + stderr }
}

describe('the alerts', () => {
  type Case = {
    readonly name: string
    readonly promql_expr_test: readonly { readonly exp_samples?: readonly object[] }[]
  }
  const { groups } = read('alerts.yaml') as { groups: readonly { rules: readonly { alert: string }[] }[] }
  const { tests } = read('alerts.test.yaml') as { tests: readonly Case[] }
  const alerts = groups.flatMap(({ rules }) => rules.map(({ alert }) => alert))

  test.each(alerts)(
    '%s has cases of its own: one at which it fires, and at each a time at which nothing does',
    (alert) => {
      const own = tests.filter(({ name }) => name.startsWith(`${alert},`)).map((one) => one.promql_expr_test)
      expect(own.length).toBeGreaterThan(0)
      expect(own.flat().some(({ exp_samples }) => JSON.stringify(exp_samples ?? []).includes(`\\"${alert}\\"`))).toBe(
        true,
      )
      for (const moments of own) expect(moments.some(({ exp_samples }) => exp_samples === undefined)).toBe(true)
    },
  )

  withPromtool('are rules that Prometheus takes, and they fire when they should and are silent when not', () => {
    expect(ask(['check', 'rules', 'alerts.yaml'])).toMatchObject({
      status: 0,
      said: expect.stringContaining(`${alerts.length} rules found`),
    })
    expect(ask(['test', 'rules', 'alerts.test.yaml'])).toMatchObject({ status: 0 })
  })
})

withPromtool('what a coordinator exports is named and typed as Prometheus would have it', async () => {
  const counters = new Counters()
  for (const [name, { labels }] of Object.entries(COUNTERS))
    counters.count(
      name.replace(/_total$/, '') as Parameters<Counters['count']>[0],
      labels.length > 0 ? 'any' : undefined,
    )
  counters.watch(() => ({ nodes: 3, runs: { running: 1 }, event_loop_lag_seconds: 0.003 }))
  expect(ask(['check', 'metrics'], await counters.text())).toEqual({ status: 0, said: '' })
})
