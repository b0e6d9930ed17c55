import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { sha256 } from '#crypto'
import { utf8 } from '#protocol/bytes.ts'
import type { Once } from '../once.ts'
import type { Caller } from './caller.ts'
import { Problem } from './problems.ts'

export const idempotencyHeaders = z.object({ 'idempotency-key': z.string().min(1).max(255).optional() })

type Keyed = Pick<FastifyRequest, 'body' | 'method' | 'url'> & {
  readonly headers: z.output<typeof idempotencyHeaders>
  readonly caller: Caller
}

/** What stands for this request in the entry that it causes. Another caller's key, or the same one elsewhere, is another key. */
export function onceOf({ headers, body, caller, method, url }: Keyed): Once | null {
  const key = headers['idempotency-key']
  if (key === undefined) return null
  const path = url.split('?')[0]
  return { key: sha256(utf8(JSON.stringify([caller.id, method, path, key]))), body: bodyDigest(body) }
}

/**
 * What spends has a key, so that a request that is sent again, since nobody heard its answer, spends nothing more.
 *
 * @param budget micro-credits, as a decimal text
 * @throws {Problem} 400 where there is none, and money would move
 */
export function checkSpending({ headers }: Pick<Keyed, 'headers'>, budget: string): void {
  if (budget === '0' || headers['idempotency-key'] !== undefined) return
  const what = 'send an Idempotency-Key that you make up, such as a UUID, and the same one when you send this again'
  throw new Problem(400, 'idempotency_key_needed', 'A repeat of this would spend its budget again', what)
}

/** Of the body as it was understood: spaces and the order of what is optional make no other request. */
export function bodyDigest(body: unknown): Once['body'] {
  return sha256(utf8(JSON.stringify(body ?? null)))
}

export function keyReused(): Problem {
  const what = 'use a new Idempotency-Key, or send the first request again'
  return new Problem(422, 'idempotency_key_reused', 'This key was used for another request', what)
}

export function markReplayed(reply: FastifyReply): void {
  void reply.header('idempotent-replayed', 'true')
}

/** Whether the answer tells of something that was done before. */
export function isReplayed(reply: FastifyReply): boolean {
  return reply.getHeader('idempotent-replayed') === 'true'
}
