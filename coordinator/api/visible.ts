import type { Run } from '../run.ts'
import type { Caller } from './caller.ts'
import type { ApiDoors } from './server.ts'

/** Runs that exist for a caller, ascending. Whoever is of one federation sees none of another's, and no run says yet that it is of one. */
export function runsFor({ runner }: Pick<ApiDoors, 'runner'>, { federation }: Caller): readonly Run[] {
  return federation === null ? runner.runs() : []
}
