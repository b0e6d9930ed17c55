import { Allowance, type Rate } from '#protocol/allowance.ts'
import type { Block } from '#protocol/envelope.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { REASON_CHARS_MAX } from '#protocol/limits.ts'
import type { ClientMessage, CoordinatorMessage } from '#protocol/messages.ts'
import { BlobMissing, type Clock } from '#protocol/ports.ts'
import type { Readable } from './assignment.ts'
import { consider, type JudgementDoors } from './judgement.ts'
import type { Unaddressed } from './voice.ts'

/** A researcher who looks for terms asks a few times; whoever asks for more wants to map this site's policy. */
const QUESTIONS: Rate = { perSecond: 0.2, burst: 10 }

type Answer = Unaddressed<Extract<ClientMessage, { kind: 'considered' }>>

/**
 * What this node would make of a plan that is of no round yet, by the same judgement as of one that is. It says nothing of
 * whether the node is busy or held back, reads nothing but what came along, and looks at no data.
 */
export class Considering {
  readonly #doors: JudgementDoors & { readonly clock: Clock }
  readonly #allowance: Allowance

  constructor(doors: JudgementDoors & { readonly clock: Clock }) {
    this.#doors = doors
    this.#allowance = new Allowance(QUESTIONS, doors.clock.now())
  }

  /** Undefined where nothing is to be said: it was asked too often, or cannot tell. */
  async answer(
    { question, plan }: Extract<CoordinatorMessage, { kind: 'consider' }>,
    attached: readonly Block[],
  ): Promise<Answer | undefined> {
    if (!this.#allowance.take(this.#doors.clock.now())) return undefined
    const judged = await consider({ ...this.#doors, blobs: onlyThese(attached), expectModel: undefined }, plan)
    if (judged.ok) return { kind: 'considered', question, refusal: null, detail: '' }
    const { refusal, detail = '' } = judged
    if (refusal === 'fault') return undefined
    return { kind: 'considered', question, refusal, detail: detail.slice(0, REASON_CHARS_MAX) }
  }
}

function onlyThese(blocks: readonly Block[]): Readable {
  const bytesOf = (cid: Cid): Bytes => {
    const found = blocks.find((block) => block.cid === cid)
    if (!found) throw new BlobMissing(cid)
    return found.bytes
  }
  return {
    getBlock: async (cid) => bytesOf(cid),
    // Weights never come along.
    async *get(cid) {
      yield bytesOf(cid)
    },
  }
}
