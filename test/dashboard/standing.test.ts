import { expect, test } from '@jest/globals'
import type { RunEvent } from '#coordinator/run-events.ts'
import { standingOf } from '#dashboard/standing.ts'
import type { RunView } from '#sdk/views/runs.ts'
import { request } from '#test/coordinator/live.ts'
import { served } from '#test/coordinator/served.ts'

const DAY = 86_400_000

/** A coordinator with runs that were launched an hour apart, each told of what has happened to it. */
async function atRuns(count: number, eventsOf: (run: number) => readonly object[]) {
  const api = await served({ bounds: { unfinishedRuns: 1000, requests: { perSecond: 1e6, burst: 1e6 } } })
  const asked: string[] = []
  const ids: string[] = []
  for (let run = 0; run < count; run++) {
    const { body } = await api.ask('/v1/runs', { method: 'POST', payload: request({ budget: '0' }) })
    for (const event of eventsOf(run)) await api.runner.advance(body.id, event as RunEvent)
    ids.push(body.id)
    await api.clock.advance(3_600_000)
  }
  const ask = async <T>(path: string): Promise<T> => {
    asked.push(path)
    return (await api.ask(path)).body
  }
  return { ids, asked, of: (now = api.clock.now()) => standingOf(ask, { limit: 6, now }) }
}
const namesOf = (runs: readonly RunView[], ids: readonly string[]) => runs.map(({ id }) => ids.indexOf(id))

test('a run that waits or goes on is told of however many newer ones there are, and none is when all have ended', async () => {
  const paused = [{ kind: 'held' }, { kind: 'paused', reason: 'lunch' }]
  const { ids, asked, of } = await atRuns(12, (run) =>
    run === 1 ? paused : [{ kind: 'held' }, ...(run === 3 ? [] : [{ kind: 'stopped', reason: 'enough' }])],
  )
  const { runs, waiting, hasMore, pausedBeside, counts } = await of()
  expect(namesOf(runs, ids)).toEqual(expect.arrayContaining([11, 10, 9, 8, 7, 6, 3, 1]))
  expect([namesOf(waiting, ids), hasMore, pausedBeside]).toEqual([[1], true, 0])
  expect(counts.statuses).toMatchObject({ running: 1, paused: 1, finishing: 10 })
  expect(asked).toHaveLength(5)
})

test('of very many that are paused the newest are told of, and how many more there are, in no more requests', async () => {
  const { asked, of } = await atRuns(60, () => [{ kind: 'held' }, { kind: 'paused', reason: 'lunch' }])
  const { waiting, pausedBeside, runs } = await of()
  expect([waiting.length, pausedBeside, runs.length, asked.length]).toEqual([50, 10, 50, 5])
})

test('a failure is told of for a month', async () => {
  const asked: string[] = []
  const none = { data: [], has_more: false, next: null }
  await standingOf(
    async (path) => {
      asked.push(path)
      return (path.endsWith('/counts') ? { statuses: { paused: 0 } } : none) as never
    },
    { limit: 6, now: Date.UTC(2026, 10, 22) },
  )
  const since = new Date(Date.UTC(2026, 10, 22) - 30 * DAY).toISOString()
  expect(asked).toContain(`/v1/runs?status=failed&created_after=${since}&limit=10`)
})
