import type { Round, RunId } from '#protocol/ids.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'

/** What a record is of: a whole run, or one of its rounds. */
export type AskedFor = { readonly run: RunId; readonly round?: Round | undefined }

/**
 * Step `run`. One key signs the records of many runs, and it is mostly its holder who says which of them a CID is: whoever
 * asked for one run would otherwise be shown the proof of another.
 *
 * @param asked nothing where it was asked for by its CID, or came as a file
 */
export function checkAsked(asked: AskedFor | undefined, found: AskedFor): Result<undefined, 'run'> {
  if (asked === undefined || (asked.run === found.run && asked.round === found.round)) return accept(undefined)
  return refuse('run', `the record is of ${namesOf(found)}, and asked for was that of ${namesOf(asked)}`)
}

function namesOf({ run, round }: AskedFor): string {
  return round === undefined ? run : `round ${round} of ${run}`
}
