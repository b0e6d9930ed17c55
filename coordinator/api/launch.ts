import type { FastifyReply, FastifyRequest } from 'fastify'
import type { z } from 'zod'
import { equalBytes } from '#protocol/bytes.ts'
import type { Bytes, RunId } from '#protocol/ids.ts'
import { shareOf } from '#protocol/places.ts'
import type { Result } from '#protocol/result.ts'
import type { Claim } from '../claims.ts'
import type { CreateRefusal } from '../keep-task.ts'
import type { Run } from '../run.ts'
import type { RunSpec } from '../run-spec.ts'
import { type Caller, ROOT } from './caller.ts'
import type { ApiDoors } from './doors.ts'
import { bodyDigest, type idempotencyHeaders, keyReused, markReplayed } from './idempotency.ts'
import { inTime, later, Problem } from './problems.ts'

type Idempotency = { readonly key: string; readonly body: Bytes } | null
/** Makes what a request asks for, or says what is wrong with it. */
type Create = (id: RunId, idempotency: Idempotency) => Promise<Result<RunSpec> & { readonly where?: CreateRefusal }>
type Request = Pick<FastifyRequest, 'body'> & {
  readonly headers: z.output<typeof idempotencyHeaders>
  readonly caller: Caller
}
type Order = { readonly caller: Caller; readonly purpose: RunSpec['purpose']; readonly create: Create }
type LauncherDoors = Pick<ApiDoors, 'runner' | 'newRunId' | 'claims' | 'clock' | 'bounds' | 'isOverloaded'>

/** Launches runs of any purpose: two requests under one key make one run, to whichever processes they came. */
export class Launcher {
  readonly #doors: LauncherDoors

  constructor(doors: LauncherDoors) {
    this.#doors = doors
  }

  /** @returns the run, with status and headers set: a repeat under its key answers the first one */
  async launch(
    { headers, body, caller }: Request,
    purpose: RunSpec['purpose'],
    reply: FastifyReply,
    create: Create,
  ): Promise<Run> {
    const key = headers['idempotency-key']
    const idempotency = key === undefined ? null : { key, body: bodyDigest(body) }
    const order = { caller, purpose, create }
    const made = idempotency ? this.#once(order, idempotency) : this.#make(order)
    const { run, replayed } = await inTime(this.#doors.clock, made, key ? REPEATABLE : UNREPEATABLE)
    if (replayed) markReplayed(reply)
    void reply.code(replayed ? 200 : 201)
    return run
  }

  async #once(order: Order, idempotency: NonNullable<Idempotency>) {
    const { newRunId, claims } = this.#doors
    const { caller, purpose } = order
    const key = claimKeyOf(caller, idempotency.key)
    const found = await claims.of(key)
    if (found) return this.#claimed(found, order, idempotency)
    const own: Claim = { v: 1, run: newRunId(), purpose, body: idempotency.body }
    // What cannot be made claims no key.
    const spec = await this.#specOf(own.run, order, idempotency)
    const standing = await claims.make(key, own)
    return standing.run === own.run ? this.#create(spec) : this.#claimed(standing, order, idempotency)
  }

  /** Under a key that stands for a run already. Whoever claimed it may have died before it made the run, or be about to. */
  async #claimed(claim: Claim, order: Order, idempotency: NonNullable<Idempotency>) {
    if (claim.purpose !== order.purpose || !equalBytes(claim.body, idempotency.body)) throw keyReused()
    await this.#doors.runner.hear(claim.run)
    const run = this.#doors.runner.run(claim.run)
    if (run) return { run, replayed: true }
    return this.#create(await this.#specOf(claim.run, order, idempotency))
  }

  async #make(order: Order) {
    return this.#create(await this.#specOf(this.#doors.newRunId(), order, null))
  }

  async #specOf(id: RunId, { caller, purpose, create }: Order, idempotency: Idempotency): Promise<RunSpec> {
    this.#checkRoom(caller)
    const spec = await create(id, idempotency)
    if (spec.ok) return spec.value
    const errors = spec.where ? [spec.where] : []
    const title = purpose === 'ask' ? 'This question cannot be asked' : 'This run cannot be launched'
    throw new Problem(422, 'invalid_run', title, spec.detail ?? spec.refusal, { errors })
  }

  /** Before anything is made: the runs that are under way go on. A federation leaves room for the others. */
  #checkRoom({ federation }: Caller): void {
    const { runner, bounds, isOverloaded } = this.#doors
    if (isOverloaded()) throw later(503, 'overload', 'the coordinator has more to do than it can: its runs go on')
    const unfinished = runner.runs().filter(({ phase }) => phase !== 'ended')
    const own = unfinished.filter(({ spec }) => spec.federation === federation)
    const tooMany = (runs: number, most: number) =>
      later(429, 'too_many_runs', `${runs} runs have not ended, at most ${most}`, { seconds: 60 })
    if (unfinished.length >= bounds.unfinishedRuns) throw tooMany(unfinished.length, bounds.unfinishedRuns)
    const share = shareOf(bounds.unfinishedRuns)
    if (federation !== null && own.length >= share) throw tooMany(own.length, share)
  }

  async #create(spec: RunSpec): Promise<{ readonly run: Run; readonly replayed: boolean }> {
    const { runner } = this.#doors
    const made = await runner.create(spec)
    if (made.ok) return { run: made.value, replayed: false }
    // Of two that make a claimed run at once, one was first: to the other it is a repeat.
    const run = runner.run(spec.run)
    if (run && spec.idempotency) return { run, replayed: true }
    throw new Problem(409, made.refusal, 'The run exists', made.detail ?? made.refusal)
  }
}

/** One caller's key is not another's. The root's are as they were before there were others: logs are full of them. */
function claimKeyOf({ id }: Caller, key: string): string {
  return id === ROOT.id ? key : `${id}\0${key}`
}

const REPEATABLE = 'it may still be launched: send it again under the same Idempotency-Key, which launches it once'
const UNREPEATABLE =
  'it may still be launched: look at the list before you send it again, or send an Idempotency-Key next time'
