import {
  openSession,
  openSharing,
  openSurvival,
  type Session,
  type Sharing,
  type Survival,
} from '#aggregation/secagg/session.ts'
import { assert } from '#protocol/assert.ts'
import type { Cid, NodeId } from '#protocol/ids.ts'
import type { BlobStore } from '#protocol/ports.ts'
import type { Result } from '#protocol/result.ts'
import { Recent } from './recent.ts'
import type { Session as SessionState } from './round/session.ts'
import { readSaid } from './said.ts'

/** Open sessions that are kept in memory; each is a few hundred kilobytes at 128 members. */
const KEPT_MAX = 16

/**
 * The sessions behind the names in a round's state: read once from the store and opened by the same checks that every
 * member and verifier makes. What the coordinator itself signed must pass them, else it has broken its own law.
 */
export class Sessions {
  readonly #blobs: BlobStore
  readonly #coordinator: NodeId
  readonly #kept = new Recent<Cid, Promise<unknown>>(KEPT_MAX)

  constructor(blobs: BlobStore, coordinator: NodeId) {
    this.#blobs = blobs
    this.#coordinator = coordinator
  }

  session({ roster: cid, adverts }: SessionState): Promise<Session> {
    assert(cid, 'the roster is signed')
    return this.#once(cid, async () => {
      const roster = await readSaid(this.#blobs, 'Roster', cid)
      const named = await Promise.all(adverts.map((advert) => readSaid(this.#blobs, 'Advert', advert)))
      return mustBe(openSession(roster, named, this.#coordinator))
    })
  }

  sharing(state: SessionState): Promise<Sharing> {
    const { shared } = state
    assert(shared, 'U2 is signed')
    return this.#once(shared.cid, async () => {
      const session = await this.session(state)
      const list = await readSaid(this.#blobs, 'Shared', shared.cid)
      const keys = await Promise.all(list.body.list.map(({ cid }) => readSaid(this.#blobs, 'ShareKeys', cid)))
      return mustBe(openSharing(session, list, keys))
    })
  }

  survival(state: SessionState): Promise<Survival> {
    const { survivors } = state
    assert(survivors, 'U3 is signed')
    return this.#once(survivors, async () => {
      const sharing = await this.sharing(state)
      const list = await readSaid(this.#blobs, 'Survivors', survivors)
      const inputs = await Promise.all(list.body.list.map(({ cid }) => readSaid(this.#blobs, 'MaskedInput', cid)))
      return mustBe(openSurvival(sharing, list, inputs))
    })
  }

  #once<T>(name: Cid, open: () => Promise<T>): Promise<T> {
    return Recent.once(this.#kept, name, open) as Promise<T>
  }
}

function mustBe<T>(opened: Result<T>): T {
  assert(opened.ok, 'what the coordinator signed holds')
  return opened.value
}
