import type { Freshness } from '#aggregation/secagg/spending.ts'
import type { Chance, Site } from '#aggregation/secagg/states.ts'
import type { Cid, Millis, Round, RunId } from '#protocol/ids.ts'
import type { CoordinatorMessage } from '#protocol/messages.ts'
import type { BlobStore, Clock, RemoteStore } from '#protocol/ports.ts'
import type { Assignment } from './assignment.ts'
import type { Journal } from './journal.ts'
import type { Told } from './progress.ts'
import type { Word } from './words.ts'

/** The masked round that a node enters, as it read and judged it. */
export type Entry = {
  readonly run: RunId
  readonly round: Round
  /** The sealed plan. */
  readonly plan: Cid
  readonly closesAt: Millis
  readonly assignment: Assignment
  /** What the input is spent under (R5): the model, or the version of the data that a question is about. */
  readonly inputKey: string
  /** Of its key advert: it grows. */
  readonly seq: number
  /** R5: what is shown of the sessions that had an input under this key before, and how many they are. */
  readonly freshness: Freshness
  readonly spent: number
}

/** What a member needs of the world. */
export type MembershipDoors = {
  readonly blobs: RemoteStore
  readonly outbox: BlobStore
  readonly journal: Journal
  readonly clock: Clock
  readonly site: Site
  readonly chance: Chance
  /** In a new frame about this round. */
  readonly send: (word: Word) => Promise<void>
  readonly tell: (made: Told) => void
}

/** What a coordinator says to a member. */
export type SessionMessage = Extract<
  CoordinatorMessage,
  { readonly kind: 'seated' | 'shared' | 'mask' | 'survivors' | 'certificate' }
>
