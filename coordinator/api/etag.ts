import type { FastifyReply, FastifyRequest } from 'fastify'
import { sha256 } from '#crypto'
import { toHex, utf8 } from '#protocol/bytes.ts'
import { Problem } from './problems.ts'

/** Of what a GET answers: it changes when, and only when, something in the answer does. */
function etagOf(view: object): string {
  return `"${toHex(sha256(utf8(JSON.stringify(view))).subarray(0, 16))}"`
}

/** Answers with its tag, or that nothing has changed since the reader had it. */
export function tagged<V extends object>(request: FastifyRequest, reply: FastifyReply, view: V): V | undefined {
  const tag = etagOf(view)
  void reply.header('etag', tag)
  // A weak tag of a proxy's is as good as ours here: RFC 9110 compares weakly for If-None-Match.
  const known = tagsIn(request.headers['if-none-match'])?.map((one) => one.replace(/^W\//, ''))
  if (!known?.some((one) => one === '*' || one === tag)) return view
  void reply.code(304).send()
  return undefined
}

/**
 * Whether a change may be made to what stands, for whoever judges in the turn in which it is made: checked before, two who
 * have read the same thing could both change it.
 */
export function ifMatch(request: FastifyRequest): (view: object) => boolean {
  const tags = tagsIn(request.headers['if-match'])
  return (view) => !tags || tags.includes('*') || tags.includes(etagOf(view))
}

export function preconditionFailed(): Problem {
  const what = 'it has changed since: read it again, and send its new ETag as If-Match'
  return new Problem(412, 'precondition_failed', 'It is not what you have read', what)
}

function tagsIn(header: string | undefined): readonly string[] | undefined {
  return header?.split(',').map((tag) => tag.trim())
}
