import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod'
import type { Millis } from '#protocol/ids.ts'
import { type Clock, StorageFull } from '#protocol/ports.ts'
import { within } from '../pause.ts'

/** RFC 9457 problem details: one shape for every error of the API. */
export class Problem extends Error {
  override name = 'Problem'
  readonly status: number
  readonly code: string
  readonly title: string
  readonly errors: readonly { pointer: string; message: string }[] | undefined
  readonly headers: Readonly<Record<string, string>>

  constructor(
    status: number,
    code: string,
    title: string,
    detail: string,
    more: { errors?: readonly { pointer: string; message: string }[]; headers?: Record<string, string> } = {},
  ) {
    super(detail)
    this.status = status
    this.code = code
    this.title = title
    this.errors = more.errors
    this.headers = more.headers ?? {}
  }
}

export function notFound(what: string, id: string): Problem {
  return new Problem(404, 'not_found', 'Not found', `there is no ${what} ${id}`)
}

/** What the processes share may be away for long; a request is not kept waiting for it. */
const AWAY_MILLIS: Millis = 5000

/** @param what of a request that is given up here and may be done all the same */
export async function inTime<T>(clock: Clock, work: Promise<T>, what = 'try again'): Promise<T> {
  const made = await within(
    clock,
    AWAY_MILLIS,
    work.then((value) => ({ value })),
  )
  if (made) return made.value
  throw new Problem(503, 'log_away', 'The log does not answer', what, { headers: { 'retry-after': '5' } })
}

/** Not now: when to come again is part of the answer. */
export function later(
  status: 408 | 429 | 503,
  code: string,
  detail: string,
  { seconds = 5, closes = false }: { readonly seconds?: number; readonly closes?: boolean } = {},
): Problem {
  const headers = { 'retry-after': String(seconds), ...(closes && { connection: 'close' }) }
  return new Problem(status, code, 'Not now', detail, { headers })
}

/** What a schema finds wrong; where it is several in one, what each of them does. */
type Issue = {
  readonly code?: string
  readonly message: string
  readonly path: readonly PropertyKey[]
  readonly keys?: readonly string[]
  readonly errors?: readonly Branch[] | undefined
}
type Branch = readonly Issue[]

/** Of several shapes the one is meant that knows most of the fields, and then the one with the fewest mistakes. */
function mistakesIn(
  { message, path, errors }: Issue,
  at: string,
): readonly { readonly pointer: string; readonly message: string }[] {
  const pointer = [at === '/' ? '' : at, ...path.map(String)].join('/')
  const [meant] = (errors ?? []).toSorted((a, b) => strangersIn(a) - strangersIn(b) || a.length - b.length)
  return meant ? meant.flatMap((issue) => mistakesIn(issue, pointer)) : [{ pointer: pointer || '/', message }]
}

function strangersIn(branch: Branch): number {
  return branch.reduce((sum, { path, keys = [] }) => sum + (path.length === 0 ? keys.length : 0), 0)
}

/** Whatever was thrown, as an answer. Faults of ours say nothing of their inside; the log has it under the request id. */
export function answerProblem(cause: FastifyError | Problem, request: FastifyRequest, reply: FastifyReply): void {
  const problem = problemOf(cause)
  if (problem.status >= 500 && !problem.headers['retry-after']) request.log.error(cause)
  void reply
    .code(problem.status)
    .headers(problem.headers)
    .type('application/problem+json')
    .send(
      JSON.stringify({
        ...problemBody({
          ...{ status: problem.status, code: problem.code, title: problem.title, detail: problem.message },
          ...{ instance: request.url, request: request.id },
        }),
        ...(problem.errors ? { errors: problem.errors } : {}),
      }),
    )
}

/** The members that every problem has. */
export function problemBody({ status, code, title, detail, instance, request }: Told): object {
  return {
    ...{ type: `urn:consilium:problem:${code}`, title, status, detail, instance: instance.slice(0, 500), code },
    ...{ request_id: request, retryable: status === 408 || status === 429 || status >= 500 },
  }
}

type Told = Pick<Problem, 'status' | 'code' | 'title'> & {
  readonly detail: string
  readonly instance: string
  readonly request: string
}

export function problemOf(cause: FastifyError | Problem): Problem {
  if (cause instanceof Problem) return cause
  if (cause instanceof StorageFull)
    return new Problem(
      507,
      'storage_full',
      'The coordinator has no room left',
      'free disk, raise --quota or give Redis more room, then try again',
      {
        headers: { 'retry-after': '60' },
      },
    )
  if (hasZodFastifySchemaValidationErrors(cause)) {
    const errors = cause.validation.flatMap(({ instancePath, message = 'is not valid', params }) =>
      mistakesIn({ message, path: [], errors: (params as { errors?: readonly Branch[] }).errors }, instancePath),
    )
    return new Problem(
      400,
      'invalid_request',
      'The request is not valid',
      errors.map((e) => `${e.pointer} ${e.message}`).join('; '),
      { errors },
    )
  }
  const status = cause.statusCode ?? 500
  if (status < 500) {
    const { code, detail } = UNREAD[status] ?? {
      code: 'bad_request',
      detail: 'it cannot be read: its address, or its body',
    }
    return new Problem(status, code, 'The request is not valid', detail)
  }
  return new Problem(
    500,
    'internal',
    'Something went wrong here',
    'the coordinator has logged it under this request id',
  )
}

/** What the server itself could not take, in words of ours: its own name the library, and quote the request. */
const UNREAD: Readonly<Record<number, { readonly code: string; readonly detail: string }>> = {
  413: { code: 'too_large', detail: 'the body is larger than this route takes' },
  414: { code: 'uri_too_long', detail: 'a part of the address is longer than any that there is' },
  415: { code: 'unsupported_media_type', detail: 'this route takes application/json, or no body' },
}
