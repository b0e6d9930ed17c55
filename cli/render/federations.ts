import type { FederationView, InviteView, MemberView } from '#sdk/views/federations.ts'
import type { DatasetView } from '#sdk/views/nodes.ts'
import { rowOf } from './rounds.ts'

/** A line for each, its id first and whole. */
export function federationLines(federations: readonly FederationView[]): readonly string[] {
  const rows = federations.map(({ id, members, name }) => rowOf([id, String(members), name], FEDERATION_WIDTHS))
  return rows.length === 0 ? [] : [rowOf(['federation', 'members', 'name'], FEDERATION_WIDTHS), ...rows]
}

const FEDERATION_WIDTHS = [30, 7, 0] as const

export function memberLines(members: readonly MemberView[]): readonly string[] {
  const rows = members.map(({ node, linked, via, operator, joined_at }) =>
    rowOf([node, linked ? 'linked' : 'away', via, joined_at, operator ?? '-'], MEMBER_WIDTHS),
  )
  return rows.length === 0 ? [] : [rowOf(['node', 'link', 'via', 'joined', 'operator'], MEMBER_WIDTHS), ...rows]
}

const MEMBER_WIDTHS = [48, 6, 6, 24, 0] as const

export function inviteLines(invites: readonly InviteView[], now: number): readonly string[] {
  const rows = invites.map((invite) => {
    const { id, uses_left, expires_at, operator } = invite
    return rowOf([id, stateOf(invite, now), String(uses_left), expires_at ?? 'never', operator ?? '-'], INVITE_WIDTHS)
  })
  return rows.length === 0 ? [] : [rowOf(['invite', 'state', 'left', 'expires', 'operator'], INVITE_WIDTHS), ...rows]
}

const INVITE_WIDTHS = [30, 7, 4, 24, 0] as const

function stateOf({ revoked_at, expires_at, uses_left }: InviteView, now: number): string {
  if (revoked_at !== null) return 'revoked'
  if (expires_at !== null && Date.parse(expires_at) <= now) return 'expired'
  return uses_left === 0 ? 'used' : 'open'
}

export function datasetLines(datasets: readonly DatasetView[]): readonly string[] {
  const rows = datasets.map(({ node, name, kind, rows_at_least, operator, ...rest }) =>
    rowOf([node, name, kind, `>= ${rows_at_least}`, operator ?? '-', formOf(rest)], DATASET_WIDTHS),
  )
  const head = rowOf(['node', 'dataset', 'kind', 'rows', 'operator', 'form'], DATASET_WIDTHS)
  return rows.length === 0 ? [] : [head, ...rows]
}

const DATASET_WIDTHS = [48, 20, 5, 9, 16, 0] as const

function formOf({ columns, shape, classes }: Pick<DatasetView, 'columns' | 'shape' | 'classes'>): string {
  const parts = [
    columns && `${columns.length} columns: ${columns.map(({ name, kind }) => `${name} ${kind}`).join(', ')}`,
    shape && `images of ${shape.join(' x ')}`,
    classes !== null && `${classes} classes`,
  ]
  return parts.filter(Boolean).join('; ')
}
