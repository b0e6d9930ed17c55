import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { sha256 } from '#crypto'
import { equalBytes, utf8 } from '#protocol/bytes.ts'
import type { Bytes, RunId } from '#protocol/ids.ts'
import type { Result } from '#protocol/result.ts'
import type { CreateRefusal } from '../create.ts'
import type { Run, RunSpec } from '../run.ts'
import { Problem } from './problems.ts'
import type { ApiDoors } from './server.ts'

export const idempotencyHeaders = z.object({ 'idempotency-key': z.string().min(1).max(255).optional() })

type Idempotency = { readonly key: string; readonly body: Bytes } | null
/** Makes what a request asks for, or says what is wrong with it. */
type Create = (id: RunId, idempotency: Idempotency) => Promise<Result<RunSpec> & { readonly where?: CreateRefusal }>
type Request = Pick<FastifyRequest, 'body'> & { readonly headers: z.output<typeof idempotencyHeaders> }

/** Launches runs of any purpose: one after another, so that two requests under one key cannot both find it unused. */
export class Launcher {
  readonly #doors: Pick<ApiDoors, 'runner' | 'newRunId'>
  #last: Promise<unknown> = Promise.resolve()

  constructor(doors: Pick<ApiDoors, 'runner' | 'newRunId'>) {
    this.#doors = doors
  }

  /** @returns the run, with status and headers set: a repeat under its key answers the first one */
  async launch(
    { headers, body }: Request,
    purpose: RunSpec['purpose'],
    reply: FastifyReply,
    create: Create,
  ): Promise<Run> {
    const key = headers['idempotency-key']
    const idempotency = key === undefined ? null : { key, body: sha256(utf8(JSON.stringify(body))) }
    const made = this.#last.then(() => this.#once(purpose, idempotency, create))
    this.#last = made.catch(() => undefined)
    const { run, replayed } = await made
    if (replayed) void reply.header('idempotent-replayed', 'true')
    void reply.code(replayed ? 200 : 201)
    return run
  }

  async #once(purpose: RunSpec['purpose'], idempotency: Idempotency, create: Create) {
    const { runner, newRunId } = this.#doors
    const before = idempotency && runner.runs().find((run) => run.spec.idempotency?.key === idempotency.key)
    if (before) {
      const { idempotency: first, purpose: was } = before.spec
      if (was === purpose && first && equalBytes(first.body, idempotency.body)) return { run: before, replayed: true }
      throw new Problem(
        422,
        'idempotency_key_reused',
        'This key was used for another request',
        'use a new Idempotency-Key, or send the first request again',
      )
    }
    const spec = await create(newRunId(), idempotency)
    if (!spec.ok) {
      const errors = spec.where ? [spec.where] : []
      const title = purpose === 'ask' ? 'This question cannot be asked' : 'This run cannot be launched'
      throw new Problem(422, 'invalid_run', title, spec.detail ?? spec.refusal, { errors })
    }
    const run = await runner.create(spec.value)
    if (!run.ok) throw new Problem(409, run.refusal, 'The run exists', run.detail ?? run.refusal)
    return { run: run.value, replayed: false }
  }
}
