import { type Arguments, usage } from './arguments.ts'

const UNITS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/**
 * What `--since` says, in milliseconds; undefined where it was not given.
 *
 * @param now by our clock, for one that counts back
 */
export function sinceOf(args: Arguments, now: number): number | undefined {
  const text = args.text('since')
  if (text === undefined) return undefined
  const [, count, unit = ''] = /^(\d{1,6})([smhd])$/.exec(text) ?? []
  const at = count === undefined ? Date.parse(text) : now - Number(count) * (UNITS[unit] as number)
  if (!Number.isNaN(at)) return at
  throw usage(
    'bad_value',
    `--since is a time or a duration, not ${text}`,
    '--since 10m, or --since 2026-11-22T09:00:00Z',
  )
}
