import { ApiError, ConnectionError, VerificationError } from '#sdk/errors.ts'
import { EXIT, Failure } from './failure.ts'
import { trustFix } from './trust.ts'

/** Whatever was thrown, as a failure. */
export function failureOf(cause: unknown): Failure {
  if (cause instanceof Failure) return cause
  if (cause instanceof ApiError) return refused(cause)
  if (cause instanceof ConnectionError) return unreachable(cause.url, cause.cause ?? cause)
  if (cause instanceof VerificationError) return new Failure(EXIT.unexpected, 'bad_answer', cause.message, { cause })
  if (!(cause instanceof Error)) return new Failure(EXIT.unexpected, 'unexpected', String(cause))
  const { code, path } = cause as NodeJS.ErrnoException
  if (code === 'ENOENT' && path !== undefined)
    return new Failure(EXIT.notFound, 'not_found', `there is no ${path}`, { cause })
  if (code === 'EACCES' && path !== undefined)
    return new Failure(EXIT.unexpected, 'not_permitted', `${path} may not be read or written`, { cause })
  if (code === 'FOLDER_IN_USE')
    return new Failure(EXIT.unexpected, 'folder_in_use', cause.message, {
      fix: 'end that process, or give another folder as --state',
      cause,
    })
  const where = cause.stack?.split('\n')[1]?.trim()
  const lines = where === undefined ? [] : [['where', where] as const]
  return new Failure(EXIT.unexpected, 'unexpected', cause.message, { lines, cause })
}

export function unreachable(url: string, cause: unknown): Failure {
  const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause
  const why = inner instanceof Error ? inner.message || inner.name : String(inner)
  return new Failure(EXIT.network, 'unreachable', `${url} cannot be reached: ${why}`, {
    fix: trustFix(why) ?? 'is the coordinator up? consilium coordinator up; or point --coordinator elsewhere',
    cause,
  })
}

function refused({ status, code, detail, retryable, requestId, errors, problem }: ApiError): Failure {
  const lines = errors.map(({ pointer, message }) => [pointer, message] as const)
  return new Failure(EXIT_OF_CODE[code] ?? exitOf(status, retryable), code, detail, {
    lines: requestId === undefined ? lines : [...lines, ['request', requestId]],
    fix: problem ? fixOf(status, code) : status >= 500 ? IN_BETWEEN : undefined,
    ...(problem && { problem }),
  })
}

function fixOf(status: number, code: string): string | undefined {
  if (code === 'vectors_expired') return '--without-vectors takes all the rest'
  return status === 401 ? 'set CONSILIUM_API_KEY, or point --key at the file that the coordinator named' : undefined
}

/** What stands before a coordinator answers in no words of ours. */
const IN_BETWEEN = 'what stands before the coordinator says so: is a coordinator up behind it, and ready (/readyz)?'

/** What tells more than the status does. */
const EXIT_OF_CODE: Readonly<Record<string, number>> = {
  insufficient_funds: EXIT.budget,
}

function exitOf(status: number, retryable: boolean): number {
  if (retryable) return EXIT.network
  if (status === 401 || status === 403) return EXIT.denied
  if (status === 404 || status === 410) return EXIT.notFound
  if (status === 409 || status === 412) return EXIT.conflict
  return status < 500 ? EXIT.usage : EXIT.unexpected
}
