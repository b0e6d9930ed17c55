import { type Kind, parcelSchema } from '#aggregation/secagg/messages.ts'
import { partsOf } from '#aggregation/secagg/parcel.ts'
import { assert } from '#protocol/assert.ts'
import { type Block, fitInFrame, type Signer } from '#protocol/envelope.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { say } from '#protocol/messages.ts'
import type { BlobStore } from '#protocol/ports.ts'
import { parcelListSchema } from './effects/session.ts'
import { Recent } from './recent.ts'
import { readBlock } from './record.ts'
import { hasReported, type MaskedSeated, type Round } from './round/round.ts'
import type { Run } from './run.ts'
import { blocksOf, readSaid } from './said.ts'

export type BriefingDoors = { readonly blobs: BlobStore; readonly vault: BlobStore; readonly signer: Signer }
type Masked = Round & MaskedSeated

/** Statements whose frames are kept signed: those of the rounds that are open now. */
const KEPT_MAX = 64

/**
 * What a member of a session is told, as frames, read off the round's state: the same when it is told in time, told again
 * after its link broke, or told by a process that took over. What all members read is signed once and sent to each.
 */
export class Briefing {
  readonly #doors: BriefingDoors
  readonly #kept = new Recent<Cid, Promise<readonly Bytes[]>>(KEPT_MAX)

  constructor(doors: BriefingDoors) {
    this.#doors = doors
  }

  /** The roster with its adverts, to go before `seated`. */
  roster(run: Run, { round, session }: Masked): Promise<readonly Bytes[]> {
    return this.#once(session.roster, async () => {
      const adverts = await this.#blocks('Advert', session.adverts)
      return this.#frames(run, round, [...(await this.#blocks('Roster', [session.roster])), ...adverts])
    })
  }

  /** U2 with its members' keys, and what they sent to this seat alone. */
  async shared(run: Run, { round, session }: Masked, seat: number): Promise<readonly Bytes[]> {
    const { shared } = session
    assert(shared, 'U2 is signed')
    const common = await this.#shared(run, round, session)
    const list = await readBlock(this.#doors.vault, shared.parcels, parcelListSchema)
    const cid = list[seat]
    assert(cid, 'every member of U2 has a parcel')
    const parts = partsOf(await readBlock(this.#doors.vault, cid, parcelSchema), 0)
    const own = parts.map((block, part) =>
      say(
        this.#doors.signer,
        { kind: 'shared', run: run.spec.run, round, shared: shared.cid, parcel: block.cid, part, parts: parts.length },
        [block],
      ),
    )
    return [...common, ...own]
  }

  /** U2 is final. */
  async mask(run: Run, { round, session }: Masked): Promise<readonly Bytes[]> {
    const { shared } = session
    assert(shared, 'U2 is signed')
    const word = say(this.#doors.signer, { kind: 'mask', run: run.spec.run, round, shared: shared.cid })
    return shared.version === 1 ? [word] : [...(await this.#shared(run, round, session)), word]
  }

  /** U3 with its inputs. */
  async survivors(run: Run, { round, session, seats }: Masked): Promise<readonly Bytes[]> {
    const { survivors } = session
    assert(survivors, 'U3 is signed')
    return this.#once(survivors, async () => {
      const inputs = seats.flatMap((state) => (hasReported(state) ? [state.update] : []))
      const blocks = [...(await this.#blocks('Survivors', [survivors])), ...(await this.#blocks('MaskedInput', inputs))]
      const word = say(this.#doors.signer, { kind: 'survivors', run: run.spec.run, round, survivors })
      return [...this.#frames(run, round, blocks), word]
    })
  }

  async certificate(run: Run, { round, session }: Masked): Promise<readonly Bytes[]> {
    const { survivors, certificate } = session
    assert(survivors && certificate, 'U3 is certified')
    return this.#once(certificate, async () => {
      const blocks = await this.#blocks('QuorumCert', [certificate])
      const message = { kind: 'certificate', run: run.spec.run, round, survivors, certificate } as const
      return [say(this.#doors.signer, message, blocks)]
    })
  }

  #shared(run: Run, round: number, { shared, dealt }: Masked['session']): Promise<readonly Bytes[]> {
    assert(shared, 'U2 is signed')
    return this.#once(shared.cid, async () => {
      const keys = dealt.flatMap((one, seat) => (one && shared.members[seat] ? [one.keys] : []))
      const blocks = [...(await this.#blocks('Shared', [shared.cid])), ...(await this.#blocks('ShareKeys', keys))]
      return this.#frames(run, round, blocks)
    })
  }

  async #blocks(kind: Kind, cids: readonly (Cid | null)[]): Promise<readonly Block[]> {
    const said = await Promise.all(cids.map((cid) => readSaid(this.#doors.blobs, kind, cid as Cid)))
    return said.flatMap(blocksOf)
  }

  /** As few frames as hold them; a block that no frame holds is left to be asked for. */
  #frames(run: Run, round: number, blocks: readonly Block[]): readonly Bytes[] {
    const frames: Bytes[] = []
    for (let rest = blocks; rest.length > 0; ) {
      const fitting = fitInFrame(rest)
      if (fitting.length === 0) break
      frames.push(say(this.#doors.signer, { kind: 'blocks', run: run.spec.run, round }, fitting))
      const gone = new Set(fitting)
      rest = rest.filter((block) => !gone.has(block))
    }
    return frames
  }

  #once(name: Cid | null, make: () => Promise<readonly Bytes[]>): Promise<readonly Bytes[]> {
    assert(name, 'the statement is signed')
    return Recent.once(this.#kept, name, make)
  }
}
