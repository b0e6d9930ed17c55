import { type RunProgress, roundsIn } from '../run-progress.ts'
import { bar } from './bar.ts'
import { figureIn, tableHead, tableRow } from './table.ts'

/** What one node process does, as far as its own words tell. */
export type SiteState = {
  readonly name: string
  readonly doing: 'starting' | 'waiting' | 'joined' | 'training' | 'reported' | 'gone'
  /** Epochs done of how many, and the last one's loss; while training. */
  readonly epoch?: number
  readonly epochs?: number
  readonly loss?: number | null
  /** Why it is gone. */
  readonly reason?: string
}

export type Look = { readonly columns: number; readonly rows: number; readonly unicode: boolean }

/**
 * The block that is drawn over itself: the rounds that are over, the open one, each site. No line is wider than the
 * terminal, and there are fewer of them than it has, or the first would be out of reach: the oldest rounds go first.
 */
export function boardLines(progress: RunProgress, sites: readonly SiteState[], look: Look): readonly string[] {
  const ellipsis = look.unicode ? '…' : '..'
  const now = [...headLines(progress, look), ...sites.map((site) => siteLine(site, look))]
  const room = Math.max(0, look.rows - now.length - 3)
  const figure = figureIn(progress.past)
  const rounds = progress.past.slice(-room || progress.past.length).map((past) => tableRow(past, ellipsis, figure))
  const table = rounds.length > 0 && room > 0 ? [tableHead(figure), ...rounds, ''] : []
  return [...table, ...now].slice(0, look.rows - 1).map((line) => shorten(line, look.columns, ellipsis))
}

function headLines({ rounds, open, past, end }: RunProgress, look: Look): readonly string[] {
  if (end || rounds === 0) return []
  const all = roundsIn({ rounds, past })
  const closed = past.length - (all - rounds)
  const done = closed + (open && open.purpose === 'train' ? share(open.reported, open.invited) : 0)
  const percent = Math.floor((100 * done) / rounds)
  const meter = bar(done / rounds, Math.min(24, Math.floor(look.columns / 4)), look.unicode)
  if (!open) return [`round ${Math.min(past.length + 1, all)}/${all}  ${meter} ${percent} %  closing`]
  if (open.purpose === 'ask') return [`asked       ${open.reported}/${open.joined} sites counted`]
  if (open.purpose === 'evaluate') return [`final test  ${meter} ${open.reported}/${open.joined} sites`]
  const counts =
    open.reported > 0 ? `${open.reported}/${open.joined} reported` : `${open.joined}/${open.invited} joined`
  return [`round ${open.round}/${all}  ${meter} ${percent} %  ${counts}`]
}

function siteLine({ name, doing, epoch, epochs, loss, reason }: SiteState, look: Look): string {
  const head = `  ${name.padEnd(10)}`
  if (doing !== 'training') return `${head} ${doing}${reason ? `: ${reason}` : ''}`
  const meter = bar(share(epoch ?? 0, epochs ?? 0), 10, look.unicode)
  const tail =
    epochs === undefined
      ? ''
      : `  epoch ${epoch}/${epochs}${typeof loss === 'number' ? `  loss ${loss.toFixed(4)}` : ''}`
  return `${head} training ${meter}${tail}`
}

function share(part: number, whole: number): number {
  return whole > 0 ? Math.min(1, part / whole) : 0
}

function shorten(line: string, columns: number, ellipsis: string): string {
  return line.length <= columns ? line : line.slice(0, columns - ellipsis.length) + ellipsis
}
