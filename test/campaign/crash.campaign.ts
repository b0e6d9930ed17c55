import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { follow, watching } from '#cli/run-progress.ts'
import { openRecordSettlement } from '#payments/settlements/record.ts'
import { collect } from '#protocol/bytes.ts'
import type { RunId } from '#protocol/ids.ts'
import type { ApiEvent } from '#sdk/sse.ts'
import type { CreateRun } from '#sdk/task.ts'
import { openSqliteLog } from '#storage/logs/sqlite.ts'
import { consilium, jsonLines } from '#test/cli/command.ts'
import { Cluster } from '#test/e2e/cluster.ts'
import { fileOf } from '#verify/bundle.ts'
import { verifyBundle } from '#verify/verify.ts'

type Moment = readonly [phase: string, is: (event: ApiEvent) => boolean]

const inRound = (round: number, type: string) => (event: ApiEvent) => event['round'] === round && event.type === type
/** The nth event of this type in a round. */
function nth(n: number, round: number, type: string): Moment[1] {
  let seen = 0
  return (event) => inRound(round, type)(event) && ++seen === n
}
/** A moment in each phase, in the order in which a run of three rounds comes by them. */
const MOMENTS: readonly Moment[] = [
  ['funding', ({ type }) => type === 'run.created'],
  ['selection', inRound(1, 'round.opened')],
  ['keys, with one who dealt', nth(1, 1, 'keys.dealt')],
  ['keys, with U2 signed', inRound(1, 'session.shared')],
  ['reporting, before anybody reported', nth(3, 1, 'keys.agreed')],
  ['reporting, with one report in', nth(1, 2, 'update.reported')],
  ['consistency, with one signature in', nth(1, 3, 'survivors.confirmed')],
  ['unmasking', inRound(3, 'session.certified')],
  ['aggregation', nth(2, 3, 'masks.answered')],
  ['settlement', inRound(3, 'model.aggregated')],
  ['between rounds', inRound(3, 'round.completed')],
  ['evaluation', nth(1, 4, 'update.reported')],
  ['finishing', inRound(4, 'round.completed')],
]

test('a coordinator that is killed in every phase finishes the run as if nothing had been, and nobody is paid twice', async () => {
  await using cluster = await Cluster.open({ seed: 'crash', nodes: 3, rounds: 3 })
  await cluster.startNodes(cluster.sites)
  // Every round waits for all three, so that a crash cannot change who is in it.
  const cohort = { min: 3, max: 3, quorum: 3 }
  const launch = { ...cluster.launch, cohort } as CreateRun
  const run = await cluster.api.runs.create(launch)
  const { id } = run

  const seen: ApiEvent[] = []
  let progress = watching(id)
  const ahead = [...MOMENTS]
  for await (const event of run.events({ signal: AbortSignal.timeout(300_000) })) {
    seen.push(event)
    progress = follow(progress, event)
    if (!ahead[0]?.[1](event)) continue
    ahead.shift()
    await cluster.crashCoordinator()
  }
  expect(ahead.map(([phase]) => phase)).toEqual([])
  // The stream was cut at each of them, and told everything once.
  expect(seen.map(({ seq }) => seq)).toEqual(seen.map((_, index) => index))
  expect(seen.at(-1)).toMatchObject({ type: 'run.completed', ledger: { paid: '1000000', released: '0' } })

  const car = await collect(readable(await run.bundle()), 2 ** 24)
  const verdict = await verifyBundle(fileOf(car), { coordinator: cluster.coordinator.key })
  expect(verdict).toMatchObject({ ok: true, pinned: true, run: id, outcome: 'completed', paid: 1_000_000n })

  const url = cluster.coordinator.url
  const state = ['--state', join(cluster.folder, 'coordinator')]
  const overHttp = await consilium(['verify', url, '--run', id, ...state, '--json'])
  expect(jsonLines(overHttp.stdout)[0]).toMatchObject({ ok: true, run: id })
  const shown = await consilium(['runs', 'show', id.slice(0, 12), '--coordinator', url, ...state, '--json'])
  expect(jsonLines(shown.stdout)[0]).toMatchObject({ id, status: 'completed', paid: '1000000' })

  // Told to stop, it drains, and has done what it was told.
  cluster.coordinator.process.signal('SIGTERM')
  expect(await cluster.coordinator.process.ended).toBe(0)
  await cluster.close()
  await using log = openSqliteLog({ file: join(cluster.folder, 'coordinator/log.sqlite') })
  const settlement = openRecordSettlement(log)
  expect(await settlement.totals(id as RunId)).toEqual({ held: 1_000_000n, paid: 1_000_000n, released: 0n })
  const { paid: told } = progress
  expect([...told.values()].reduce((sum, amount) => sum + amount, 0n)).toBe(1_000_000n)
  const balances = await settlement.balances()
  for (const { id: node } of cluster.sites) expect(balances.get(`operator:${node}`)).toBe(told.get(node))

  // The same sites and task again, this time undisturbed: the crashes left no trace in the model. In folders of their own:
  // what a node gave over a model under masks it does not give a second time.
  await using other = await Cluster.open({ seed: 'crash', nodes: 3, rounds: 3 })
  await Promise.all(other.sites.map((site) => other.startNodes([site])))
  const again = ['--coordinator', other.coordinator.url, '--state', join(other.folder, 'coordinator')]
  const calm = await consilium(['run', '-', '--watch', ...again], { input: JSON.stringify(launch) })
  expect(calm).toMatchObject({ code: 0, stderr: expect.stringMatching(/verify it with: consilium verify/) })
  const [first, ...lines] = calm.stdout.trimEnd().split('\n')
  expect(first).toMatch(/^masking secagg\/1: .* run_/)
  expect(lines.slice(0, 3).map((line) => line.split(' ', 2))).toEqual(
    [1, 2, 3].map((n) => [`round=${n}/3`, 'sites=3/3']),
  )
  expect(lines.at(-1)).toBe(`model      ${seen.at(-1)?.['model']}`)
  expect((await consilium(['runs', 'ls', ...again])).stdout).toMatch(/^run_\S+ {2}completed .*\n$/)
}, 480_000)

async function* readable(stream: ReadableStream<Uint8Array>): AsyncIterable<Uint8Array> {
  for await (const piece of stream) yield new Uint8Array(piece)
}
