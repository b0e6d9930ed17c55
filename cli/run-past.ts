import type { ApiClient } from './api-client.ts'
import { follow, type RunProgress, watching } from './run-progress.ts'

/** A run as all its events so far tell it. */
export async function progressOf(api: ApiClient, run: string): Promise<RunProgress> {
  let progress = watching(run)
  for await (const event of api.pastEvents(run)) progress = follow(progress, event)
  return progress
}
