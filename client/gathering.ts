import type { Parcel } from '#aggregation/secagg/messages.ts'
import { joinParts } from '#aggregation/secagg/parcel.ts'
import type { Block } from '#protocol/envelope.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import type { CoordinatorMessage } from '#protocol/messages.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'

type Part = Pick<Extract<CoordinatorMessage, { readonly kind: 'shared' }>, 'shared' | 'parcel' | 'part' | 'parts'>

/**
 * What the others sent to this node alone, as it comes in, part by part, in any order and more than once. One U2's at a
 * time, of at most the parts that a parcel may have, each no larger than a frame.
 */
export class Gathering {
  #of: { readonly shared: Cid; readonly parts: (Bytes | undefined)[] } | undefined

  /** @returns the parcel, once all of it is here */
  take({ shared, parcel, part, parts }: Part, attached: readonly Block[]): Result<Parcel | undefined> {
    if (part >= parts) return refuse('wrong-shape', `part ${part} of ${parts}`)
    const bytes = attached.find(({ cid }) => cid === parcel)?.bytes
    if (!bytes) throw new Error(`part ${part} of the boxes did not come along`)
    const same = this.#of?.shared === shared && this.#of.parts.length === parts
    const gathered =
      same && this.#of ? this.#of : { shared, parts: new Array<Bytes | undefined>(parts).fill(undefined) }
    this.#of = gathered
    gathered.parts[part] = bytes
    const whole = gathered.parts.filter((one) => one !== undefined)
    return whole.length < parts ? accept(undefined) : joinParts(whole)
  }
}
