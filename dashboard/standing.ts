import type { RunCountsView, RunView } from '#sdk/views/runs.ts'
import type { Page } from './api.ts'

/** What is under way and what waits for somebody, in as many requests as there are here, however many runs there are. */
export type Standing = {
  /** The newest, and beside them those under way, however old; the newest first. */
  readonly runs: readonly RunView[]
  /** Whether there are older ones. */
  readonly hasMore: boolean
  /** Those that are paused, and those that have failed lately; the newest first. */
  readonly waiting: readonly RunView[]
  /** How many more are paused. */
  readonly pausedBeside: number
  readonly counts: RunCountsView
}

/** Of those under way, and again of those that are paused. */
const GOING_MAX = 50
const FAILED_MAX = 10
/** Nobody can mend a failure: it is news, and then it is not. */
const FAILED_MILLIS = 30 * 86_400_000

/**
 * @param ask for a path of the API
 * @param limit of the newest
 * @param now in milliseconds
 */
export async function standingOf(
  ask: <T>(path: string) => Promise<T>,
  { limit, now }: { readonly limit: number; readonly now: number },
): Promise<Standing> {
  const runs = (query: string) => ask<Page<RunView>>(`/v1/runs?${query}`)
  const lately = new Date(now - FAILED_MILLIS).toISOString()
  const [newest, going, paused, failed, counts] = await Promise.all([
    runs(`limit=${limit}`),
    runs(`status=funding,running,finishing&limit=${GOING_MAX}`),
    runs(`status=paused&limit=${GOING_MAX}`),
    runs(`status=failed&created_after=${lately}&limit=${FAILED_MAX}`),
    ask<RunCountsView>('/v1/runs/counts'),
  ])
  return {
    runs: newestFirst([...newest.data, ...going.data, ...paused.data]),
    hasMore: newest.has_more,
    waiting: newestFirst([...paused.data, ...failed.data]),
    pausedBeside: Math.max(0, counts.statuses.paused - paused.data.length),
    counts,
  }
}

export function isGoing({ status }: RunView): boolean {
  return status === 'funding' || status === 'running' || status === 'paused' || status === 'finishing'
}

/** Each once. Their ids begin with when they were launched. */
function newestFirst(runs: readonly RunView[]): readonly RunView[] {
  return [...new Map(runs.map((run) => [run.id, run])).values()].sort((a, b) => (a.id < b.id ? 1 : -1))
}
