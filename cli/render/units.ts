/** Figures for a person. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`
  if (bytes < 1_000_000) return `${(bytes / 1000).toFixed(1)} KB`
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`
}

/** Under a tenth of a second in milliseconds. */
export function formatSeconds(millis: number): string {
  return millis < 100 ? `${Math.round(millis)} ms` : `${(millis / 1000).toFixed(2)} s`
}

/** What a figure is the mean of: rows where they are counted, sites where only a sum of equals is known. */
export function formatTested({ rows, sites }: { readonly rows: number | null; readonly sites: number | null }): string {
  return rows === null ? `mean of ${sites} sites, each on its own held-out rows` : `on ${rows} held-out rows`
}

/** What is left, to the second: `12 s`, `3 min 05 s`, `2 h 10 min`. */
export function formatDuration(millis: number): string {
  const seconds = Math.max(0, Math.round(millis / 1000))
  const [minutes, hours] = [Math.floor(seconds / 60), Math.floor(seconds / 3600)]
  if (minutes === 0) return `${seconds} s`
  const two = (value: number) => String(value % 60).padStart(2, '0')
  return hours === 0 ? `${minutes} min ${two(seconds)} s` : `${hours} h ${two(minutes)} min`
}
