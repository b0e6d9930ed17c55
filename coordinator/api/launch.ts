import type { FastifyReply, FastifyRequest } from 'fastify'
import type { z } from 'zod'
import { equalBytes } from '#protocol/bytes.ts'
import type { Bytes, RunId } from '#protocol/ids.ts'
import type { Result } from '#protocol/result.ts'
import type { Claim } from '../claims.ts'
import type { CreateRefusal } from '../create.ts'
import type { Run } from '../run.ts'
import type { RunSpec } from '../run-spec.ts'
import { type Caller, ROOT } from './caller.ts'
import { bodyDigest, type idempotencyHeaders, keyReused, markReplayed } from './idempotency.ts'
import { inTime, later, Problem } from './problems.ts'
import type { ApiDoors } from './server.ts'

type Idempotency = { readonly key: string; readonly body: Bytes } | null
/** Makes what a request asks for, or says what is wrong with it. */
type Create = (id: RunId, idempotency: Idempotency) => Promise<Result<RunSpec> & { readonly where?: CreateRefusal }>
type Request = Pick<FastifyRequest, 'body'> & {
  readonly headers: z.output<typeof idempotencyHeaders>
  readonly caller: Caller
}
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
    const made = idempotency ? this.#once(caller, purpose, idempotency, create) : this.#make(purpose, null, create)
    const { run, replayed } = await inTime(this.#doors.clock, made, key ? REPEATABLE : UNREPEATABLE)
    if (replayed) markReplayed(reply)
    void reply.code(replayed ? 200 : 201)
    return run
  }

  async #once(caller: Caller, purpose: RunSpec['purpose'], idempotency: NonNullable<Idempotency>, create: Create) {
    const { newRunId, claims } = this.#doors
    const { body } = idempotency
    const key = claimKeyOf(caller, idempotency.key)
    const found = await claims.of(key)
    if (found) return this.#claimed(found, purpose, idempotency, create)
    const own: Claim = { v: 1, run: newRunId(), purpose, body }
    // What cannot be made claims no key.
    const spec = await this.#specOf(own.run, purpose, idempotency, create)
    const standing = await claims.make(key, own)
    return standing.run === own.run ? this.#create(spec) : this.#claimed(standing, purpose, idempotency, create)
  }

  /** Under a key that stands for a run already. Whoever claimed it may have died before it made the run, or be about to. */
  async #claimed(claim: Claim, purpose: RunSpec['purpose'], idempotency: NonNullable<Idempotency>, create: Create) {
    if (claim.purpose !== purpose || !equalBytes(claim.body, idempotency.body)) throw keyReused()
    await this.#doors.runner.hear(claim.run)
    const run = this.#doors.runner.run(claim.run)
    if (run) return { run, replayed: true }
    return this.#create(await this.#specOf(claim.run, purpose, idempotency, create))
  }

  async #make(purpose: RunSpec['purpose'], idempotency: Idempotency, create: Create) {
    return this.#create(await this.#specOf(this.#doors.newRunId(), purpose, idempotency, create))
  }

  async #specOf(id: RunId, purpose: RunSpec['purpose'], idempotency: Idempotency, create: Create): Promise<RunSpec> {
    this.#checkRoom()
    const spec = await create(id, idempotency)
    if (spec.ok) return spec.value
    const errors = spec.where ? [spec.where] : []
    const title = purpose === 'ask' ? 'This question cannot be asked' : 'This run cannot be launched'
    throw new Problem(422, 'invalid_run', title, spec.detail ?? spec.refusal, { errors })
  }

  /** Before anything is made: the runs that are under way go on. */
  #checkRoom(): void {
    const { runner, bounds, isOverloaded } = this.#doors
    if (isOverloaded()) throw later(503, 'overload', 'the coordinator has more to do than it can: its runs go on')
    const unfinished = runner.runs().filter(({ phase }) => phase !== 'ended').length
    if (unfinished >= bounds.unfinishedRuns)
      throw later(429, 'too_many_runs', `${unfinished} runs have not ended, at most ${bounds.unfinishedRuns}`, {
        seconds: 60,
      })
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
