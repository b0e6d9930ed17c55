/** How numbers, times and ids read. */
const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })
const fine = new Intl.NumberFormat('en', { minimumFractionDigits: 4, maximumFractionDigits: 4 })
const rough = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 })
const clock = new Intl.DateTimeFormat('en-GB', {
  ...({ hour: '2-digit', minute: '2-digit', second: '2-digit', timeZoneName: 'short' } as const),
})
const calendar = new Intl.DateTimeFormat('en-GB', {
  ...({ day: '2-digit', month: 'short', hour: '2-digit', minute: '2-digit', timeZoneName: 'short' } as const),
})

const almanac = new Intl.DateTimeFormat('en-GB', {
  ...({ day: '2-digit', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit' } as const),
  timeZoneName: 'short',
})

export function formatCount(value: number): string {
  return whole.format(value)
}

/** A loss, an accuracy, a figure. */
export function formatFigure(value: number | null | undefined): string {
  return value === null || value === undefined ? '—' : fine.format(value)
}

export function formatMillis(millis: number): string {
  if (millis < 1000) return `${whole.format(millis)} ms`
  if (millis < 60_000) return `${rough.format(millis / 1000)} s`
  const minutes = Math.floor(millis / 60_000)
  if (minutes >= 60) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`
  return `${minutes} min ${Math.round((millis % 60_000) / 1000)} s`
}

export function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`
  if (bytes < 1024 ** 2) return `${rough.format(bytes / 1024)} KiB`
  return bytes < 1024 ** 3 ? `${rough.format(bytes / 1024 ** 2)} MiB` : `${rough.format(bytes / 1024 ** 3)} GiB`
}

/** @param amount micro-credits, as the API tells them: a decimal text, never a float */
export function formatCredits(amount: string | bigint): string {
  const micro = BigInt(amount)
  const fraction = (micro % 1_000_000n).toString().padStart(6, '0')
  return `${whole.format(micro / 1_000_000n)}.${fraction}`
}

/** @param at milliseconds, or RFC 3339 */
export function formatClock(at: number | string): string {
  return clock.format(new Date(at))
}

export function formatDay(at: number | string): string {
  const date = new Date(at)
  return (date.getFullYear() === new Date().getFullYear() ? calendar : almanac).format(date)
}

/** A day as a field of dates has it, in UTC. */
export function inDays(days: number): string {
  return new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10)
}

/** @param day as a field of dates has it @returns null where it is empty */
export function endOf(day: string): string | null {
  return day === '' ? null : `${day}T23:59:59Z`
}

/** The end of an id or CID tells it from others; its start is what all have in common. */
export function shortId(id: string): string {
  return id.length > 16 ? `${id.slice(0, 8)}…${id.slice(-6)}` : id
}
