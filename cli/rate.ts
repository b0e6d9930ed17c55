/**
 * Bytes a second of a rate as people write it: `4Mbit/s`, `512KiB/s`, `1.5MB/s`. Undefined for anything else: `4Mb/s` may mean
 * either, and a factor of eight is not guessed.
 */
export function bytesPerSecondOf(text: string): number | undefined {
  const [, amount = '', unit = ''] = /^(\d{1,9}(?:\.\d{1,6})?) ?([a-zA-Z]+)\/s$/.exec(text) ?? []
  const bytes = BYTES.get(unit)
  return bytes === undefined ? undefined : Number(amount) * bytes
}

const BYTES: ReadonlyMap<string, number> = new Map([
  ...([
    ['bit', 1 / 8],
    ['kbit', 125],
    ['Mbit', 125_000],
    ['Gbit', 125_000_000],
  ] as const),
  ...([
    ['B', 1],
    ['kB', 1000],
    ['MB', 1e6],
    ['GB', 1e9],
  ] as const),
  ...([
    ['KiB', 2 ** 10],
    ['MiB', 2 ** 20],
    ['GiB', 2 ** 30],
  ] as const),
])
