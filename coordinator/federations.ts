import { hmacSha256 } from '#crypto'
import { equalSecret, utf8 } from '#protocol/bytes.ts'
import type { Bytes, FederationId, Millis, NodeId } from '#protocol/ids.ts'
import { type Acceptance, CODE_CHANCE_BYTES, codeHash, codeOf, STATEMENT_MILLIS_MAX } from '#protocol/invite.ts'
import { shareOf } from '#protocol/places.ts'
import type { Clock, EventLog } from '#protocol/ports.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { Chronicle, type Judgement } from './chronicle.ts'
import {
  type Charter,
  type Charters,
  FEDERATION_ENTRY_BYTES_MAX,
  type FederationEvent,
  federationEventSchema,
  type Invite,
  inviteOf,
  invitesIn,
  type Known,
  type Member,
  memberOf,
  obstacleTo,
  stepFederations,
} from './federation-events.ts'
import { type Once, Onces } from './once.ts'

/** What is kept of all federations together; of all but their number each has its share. */
export type FederationBounds = {
  readonly federations: number
  /** A node may be a member of several, and counts in each. */
  readonly members: number
  /** Codes that are kept: an acceptance is compared with each of them. */
  readonly invites: number
  /** Entries after which nothing is added any more: the stream is read whole at a start. */
  readonly entries: number
}
const BOUNDS: FederationBounds = { federations: 1000, members: 100_000, invites: 2000, entries: 1_000_000 }

/** A federation as it is told of. */
export type Federation = Omit<Charter, 'members' | 'invites'> & { readonly members: number }

/** What was made, or had been made by the same request before. */
type Made<T> = { readonly made: T; readonly isReplayed: boolean }

type MadeInvite = Made<Invite> & { readonly code: string }

export type FederationRefusal =
  | 'key-reused'
  | 'no-federation'
  | 'no-member'
  | 'no-invite'
  | 'another-version'
  | 'too-many'
export type InviteRefusal =
  | 'wrong-coordinator'
  | 'another-code'
  | 'statement-stale'
  | 'no-invite'
  | 'invite-expired'
  | 'invite-revoked'
  | 'invite-spent'
  | 'invite-taken'
  | 'too-many'

/** What a node has become. */
export type Accepted = { readonly federation: FederationId; readonly name: string; readonly operator: string | null }

/**
 * Who belongs together: federations, their members, and the codes by which nodes become members, whichever process was told
 * of them. One stream holds it all, so that a code is spent and its taker a member by one and the same entry.
 */
export class Federations {
  readonly #clock: Clock
  readonly #bounds: FederationBounds
  readonly #secret: Bytes
  readonly #chronicle: Chronicle<FederationEvent, Known>

  constructor({ log, clock, secret }: FederationsDoors, bounds = BOUNDS) {
    this.#clock = clock
    this.#secret = secret
    this.#bounds = bounds
    this.#chronicle = new Chronicle<FederationEvent, Known>({
      ...{ log, stream: 'federations', schema: federationEventSchema, entryBytesMax: FEDERATION_ENTRY_BYTES_MAX },
      ...{ state: { charters: new Map(), onces: new Onces(), entries: new Map() } },
      step: (known, event) => stepFederations(known, event, bounds.invites),
    })
  }

  /** The oldest first. */
  all(): Promise<readonly Federation[]> {
    return this.#chronicle.read(({ charters }) => [...charters.values()].map(toldOf))
  }

  get(id: FederationId): Promise<Federation | undefined> {
    return this.#chronicle.read(({ charters }) => {
      const charter = charters.get(id)
      return charter && toldOf(charter)
    })
  }

  /** By node; undefined where there is no such federation. */
  members(id: FederationId): Promise<readonly Member[] | undefined> {
    return this.#chronicle.read(({ charters }) => {
      const members = charters.get(id)?.members
      return members && [...members.values()].sort((a, b) => (a.node < b.node ? -1 : 1))
    })
  }

  /** The newest first; undefined where there is no such federation. */
  invites(id: FederationId): Promise<readonly Invite[] | undefined> {
    return this.#chronicle.read(({ charters }) => {
      const invites = charters.get(id)?.invites
      return invites && [...invites.values()].reverse()
    })
  }

  /** Those of the nodes that are members. */
  among(id: FederationId, nodes: readonly NodeId[]): Promise<readonly NodeId[]> {
    return this.#chronicle.read(({ charters }) => nodes.filter((node) => charters.get(id)?.members.has(node)))
  }

  /** What a node is, in the order in which the federations were founded. */
  memberships(node: NodeId): Promise<readonly (Member & { readonly federation: FederationId })[]> {
    return this.#chronicle.read(({ charters }) =>
      [...charters.values()].flatMap(({ id, members }) => {
        const member = members.get(node)
        return member ? [{ ...member, federation: id }] : []
      }),
    )
  }

  /** Of every member that has one, in one federation or in all; of a node in several of them the first one's word. */
  operators(federation: FederationId | null): Promise<ReadonlyMap<NodeId, string>> {
    return this.#chronicle.read(({ charters }) => {
      const asked = [...charters.values()].filter(({ id }) => federation === null || id === federation)
      const all = asked.reverse().flatMap(({ members }) => [...members.values()])
      return new Map(all.flatMap(({ node, operator }) => (operator === null ? [] : [[node, operator] as const])))
    })
  }

  /** Every node that is a member of any federation. */
  everyone(): Promise<ReadonlySet<NodeId>> {
    return this.#chronicle.read(
      ({ charters }) => new Set([...charters.values()].flatMap(({ members }) => [...members.keys()])),
    )
  }

  found(
    id: FederationId,
    { name, description }: Named,
    once: Once | null,
  ): Promise<Result<Made<Federation>, FederationRefusal>> {
    return this.#write<Made<Federation>, FederationRefusal>(({ charters, onces }, at) => {
      const before = onces.madeBy(once)
      if (before === 'reused') return refuse('key-reused')
      const known = before && charters.get(before.id as FederationId)
      if (known) return accept({ events: [], answer: { made: toldOf(known), isReplayed: true } })
      if (charters.size >= this.#bounds.federations) return refuse('too-many', `there are ${charters.size} federations`)
      const made = { id, name, description, createdAt: at, updatedAt: at, members: 0 }
      return accept({
        events: [{ kind: 'founded', at, federation: id, name, description, once }],
        answer: { made, isReplayed: false },
      })
    })
  }

  /** @param isCurrent whether it is what whoever amends it has seen */
  amend(
    id: FederationId,
    change: Partial<Named>,
    isCurrent: (federation: Federation) => boolean,
  ): Promise<Result<Federation, FederationRefusal>> {
    return this.#write(({ charters }, now) => {
      const charter = charters.get(id)
      if (!charter) return refuse('no-federation')
      const known = toldOf(charter)
      if (!isCurrent(known)) return refuse('another-version', 'somebody has changed it meanwhile')
      const { name, description } = { ...known, ...change }
      if (name === known.name && description === known.description) return accept({ events: [], answer: known })
      // Two versions never have one time.
      const at = Math.max(now, known.updatedAt + 1)
      return accept({
        events: [{ kind: 'amended', at, federation: id, name, description }],
        answer: { ...known, name, description, updatedAt: at },
      })
    })
  }

  dissolve(id: FederationId): Promise<Result<void, FederationRefusal>> {
    return this.#write(({ charters }, at) =>
      charters.has(id)
        ? accept({ events: [{ kind: 'dissolved', at, federation: id }], answer: undefined })
        : refuse('no-federation'),
    )
  }

  /** A node that is a member already is one with this operator from now on. */
  add(id: FederationId, node: NodeId, operator: string | null): Promise<Result<Member, FederationRefusal>> {
    return this.#write(({ charters }, at) => {
      const charter = charters.get(id)
      if (!charter) return refuse('no-federation')
      const known = charter.members.get(node)
      if (known?.operator === operator) return accept({ events: [], answer: known })
      if (!known && this.#isFull(charters, charter)) return refuse('too-many', 'no more members are taken')
      const answer = memberOf({ node, operator, at }, 'added', known)
      return accept({ events: [{ kind: 'added', at, federation: id, node, operator }], answer })
    })
  }

  remove(id: FederationId, node: NodeId): Promise<Result<void, FederationRefusal>> {
    return this.#write(({ charters }, at) => {
      const charter = charters.get(id)
      if (!charter) return refuse('no-federation')
      if (!charter.members.has(node)) return refuse('no-member')
      return accept({ events: [{ kind: 'removed', at, federation: id, node }], answer: undefined })
    })
  }

  /** @returns its code as well, which is shown to whoever has asked for it, and kept nowhere */
  invite(
    federation: FederationId,
    terms: { readonly invite: string } & Pick<Invite, InviteTerms>,
    once: Once | null,
  ): Promise<Result<MadeInvite, FederationRefusal>> {
    return this.#write<MadeInvite, FederationRefusal>(({ charters, onces }, at) => {
      const charter = charters.get(federation)
      if (!charter) return refuse('no-federation')
      const before = onces.madeBy(once)
      if (before === 'reused') return refuse('key-reused')
      const known = before && charter.invites.get(before.id)
      if (known) return accept({ events: [], answer: { made: known, isReplayed: true, code: this.#codeOf(known.id) } })
      const open = invitesIn(charters).filter((invite) => obstacleTo(invite, at) === undefined)
      const own = open.filter((invite) => invite.federation === federation).length
      if (own >= eachOf(charters, this.#bounds.invites))
        return refuse('too-many', `${own} invites of it can still be used`)
      if (open.length >= this.#bounds.invites) return refuse('too-many', `${open.length} invites can still be used`)
      const code = this.#codeOf(terms.invite)
      const event = { kind: 'invited' as const, at, federation, codeHash: codeHash(code), ...terms, once }
      return accept({ events: [event], answer: { made: inviteOf(event), isReplayed: false, code } })
    })
  }

  /** Whoever has taken it stays a member. Said again, it changes nothing. */
  revoke(federation: FederationId, id: string): Promise<Result<void, FederationRefusal>> {
    return this.#write(({ charters }, at) => {
      const charter = charters.get(federation)
      if (!charter) return refuse('no-federation')
      const invite = charter.invites.get(id)
      if (!invite) return refuse('no-invite')
      const events = invite.revokedAt === null ? [{ kind: 'revoked' as const, at, federation, invite: id }] : []
      return accept({ events, answer: undefined })
    })
  }

  /**
   * A node takes an invite. Said again by a member that came by it, it changes nothing and is answered as it was; for a node
   * that has been removed since it is refused, so that nobody who kept the statement can bring it back.
   *
   * @param code as it is shown
   * @param coordinator whom the statement must be said to
   */
  async take(code: string, statement: Acceptance, coordinator: NodeId): Promise<Result<Accepted, InviteRefusal>> {
    const hash = codeHash(code)
    const { node } = statement
    if (statement.to !== coordinator) return refuse('wrong-coordinator', 'the statement is for another coordinator')
    if (!equalSecret(hash, statement.code)) return refuse('another-code', 'the statement is about another code')
    if (Math.abs(this.#clock.now() - statement.at) > STATEMENT_MILLIS_MAX)
      return refuse('statement-stale', "the statement is of another time: is the node's clock right?")
    return this.#write(({ charters }, at) => {
      const invite = sameCode(charters, hash)
      const charter = invite && charters.get(invite.federation)
      if (!invite || !charter) return refuse('no-invite', 'there is no such invite')
      const { federation, operator } = invite
      const known = charter.members.get(node)
      const answer = { federation, name: charter.name, operator: known ? known.operator : operator }
      if (invite.takers.has(node))
        return known ? accept({ events: [], answer }) : refuse('invite-taken', 'this node has used it before')
      const obstacle = obstacleTo(invite, at)
      if (obstacle) return obstacle
      if (!known && this.#isFull(charters, charter)) return refuse('too-many', 'no more members are taken')
      const event = { kind: 'accepted' as const, at, federation, node, operator: answer.operator, invite: invite.id }
      return accept({ events: [event], answer })
    })
  }

  /**
   * From the invite's id and a secret of the coordinator's: a repeat of the request that made it is answered what the first one
   * was, and nothing is kept from which a code could be read.
   */
  #codeOf(invite: string): string {
    return codeOf(hmacSha256(this.#secret, utf8(`invite ${invite}`)).subarray(0, CODE_CHANCE_BYTES))
  }

  #isFull(charters: Charters, { members: own }: Charter): boolean {
    const all = [...charters.values()].reduce((sum, { members }) => sum + members.size, 0)
    return all >= this.#bounds.members || own.size >= eachOf(charters, this.#bounds.members)
  }

  #write<T, R extends string>(
    judge: (known: Known, at: Millis) => Result<Judgement<FederationEvent, T>, R>,
  ): Promise<Result<T, R | 'too-many'>> {
    return this.#chronicle.write<Result<T, R | 'too-many'>>((known, position) => {
      const judged = judge(known, this.#clock.now())
      if (!judged.ok) return { events: [], answer: judged }
      const { events, answer } = judged.value
      const adds = events.find(({ kind }) => !TAKES_AWAY.has(kind))
      const own = adds ? (known.entries.get(adds.federation) ?? 0) : 0
      if (adds && (position >= this.#bounds.entries || own >= eachOf(known.charters, this.#bounds.entries)))
        return { events: [], answer: refuse('too-many', `the list of all changes is full, at ${position} entries`) }
      return { events, answer: accept(answer) }
    })
  }
}

export type FederationsDoors = {
  readonly log: EventLog
  readonly clock: Clock
  /** The coordinator's, from which codes are made. */
  readonly secret: Bytes
}

type Named = Pick<Charter, 'name' | 'description'>
type InviteTerms = 'operator' | 'uses' | 'expiresAt'

function toldOf({ id, name, description, createdAt, updatedAt, members }: Charter): Federation {
  return { id, name, description, createdAt, updatedAt, members: members.size }
}

/** Never refused: each takes away what another entry brought, so there are no more of them. */
const TAKES_AWAY: ReadonlySet<FederationEvent['kind']> = new Set(['removed', 'revoked', 'dissolved'])

/** One that is alone keeps nobody out. */
function eachOf({ size }: Charters, total: number): number {
  return size > 1 ? shareOf(total) : total
}

/** Each is compared, and each as a whole: how long it takes tells nothing of any code. */
function sameCode(charters: Charters, hash: Bytes): Invite | undefined {
  return invitesIn(charters).reduce<Invite | undefined>(
    (found, invite) => (equalSecret(invite.codeHash, hash) ? invite : found),
    undefined,
  )
}
