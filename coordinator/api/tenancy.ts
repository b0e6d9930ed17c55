import type { FederationId, NodeId, RunId } from '#protocol/ids.ts'
import type { Run } from '../run.ts'
import { type Caller, sees } from './caller.ts'
import type { ApiDoors } from './doors.ts'
import { inTime, Problem } from './problems.ts'

type Tenant = Pick<Caller, 'federation'>

/**
 * Those of the runs that exist for a caller. To a key of a federation whatever is not of it is as if it were not there: each
 * route that finds or lists something asks here, or `sees`.
 */
export function runsFor({ runner }: Pick<ApiDoors, 'runner'>, caller: Tenant): readonly Run[] {
  const runs = runner.runs()
  return caller.federation === null ? runs : runs.filter(({ spec }) => sees(caller, spec.federation))
}

/** Whether what names a run exists for a caller, as the run does. */
export function runFilter(doors: Pick<ApiDoors, 'runner'>, caller: Tenant): (run: RunId) => boolean {
  if (caller.federation === null) return () => true
  const ids = new Set(runsFor(doors, caller).map(({ spec }) => spec.run))
  return (run) => ids.has(run)
}

/** Those of the nodes that exist for a caller: the members of its federation. */
export async function nodesOf(
  { federations, clock }: ApiDoors,
  { federation }: Tenant,
  nodes: readonly NodeId[],
): Promise<readonly NodeId[]> {
  if (federation === null) return nodes
  return inTime(clock, federations.among(federation as FederationId, nodes))
}

/** Who runs each node: to a key of a federation by the names that it gave itself, and not by another one's. */
export function operatorsFor(
  { eligibility, clock }: Pick<ApiDoors, 'eligibility' | 'clock'>,
  { federation }: Tenant,
): Promise<(node: NodeId) => string | null> {
  return inTime(clock, eligibility.operators(federation as FederationId | null))
}

/** Whose share it is of what all have together: a federation has one, however many keys it makes. */
export function tenantOf({ id, federation }: Pick<Caller, 'id' | 'federation'>): string {
  return federation ?? id
}

/** What belongs to the coordinator as a whole. @throws {Problem} 403 for a key of a federation */
export function checkUnbound(caller: Tenant): void {
  if (caller.federation !== null) throw outside('it is of no federation, and the key is of one')
}

/** A run that is about to be made: its federation, and how many nodes may be in its rounds. */
export type Place = {
  readonly federation: FederationId | null
  readonly populationSize: number | undefined
}

/**
 * Where a caller launches a run: in its own federation where it says nothing.
 *
 * @throws {Problem} 403 for another federation than the caller's, 422 for one that is not there
 */
export async function placeOf(
  { federations, eligibility, clock }: ApiDoors,
  caller: Tenant,
  asked: FederationId | null | undefined,
): Promise<Place> {
  const federation = asked === undefined ? (caller.federation as FederationId | null) : asked
  if (!sees(caller, federation)) throw outside('a key of a federation launches in that one alone')
  if (federation !== null && !(await inTime(clock, federations.get(federation)))) {
    const where = { pointer: '/federation', message: `is not there: there is no federation ${federation}` }
    throw new Problem(422, 'invalid_run', 'This run cannot be launched', where.message, { errors: [where] })
  }
  return { federation, populationSize: await inTime(clock, eligibility.populationSize(federation)) }
}

function outside(detail: string): Problem {
  return new Problem(403, 'outside_federation', 'This key is of a federation', detail)
}
