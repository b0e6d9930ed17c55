import { toHex } from '#protocol/bytes.ts'
import { type Block, fitInFrame, type Signer } from '#protocol/envelope.ts'
import type { Bytes, Cid, Millis, NodeId } from '#protocol/ids.ts'
import { type ClientMessage, say } from '#protocol/messages.ts'
import type { Clock, CoordinatorTransport } from '#protocol/ports.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { within } from './pause.ts'

/** What is judged is small, and read by nobody but the node: whoever takes longer is away, or does not know the question. */
const WAIT_MILLIS: Millis = 5000

export type InquiryDoors = {
  readonly transport: Pick<CoordinatorTransport, 'linked' | 'send'>
  readonly signer: Signer
  readonly clock: Clock
  readonly chance: (lengthBytes: number) => Bytes
}
type Considered = Extract<ClientMessage, { kind: 'considered' }>
export type Opinion = Pick<Considered, 'refusal' | 'detail'>
type Asked = {
  readonly nodes: ReadonlySet<NodeId>
  readonly opinions: Map<NodeId, Opinion>
  readonly all: PromiseWithResolvers<void>
}

/** Asks nodes that are linked to this process what they would make of a plan, before there is a round of it. */
export class Inquiries {
  readonly #doors: InquiryDoors
  readonly #asked = new Map<string, Asked>()

  constructor(doors: InquiryDoors) {
    this.#doors = doors
  }

  hear(node: NodeId, { question, refusal, detail }: Considered): Result<void, 'no-question'> {
    const asked = this.#asked.get(toHex(question))
    if (!asked?.nodes.has(node) || asked.opinions.has(node)) return refuse('no-question')
    asked.opinions.set(node, { refusal, detail })
    if (asked.opinions.size === asked.nodes.size) asked.all.resolve()
    return accept(undefined)
  }

  /**
   * @param blocks all that the plan is judged by
   * @returns what each said in time, and who is linked to another process, which alone could ask it; undefined where the blocks find no room in a frame, and nobody was asked
   */
  async ask(
    plan: Cid,
    blocks: readonly Block[],
    nodes: readonly NodeId[],
  ): Promise<ReadonlyMap<NodeId, Opinion | 'elsewhere'> | undefined> {
    const { transport, signer, clock, chance } = this.#doors
    if (fitInFrame(blocks).length < blocks.length) return undefined
    const linked = new Set(transport.linked())
    const asked: Asked = {
      nodes: new Set(nodes.filter((node) => linked.has(node))),
      opinions: new Map(),
      all: Promise.withResolvers(),
    }
    const elsewhere = nodes.filter((node) => !asked.nodes.has(node)).map((node) => [node, 'elsewhere'] as const)
    if (asked.nodes.size === 0) return new Map(elsewhere)
    const question = chance(16)
    this.#asked.set(toHex(question), asked)
    try {
      const frame = say(signer, { kind: 'consider', question, plan }, blocks)
      const sent = Promise.allSettled([...asked.nodes].map((node) => transport.send(node, frame)))
      await within(
        clock,
        WAIT_MILLIS,
        sent.then(() => asked.all.promise),
      )
      return new Map<NodeId, Opinion | 'elsewhere'>([...asked.opinions, ...elsewhere])
    } finally {
      this.#asked.delete(toHex(question))
    }
  }
}
