import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { readCsvFile } from '#client/data/csv-file.ts'
import { consilium, jsonLines } from '#test/cli/command.ts'
import { Cluster } from './cluster.ts'

const idIn = (said: string) => String(/run_\w+/.exec(said)?.[0])

test('three hospitals are asked, as real processes: what is printed is what their pooled table has, to the last bit', async () => {
  await using cluster = await Cluster.open({ seed: 'ask', nodes: 3, rounds: 1 })
  await cluster.startNodes(cluster.sites)
  const at = ['--coordinator', cluster.coordinator.url, '--state', join(cluster.folder, 'coordinator')]
  const pin = ['--coordinator-key', cluster.coordinator.key]
  const asked = ['--count', '--missing', 'dose', '--mean', 'age:0:120:1', '--categories', 'sick:0,1']
  const ran = await consilium(['stats', 'ask', ...at, ...pin, ...asked, '--min-cell', '5', '--json'])
  expect(ran).toMatchObject({ code: 0, stderr: '' })

  const tables = await Promise.all(
    [1, 2, 3].map(async (site) => readCsvFile(join(cluster.folder, `data/hospital-${site}.csv`))),
  )
  const pooled = (name: string) => tables.flatMap(({ columns }) => [...(columns.get(name)?.values ?? [])])
  const [ages, sick] = [pooled('age'), pooled('sick')]
  const mean = ages.reduce((sum, age) => sum + age, 0) / ages.length
  const sickRows = sick.filter((value) => value === 1).length
  expect(jsonLines(ran.stdout)).toMatchObject([
    {
      ...{ sites: 3, pinned: true, recomputed: true, coordinator: cluster.coordinator.key },
      items: [
        { kind: 'count', rows: ages.length },
        { kind: 'count', column: 'dose', missing: 0 },
        { kind: 'moments', column: 'age', values: ages.length, mean },
        { kind: 'categories', levels: [{ rows: sick.length - sickRows }, { rows: sickRows }] },
      ],
    },
  ])

  // One that all of them refuse by their own rule is over at once: no deadline is waited for, and it is not asked again.
  const refused = await consilium(['stats', 'ask', ...at, '--count', '--min-cell', '1'])
  expect(refused).toMatchObject({ code: 6, stdout: '' })
  expect(refused.stderr).toMatch(/3 sites refuse this: 3 are needed, 0 may come[\s\S]*fix +raise --min-cell/)
  expect(refused.stderr.match(/rule +cells-too-small, of z6Mk/g)).toHaveLength(3)
  expect(refused.stderr.match(/^asked /gm)).toHaveLength(1)
  const past = await (await cluster.api.runs.get(idIn(refused.stderr))).past().page()
  expect(past.data.filter(({ type }) => type === 'round.aborted')).toMatchObject([{ cause: 'declined' }])

  // The same sites answer the next question; one about what they do not have, none of them does.
  const next = await consilium(['stats', 'ask', ...at, '--histogram', 'dose:0,5,10', '--quantiles', 'dose:500'])
  expect(next.code).toBe(0)
  expect(next.stdout).toMatch(/dose {2}120 values, 0 missing[\s\S]*quantile 0.5 {2}about [\s\S]*unpinned/)
  expect(next.stderr).toMatch(/asked {5}3 sites/)
  const verified = await consilium(['verify', cluster.coordinator.url, '--run', idIn(next.stderr), ...at.slice(2)])
  expect(verified.stdout).toMatch(/dose {2}120 values[\s\S]*question {5}bafy/)
}, 120_000)
