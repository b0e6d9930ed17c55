import { expect, test } from '@jest/globals'
import { createRunSchema } from '#coordinator/api/schemas.ts'
import { Counters } from '#coordinator/counters.ts'
import { createRun } from '#coordinator/create.ts'
import { Gateway } from '#coordinator/gateway.ts'
import type { Unstamped } from '#coordinator/live.ts'
import { patrol } from '#coordinator/patrol.ts'
import { blockOf } from '#coordinator/record.ts'
import type { RunSpec } from '#coordinator/run-spec.ts'
import { type Job, Runner } from '#coordinator/runner.ts'
import { Sessions } from '#coordinator/sessions.ts'
import { Tally } from '#coordinator/tally.ts'
import { open } from '#protocol/envelope.ts'
import type { Bytes, NodeId } from '#protocol/ids.ts'
import { FRAME_BYTES_MAX } from '#protocol/limits.ts'
import { Mailbox } from '#protocol/mailbox.ts'
import { receiptListSchema } from '#protocol/manifest.ts'
import { type CoordinatorMessage, readCoordinatorMessage, say } from '#protocol/messages.ts'
import { type CoordinatorTransport, type LinkEvent, type SharedLog, StorageFull } from '#protocol/ports.ts'
import { accept } from '#protocol/result.ts'
import { keepSealed } from '#protocol/sealed.ts'
import { virtualClock } from '#sim/virtual-clock.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { openMemoryLog } from '#storage/logs/memory.ts'
import { MemoryPresence } from '#storage/presence/memory.ts'
import { openMemoryQueue } from '#storage/queues/memory.ts'
import { openMemorySnapshots } from '#storage/snapshots/memory.ts'
import { cid, EVALUATION, RUN } from './fixture.ts'
import { request, signer } from './live.ts'
import { EVERYBODY } from './node-doors.ts'

const GRACE = 1000
const coordinator = signer('coordinator')
const [still, mover] = [signer('still'), signer('mover')]
const turn = () => new Promise((resolve) => setImmediate(resolve))

/** What two processes share, and a run that is open to two nodes. */
async function opened() {
  const clock = virtualClock(1_000_000)
  const blobs = openMemoryBlobs()
  const made = await createRun(
    blobs,
    RUN,
    createRunSchema.parse(request({ masking: 'none', cohort: { min: 2, max: 2, quorum: 2 } })),
    null,
  )
  if (!made.ok) throw new Error(made.refusal)
  const shared = {
    clock,
    blobs,
    log: openMemoryLog(),
    presence: new MemoryPresence(),
    snapshots: openMemorySnapshots(),
  }
  return { ...shared, spec: made.value as RunSpec }
}
type Shared = Awaited<ReturnType<typeof opened>>

/** One process with its links. A node hears of each what was said to it there. */
class Process {
  readonly runner: Runner
  readonly said = new Map<NodeId, CoordinatorMessage[]>()
  readonly end = new AbortController()
  readonly #links = new Set<NodeId>()
  readonly #events = new Mailbox<LinkEvent>()
  readonly #shared: Shared

  constructor(shared: Shared, log: SharedLog = shared.log, runner = runnerOver(shared, log)) {
    const { clock, blobs, presence } = shared
    this.#shared = shared
    this.runner = runner
    const transport: CoordinatorTransport = {
      send: async (to, frame) => {
        if (this.#links.has(to)) this.said.set(to, [...this.heard(to), messageIn(frame)])
      },
      linked: () => [...this.#links],
      events: (signal) => this.#events.items(signal),
      async [Symbol.asyncDispose]() {},
    }
    const gateway = new Gateway({
      ...{ transport, presence: presence.openIn(this), blobs, vault: blobs, withheld: blobs, clock },
      ...{ sessions: new Sessions(blobs, coordinator.id), signer: coordinator, ticketKey: new Uint8Array(32) },
      ...{ runner: this.runner, eligibility: EVERYBODY, counters: new Counters(), tally: new Tally() },
      hearNode: async () => accept(undefined),
      fatal: (cause) => {
        throw cause
      },
    })
    void gateway.serve(GRACE, this.end.signal)
    void patrol({ runner: this.runner, log, clock, failed: () => undefined }, this.end.signal)
  }

  /** As a process begins that finds runs in the log. */
  static async recovered(shared: Shared): Promise<Process> {
    const runner = runnerOver(shared, shared.log)
    await runner.recover()
    return new Process(shared, shared.log, runner)
  }

  heard(node: NodeId): readonly CoordinatorMessage[] {
    return this.said.get(node) ?? []
  }

  async link(node: NodeId): Promise<void> {
    this.#links.add(node)
    await this.#shared.presence.openIn(this).arrived(node)
    this.#events.push({ kind: 'linked', node })
  }

  async unlink(node: NodeId): Promise<void> {
    this.#links.delete(node)
    await this.#shared.presence.openIn(this).departed(node)
  }

  hear(from: NodeId, frame: Bytes): void {
    this.#events.push({ kind: 'frame', from, frame })
  }

  async happens(...events: readonly Unstamped[]): Promise<void> {
    for (const event of events) expect(await this.runner.advance(RUN, event)).toMatchObject({ ok: true })
  }
}

function runnerOver({ clock, snapshots }: Shared, log: SharedLog): Runner {
  return new Runner({ log, queue: openMemoryQueue<Job>({ clock }), clock, snapshots }, () => undefined)
}

function messageIn(frame: Bytes): CoordinatorMessage {
  const signed = open(frame, FRAME_BYTES_MAX)
  const message = signed.ok ? readCoordinatorMessage(signed.value) : signed
  if (!message.ok) throw new Error(message.refusal)
  return message.value
}

/** Who has left, as the run's log has it. */
async function leftOf({ runner }: Process): Promise<readonly NodeId[]> {
  const left: NodeId[] = []
  const last = runner.position(RUN) - 1
  for await (const { event, position } of runner.follow(RUN, 0, new AbortController().signal)) {
    if (event.kind === 'left') left.push(event.node)
    if (position === last) break
  }
  return left
}

const joined = (node: NodeId): Unstamped => ({ kind: 'joined', round: 1, node, operator: null, advert: null })
const opens: Unstamped = { kind: 'opened', round: 1, plan: cid('plan'), invited: 2 }

/** Both are linked to the first, and one of them is about to have joined. */
async function launched(shared: Shared) {
  const [first, second] = [new Process(shared), new Process(shared)]
  await first.link(still.id)
  await first.link(mover.id)
  expect((await first.runner.create(shared.spec)).ok).toBe(true)
  await first.happens({ kind: 'held' }, opens, joined(still.id))
  await shared.clock.advance(1)
  return { first, second }
}

test('a node that moves while the round moves on hears its seat from the process that it moves to, whichever is first', async () => {
  for (let turnsBefore = -4; turnsBefore <= 12; turnsBefore++) {
    const shared = await opened()
    const { first, second } = await launched(shared)
    // The first goes on speaking to a link that nobody reads any more.
    if (turnsBefore < 0) await second.link(mover.id)
    for (let count = turnsBefore; count < 0; count++) await turn()
    const moved = first.happens(joined(mover.id))
    for (let count = 0; count < turnsBefore; count++) await turn()
    if (turnsBefore >= 0) await second.link(mover.id)
    await moved
    await shared.clock.advance(1)
    expect({ turnsBefore, heard: second.heard(mover.id).map(({ kind }) => kind) }).toEqual({
      turnsBefore,
      heard: expect.arrayContaining(['seated']),
    })
    expect(first.heard(still.id).map(({ kind }) => kind)).toEqual(['invite', 'seated'])
    expect(second.heard(still.id)).toEqual([])
    first.end.abort()
    second.end.abort()
  }
})

test('a receipt is told by the process that its node is linked to, whoever settled, and again to a node that comes back', async () => {
  const shared = await opened()
  const { first, second } = await launched(shared)
  await second.link(mover.id)
  const reported = (node: NodeId): Unstamped => ({
    ...{ kind: 'reported', round: 1, node, update: cid('update'), vector: cid('vector'), trainMillis: 1 },
  })
  const manifest = cid('manifest')
  const body = (node: NodeId, seat: number) =>
    ({ v: 1, run: RUN, round: 1, seat, node, update: cid('update'), manifest, amount: 50n }) as const
  const seals = await Promise.all(
    [still.id, mover.id].sort().map((node, seat) => keepSealed(shared.blobs, coordinator, 'receipt', body(node, seat))),
  )
  const list = blockOf(receiptListSchema, seals)
  await shared.blobs.putBlocks([list])
  await first.happens(
    ...[joined(mover.id), reported(still.id), reported(mover.id)],
    { kind: 'aggregated', round: 1, manifest, model: cid('m'), memory: cid('s'), evaluation: EVALUATION, reports: 2 },
    { kind: 'settled', round: 1, receipts: list.cid },
  )
  await shared.clock.advance(1)
  const receipts = (process: Process, node: NodeId) => process.heard(node).filter(({ kind }) => kind === 'receipt')
  expect(receipts(second, mover.id)).toMatchObject([{ node: mover.id, amount: 50n }])
  expect(receipts(first, still.id)).toMatchObject([{ node: still.id, amount: 50n }])
  // Who was away, or was told by a process that died with the word unsent, hears it when it comes back.
  const third = new Process(shared)
  await third.runner.recover()
  await shared.clock.advance(1)
  await third.link(mover.id)
  await third.link(coordinator.id)
  await shared.clock.advance(1)
  expect(receipts(third, mover.id)).toMatchObject([{ node: mover.id, amount: 50n }])
  expect(receipts(third, coordinator.id)).toEqual([])
  for (const process of [first, second, third]) process.end.abort()
})

test('what a node says is judged by what has happened, also where that has not been read yet', async () => {
  const shared = await opened()
  const { first } = await launched(shared)
  const deaf = new Process(shared, { ...shared.log, news: async function* () {} })
  await deaf.link(mover.id)
  expect(deaf.runner.run(RUN)).toBeUndefined()
  deaf.hear(mover.id, say(mover, { kind: 'join', to: coordinator.id, seq: 1, run: RUN, round: 1, advert: null }))
  await shared.clock.advance(1)
  expect(deaf.runner.run(RUN)?.round).toMatchObject({ phase: 'reporting' })
  await shared.clock.advance(1)
  expect(first.runner.run(RUN)).toEqual(deaf.runner.run(RUN))
  first.end.abort()
  deaf.end.abort()
})

test('whose process dies has left after the grace, and not who came to another one', async () => {
  const shared = await opened()
  const { first, second } = await launched(shared)
  await first.happens(joined(mover.id))
  first.end.abort()
  shared.presence.died(first)
  // It is known by now, and the grace is not over.
  await shared.clock.advance(2500)
  await second.link(mover.id)
  await shared.clock.advance(10 * GRACE)
  const ended = second.runner.run(RUN)?.past[0] ?? second.runner.run(RUN)?.round
  expect(ended).toMatchObject({ reason: 'too-few-reports' })
  expect(await leftOf(second)).toEqual([still.id])
  second.end.abort()
})

test('a word that a full disk kept from being heard is asked for again, and costs nothing but time', async () => {
  const shared = await opened()
  let full = false
  const append: SharedLog['append'] = (...args) =>
    full ? Promise.reject(new StorageFull('the disk is full')) : shared.log.append(...args)
  const { first } = await launched({ ...shared, log: { ...shared.log, append } })
  const invited = () => first.heard(mover.id).length
  const join = say(mover, { kind: 'join', to: coordinator.id, seq: 1, run: RUN, round: 1, advert: null })
  full = true
  first.hear(mover.id, join)
  await shared.clock.advance(900)
  expect(invited()).toBe(1)
  full = false
  await shared.clock.advance(200)
  expect(invited()).toBe(2)
  first.hear(mover.id, join)
  await shared.clock.advance(1)
  expect(first.runner.run(RUN)?.round).toMatchObject({ phase: 'reporting' })
  first.end.abort()
})

test.each(['the same process, begun again', 'another one'])(
  'a node that came back to %s, and is away for a moment when its first grace ends, has not left',
  async (where) => {
    const another = where === 'another one'
    const shared = await opened()
    const { first, second } = await launched(shared)
    await first.happens(joined(mover.id))
    first.end.abort()
    shared.presence.died(first)
    if (!another) second.end.abort()
    const next = another ? second : await Process.recovered(shared)
    await shared.clock.advance(another ? 2100 : 300)
    for (const node of [still.id, mover.id]) await next.link(node)
    await shared.clock.advance(10)
    await next.unlink(mover.id)
    // The grace that began when its process died, and not the one that the transport gives it now.
    await shared.clock.advance(2 * GRACE)
    expect(await leftOf(next)).toEqual([])
    next.end.abort()
  },
)
