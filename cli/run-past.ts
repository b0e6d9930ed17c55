import type { Run } from '#sdk/runs.ts'
import { follow, type RunProgress, watching } from './run-progress.ts'

/** A history is read in the largest pages that there are. */
export const PAGE_EVENTS = 1000

/** A run as all its events so far tell it. */
export async function progressOf(run: Run): Promise<RunProgress> {
  let progress = watching(run.id)
  for await (const event of run.past({ limit: PAGE_EVENTS })) progress = follow(progress, event)
  return progress
}
