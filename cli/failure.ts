/** Why a command ended without doing its work, for a person who has to do something about it. */
export class Failure extends Error {
  override name = 'Failure'
  readonly exit: number
  readonly code: string
  /** What to do now. */
  readonly fix: string | undefined
  /** Label and text, shown between the first line and the fix. */
  readonly lines: readonly (readonly [label: string, text: string])[]
  /** What the API answered, when it was the API that refused. */
  readonly problem: object | undefined

  constructor(
    exit: number,
    code: string,
    what: string,
    more: {
      readonly fix?: string | undefined
      readonly lines?: readonly (readonly [label: string, text: string])[]
      readonly problem?: object
      readonly cause?: unknown
    } = {},
  ) {
    super(what, more.cause === undefined ? {} : { cause: more.cause })
    this.exit = exit
    this.code = code
    this.fix = more.fix
    this.lines = more.lines ?? []
    this.problem = more.problem
  }
}

/** Exit codes: part of the interface, stable. */
export const EXIT = {
  ok: 0,
  /** Of bundles diff, as of diff and cmp. */
  differ: 1,
  unexpected: 1,
  usage: 2,
  denied: 3,
  notFound: 4,
  conflict: 5,
  policyDenied: 6,
  runFailed: 7,
  unverified: 8,
  budget: 9,
  network: 10,
  data: 11,
  version: 12,
  paused: 13,
  stopped: 14,
  interrupted: 130,
  terminated: 143,
} as const

/** The block for a person: what happened, what is known about it, what to do. */
export function failureLines(failure: Failure): readonly string[] {
  const rows = [...failure.lines, ...(failure.fix === undefined ? [] : [['fix', failure.fix] as const])]
  return [
    `error  ${failure.code}  ${failure.message}  (exit ${failure.exit})`,
    ...rows.map(([label, text]) => `  ${label.padEnd(8)} ${text}`),
  ]
}

/** The object for a program, in the shape of RFC 9457; `status` is there when an API answered it, which then says all of it. */
export function failureProblem(failure: Failure): object {
  const { code, exit, fix, message, problem } = failure
  const lines = failure.lines.map(([label, text]) => ({ label, text }))
  return {
    type: `urn:consilium:problem:${code}`,
    title: code.replaceAll('_', ' '),
    detail: message,
    ...(problem ?? (lines.length > 0 && { lines })),
    code,
    exit,
    retryable: exit === EXIT.network,
    fix: fix ?? null,
  }
}
