import { z } from 'zod'
import {
  bytesField,
  count,
  federationIdField,
  millisField,
  nameField,
  nodeIdField,
  operatorField,
} from '#protocol/codec.ts'
import type { Bytes, FederationId, Millis, NodeId } from '#protocol/ids.ts'
import { refuse } from '#protocol/result.ts'
import { type Onces, onceField } from './once.ts'

/** Nodes that one code may let in. */
export const INVITE_USES_MAX = 1000
const DESCRIPTION_CHARS_MAX = 800
/** The longest description takes four bytes a character. */
export const FEDERATION_ENTRY_BYTES_MAX = 4096

export const descriptionField = z
  .string()
  .max(DESCRIPTION_CHARS_MAX)
  .refine((text) => text.isWellFormed(), 'is not Unicode')
const inviteIdField = z.string().regex(/^inv_[0-7][0-9A-HJKMNP-TV-Z]{25}$/)

const on = { at: millisField, federation: federationIdField }
const named = { ...on, name: nameField, description: descriptionField.nullable() }
const membership = { ...on, node: nodeIdField, operator: operatorField.nullable() }

/** Everything that the stream of all federations can hold. */
export const federationEventSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('founded'), ...named, once: onceField.nullable() }),
  z.strictObject({ kind: z.literal('amended'), ...named }),
  /** With its members and its invites. */
  z.strictObject({ kind: z.literal('dissolved'), ...on }),
  /** A node is a member, or is said to be another operator's. */
  z.strictObject({ kind: z.literal('added'), ...membership }),
  z.strictObject({ kind: z.literal('removed'), ...on, node: nodeIdField }),
  z.strictObject({
    kind: z.literal('invited'),
    ...on,
    invite: inviteIdField,
    /** Of the code, which is kept nowhere. */
    codeHash: bytesField(32),
    operator: operatorField.nullable(),
    uses: count(INVITE_USES_MAX, 1),
    expiresAt: millisField.nullable(),
    once: onceField.nullable(),
  }),
  z.strictObject({ kind: z.literal('revoked'), ...on, invite: inviteIdField }),
  /** A node has taken an invite and is a member. */
  z.strictObject({ kind: z.literal('accepted'), ...membership, invite: inviteIdField }),
])
export type FederationEvent = z.output<typeof federationEventSchema>

export type Member = {
  readonly node: NodeId
  readonly operator: string | null
  readonly joinedAt: Millis
  readonly via: 'added' | 'invite'
}
export type Invite = {
  readonly id: string
  readonly federation: FederationId
  readonly codeHash: Bytes
  readonly operator: string | null
  readonly uses: number
  readonly createdAt: Millis
  readonly expiresAt: Millis | null
  readonly revokedAt: Millis | null
  /** Who has taken it: a node takes an invite once, and stays among them when it is a member no more. */
  readonly takers: ReadonlySet<NodeId>
}
/** A federation as its events have made it. */
export type Charter = {
  readonly id: FederationId
  readonly name: string
  readonly description: string | null
  readonly createdAt: Millis
  readonly updatedAt: Millis
  readonly members: Map<NodeId, Member>
  readonly invites: Map<string, Invite>
}
/** The oldest first. */
export type Charters = Map<FederationId, Charter>
/** What the stream amounts to. */
export type Known = {
  readonly charters: Charters
  readonly onces: Onces
  /** How many entries are about each federation. */
  readonly entries: Map<FederationId, number>
}

/** @param invitesMax codes that are kept: beyond it those go first that nobody can use any more */
export function stepFederations({ charters, onces, entries }: Known, event: FederationEvent, invitesMax: number): void {
  const { kind, at, federation: id } = event
  entries.set(id, (entries.get(id) ?? 0) + 1)
  const charter = charters.get(id)
  if (kind === 'founded') {
    const { name, description, once } = event
    onces.note(once, id)
    const empty = { members: new Map(), invites: new Map() }
    return void charters.set(id, { id, name, description, createdAt: at, updatedAt: at, ...empty })
  }
  if (!charter) return
  switch (kind) {
    case 'amended':
      return void charters.set(id, {
        ...charter,
        ...{ name: event.name, description: event.description, updatedAt: at },
      })
    case 'dissolved':
      return void charters.delete(id)
    case 'added':
      return void charter.members.set(event.node, memberOf(event, 'added', charter.members.get(event.node)))
    case 'removed':
      return void charter.members.delete(event.node)
    case 'invited':
      onces.note(event.once, event.invite)
      charter.invites.set(event.invite, inviteOf(event))
      return forgetSpent(charters, at, invitesMax)
    case 'revoked':
      return amendInvite(charter, event.invite, { revokedAt: at })
    case 'accepted': {
      const takers = charter.invites.get(event.invite)?.takers ?? []
      amendInvite(charter, event.invite, { takers: new Set([...takers, event.node]) })
      charter.members.set(event.node, memberOf(event, 'invite', charter.members.get(event.node)))
    }
  }
}

/** Whoever is a member already has been one since then, however it came to be. */
export function memberOf(
  { node, operator, at }: { readonly node: NodeId; readonly operator: string | null; readonly at: Millis },
  via: Member['via'],
  known: Member | undefined,
): Member {
  return { node, operator, joinedAt: known?.joinedAt ?? at, via: known?.via ?? via }
}

export function inviteOf({
  invite: id,
  federation,
  at,
  codeHash,
  operator,
  uses,
  expiresAt,
}: Extract<FederationEvent, { kind: 'invited' }>): Invite {
  return {
    ...{ id, federation, codeHash, operator, uses, createdAt: at, expiresAt },
    ...{ revokedAt: null, takers: new Set<NodeId>() },
  }
}

export function invitesIn(charters: Charters): readonly Invite[] {
  return [...charters.values()].flatMap(({ invites }) => [...invites.values()])
}

/** Why nobody can use it any more. */
export function obstacleTo({ revokedAt, expiresAt, takers, uses }: Invite, at: Millis) {
  if (revokedAt !== null) return refuse('invite-revoked', 'the invite was withdrawn')
  if (expiresAt !== null && at >= expiresAt) return refuse('invite-expired', 'the invite has expired')
  return takers.size >= uses ? refuse('invite-spent', 'the invite has been used') : undefined
}

function forgetSpent(charters: Charters, at: Millis, invitesMax: number): void {
  const invites = invitesIn(charters)
  const spent = invites.filter((invite) => obstacleTo(invite, at) !== undefined)
  spent.sort((a, b) => a.createdAt - b.createdAt)
  for (const { federation, id } of spent.slice(0, Math.max(0, invites.length - invitesMax)))
    charters.get(federation)?.invites.delete(id)
}

function amendInvite({ invites }: Charter, id: string, change: Partial<Invite>): void {
  const known = invites.get(id)
  if (known) invites.set(id, { ...known, ...change })
}
