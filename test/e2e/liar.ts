import { createServer } from 'node:http'
import { createRunSchema } from '#coordinator/api/schemas.ts'
import { createRun } from '#coordinator/create.ts'
import { planFor } from '#coordinator/effects/open.ts'
import { invitation } from '#coordinator/invitation.ts'
import { orderOf, readBlock } from '#coordinator/record.ts'
import { type Run, stepRun } from '#coordinator/run.ts'
import type { RunEvent } from '#coordinator/run-events.ts'
import { SocketTransport } from '#coordinator/transports/socketio.ts'
import { sha256 } from '#crypto'
import { utf8 } from '#protocol/bytes.ts'
import { type Block, open, signerOf } from '#protocol/envelope.ts'
import type { Cid, NodeId } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX, FRAME_BYTES_MAX } from '#protocol/limits.ts'
import { type ClientMessage, type CoordinatorMessage, readClientMessage, say } from '#protocol/messages.ts'
import type { Plan } from '#protocol/plan.ts'
import { keepSealed } from '#protocol/sealed.ts'
import { taskSchema } from '#protocol/task.ts'
import { TOY_TASK } from '#sim/toy.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { MemoryPresence } from '#storage/presence/memory.ts'
import { must } from '#test/aggregation/given.ts'
import { RUN } from '#test/coordinator/fixture.ts'

const signer = signerOf(sha256(utf8('the liar')))

/** A coordinator's link on a real socket that says what the test wants: what real nodes pinned as their coordinator lies. */
export class Liar implements AsyncDisposable {
  readonly key = signer.id
  readonly url: string
  readonly #link: SocketTransport
  readonly #server: ReturnType<typeof createServer>
  readonly #end = new AbortController()

  private constructor(server: ReturnType<typeof createServer>, link: SocketTransport) {
    this.#server = server
    this.#link = link
    const address = server.address()
    this.url = `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`
  }

  static async listen(): Promise<Liar> {
    const server = createServer((_, response) => response.writeHead(404).end())
    const link = new SocketTransport(server, {
      ...{
        signer,
        admits: async () => true,
        graceMillis: 1000,
        helloMillis: 10_000,
        linksMax: 10,
        isOverloaded: () => false,
      },
      count: () => undefined,
      presence: new MemoryPresence().openIn({}),
    })
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
    return new Liar(server, link)
  }

  /** Invites whoever links to a round under the honest plan of a plain run, but for the change. @returns its first answer */
  async invited(change: Partial<Plan>): Promise<ClientMessage> {
    for await (const event of this.#link.events(this.#end.signal)) {
      if (event.kind === 'linked') await this.#invite(event.node, change)
      if (event.kind !== 'frame') continue
      return must(readClientMessage(must(open(event.frame, FRAME_BYTES_MAX))))
    }
    throw new Error('the link ended before an answer')
  }

  async #invite(node: NodeId, change: Partial<Plan>): Promise<void> {
    const blobs = openMemoryBlobs()
    const cohort = { min: 3, max: 4, quorum: 3 }
    const request = createRunSchema.parse({ task: TOY_TASK, rounds: 1, masking: 'none', cohort })
    const spec = must(await createRun(blobs, RUN, request, null))
    const steps = (run: Run | undefined, event: RunEvent) => must(stepRun(run, event))
    const funded = steps(steps(undefined, { kind: 'created', at: 1, spec }), { kind: 'held', at: 1 })
    const task = await readBlock(blobs, spec.task, taskSchema)
    const order = await orderOf(blobs, spec)
    const plan = await keepSealed(blobs, signer, 'plan', { ...planFor(funded, order, 1, null), ...change })
    const run = steps(funded, { kind: 'opened', at: 1, round: 1, plan, invited: 1 })
    if (run.round?.phase !== 'selection') throw new Error('a round opens with its selection')
    const attached = await invitation(blobs, run, run.round)
    const rest = await Promise.all([spec.task, task.architecture].map((cid) => this.#block(blobs, cid)))
    const message: CoordinatorMessage = { kind: 'invite', run: RUN, round: 1, plan, closesAt: Date.now() + 60_000 }
    await this.#link.send(node, say(signer, message, [...attached, ...rest]))
  }

  async #block(blobs: ReturnType<typeof openMemoryBlobs>, cid: Cid): Promise<Block> {
    return { cid, bytes: await blobs.getBlock(cid, BLOCK_BYTES_MAX) }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort()
    await this.#link[Symbol.asyncDispose]()
    this.#server.close()
  }
}
