import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { EventLog } from '#protocol/ports.ts'
import { openRedisLog } from '#storage/logs/redis.ts'
import { openSqliteLog } from '#storage/logs/sqlite.ts'
import { redisPath, startRedis } from '#test/redis.ts'
import type { Report, Table } from './report.ts'

const ENTRY = new Uint8Array(300).fill(7)
const GROUPS = [1, 10, 100] as const
/** Appends that are measured of each group size, after as many that are not. */
const APPENDS = { 1: 600, 10: 3_000, 100: 20_000 } as const

/**
 * What it costs to write history down: entries of the size of an event, each to a run of its own, so many at once as
 * belong to one turn of the event loop, and every answer after the sync. Beside it the floor of the same minute: the
 * same bytes written to a file and synced once a group; or, for Redis, bare RPUSHes to the same server.
 */
export async function bench(): Promise<Report> {
  const rows: Table['rows'][number][] = []
  const folder = mkdtempSync(join(tmpdir(), 'consilium-bench-'))
  try {
    const log = openSqliteLog({ file: join(folder, 'log') })
    const file = openSync(join(folder, 'floor'), 'w')
    for (const group of GROUPS) {
      const floor = await measure(group, async () => syncedWrite(file, group))
      rows.push(rowOf('SQLite', group, await measure(group, appending(log, `sqlite-${group}`, group)), floor))
    }
    closeSync(file)
    await log[Symbol.asyncDispose]()
  } finally {
    rmSync(folder, { recursive: true })
  }
  const path = redisPath()
  if (path) {
    await using server = await startRedis(path)
    const redis = await server.open()
    const log = openRedisLog(redis)
    const entry = Buffer.from(ENTRY)
    for (const group of GROUPS) {
      const push = async () => {
        await Promise.all(
          Array.from({ length: group }, (_, at) => redis.commands.rpush(redis.key(`floor-${at}`), entry)),
        )
      }
      const floor = await measure(group, push)
      rows.push(rowOf('Redis', group, await measure(group, appending(log, `redis-${group}`, group)), floor))
    }
  }
  return {
    bench: 'journal',
    notes: [
      `Entries of ${ENTRY.length} bytes, one an append, every append to another stream than the others of its group; the next group starts when all of one are answered.`,
      'floor of SQLite: one write of the same bytes and one fdatasync a group. Floor of Redis: as many bare RPUSHes, appendfsync always, over the same connection.',
      ...(path ? [] : ['Redis is not measured: there is no redis-server on the PATH.']),
    ],
    tables: [
      {
        title: 'Journal',
        columns: ['log', 'at once', 'events/s', 'floor events/s', 'of floor', 'p50 ms', 'p99 ms', 'floor p99 ms'],
        rows,
      },
    ],
  }
}

type Measured = { readonly eventsPerSecond: number; readonly p50: number; readonly p99: number }

/** @param act one group, done when all of it is on the disk */
async function measure(group: keyof typeof APPENDS, act: () => Promise<void>): Promise<Measured> {
  const groups = APPENDS[group] / group
  for (let warm = 0; warm < groups; warm++) await act()
  const took: number[] = []
  const started = performance.now()
  for (let at = 0; at < groups; at++) {
    const before = performance.now()
    await act()
    took.push(performance.now() - before)
  }
  const seconds = (performance.now() - started) / 1000
  const sorted = took.toSorted((a, b) => a - b)
  const quantile = (share: number) => sorted[Math.floor(share * sorted.length)] ?? Number.NaN
  return { eventsPerSecond: (groups * group) / seconds, p50: quantile(0.5), p99: quantile(0.99) }
}

function appending(log: EventLog, name: string, group: number): () => Promise<void> {
  let position = 0
  return async () => {
    const appends = Array.from({ length: group }, (_, at) => log.append(`${name}-${at}`, position, [ENTRY]))
    position++
    if ((await Promise.all(appends)).includes('conflict')) throw new Error('nobody else writes here')
  }
}

function syncedWrite(file: number, group: number): void {
  for (let at = 0; at < group; at++) writeSync(file, ENTRY)
  fdatasyncSync(file)
}

function rowOf(log: string, group: number, found: Measured, floor: Measured): Table['rows'][number] {
  return [
    ...[log, group, Math.round(found.eventsPerSecond), Math.round(floor.eventsPerSecond)],
    ...[(found.eventsPerSecond / floor.eventsPerSecond).toFixed(2)],
    ...[found.p50, found.p99, floor.p99].map((millis) => millis.toFixed(2)),
  ]
}
