import { assert, type BrokenInvariant } from '#protocol/assert.ts'
import type { Millis } from '#protocol/ids.ts'

/** What every queue is told, and how it treats a job that fails. */
export type QueueOptions = {
  /** Jobs that one worker runs at a time. */
  readonly concurrency?: number
  readonly firstPauseMillis?: Millis
  readonly longestPauseMillis?: Millis
  readonly onFailure?: (failure: JobFailure) => void
  /** Told of our own mistakes. The default stops the process; nothing tries the job again. */
  readonly onBroken?: (broken: BrokenInvariant) => void
}

export type JobFailure = { readonly id: string; readonly failures: number; readonly cause: unknown }

export const QUEUE_DEFAULTS = {
  concurrency: 4,
  firstPauseMillis: 500,
  longestPauseMillis: 60_000,
  onFailure: () => undefined,
  onBroken: stopProcess,
} as const satisfies Required<QueueOptions>

export function checkJobId(id: string): void {
  assert(/^[A-Za-z0-9_-]+$/.test(id), 'a job id is letters, digits, _ and -')
}

/** 1, 2, 4 … times the first pause, up to the longest. */
export function pauseAfter(
  failures: number,
  { firstPauseMillis, longestPauseMillis }: Required<Pick<QueueOptions, 'firstPauseMillis' | 'longestPauseMillis'>>,
): Millis {
  return Math.min(longestPauseMillis, firstPauseMillis * 2 ** Math.min(failures - 1, 30))
}

/** Out of every caller's reach, so that no `catch` keeps the process going. */
function stopProcess(broken: BrokenInvariant): void {
  queueMicrotask(() => {
    throw broken
  })
}
