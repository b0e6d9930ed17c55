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
