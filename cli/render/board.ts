import type { Purpose } from '#protocol/plan.ts'
import type { WORK } from '#protocol/work.ts'
import { etaMillis, type RunProgress, roundsIn } from '../run-progress.ts'
import { bar } from './bar.ts'
import { curveLines } from './curve.ts'
import { figureIn, tableHead, tableRow } from './table.ts'
import { formatDuration, formatSeconds } from './units.ts'
import { shorten, widthOf } from './width.ts'

/** What one node does: by its own words where it is a process of ours, else by the run's events. */
export type SiteState = {
  readonly name: string
  readonly doing: 'starting' | 'waiting' | 'joined' | (typeof WORK)[Purpose] | 'reported' | 'gone'
  readonly operator?: string
  /** Epochs done of how many, and the last one's loss; while training. */
  readonly epoch?: number
  readonly epochs?: number
  readonly loss?: number | null
  /** Once it has reported. */
  readonly trainMillis?: number
  /** Why it is gone. */
  readonly reason?: string
}

export type Look = {
  readonly columns: number
  readonly rows: number
  readonly unicode: boolean
  /** For what is left of the run; by our clock. */
  readonly now: number
}

/** Lines of each of the two curves; below so many columns there is room for one. */
const CURVE_LINES = 3
const TWO_CURVES_COLUMNS = 76
const CURVE_COLUMNS_MAX = 100

/**
 * The block that is drawn over itself: the rounds that are over, the open one, each site. No line is wider than the
 * terminal, and there are fewer of them than it has, or the first would be out of reach: of the sites some are only counted
 * then, then the curves go, then the oldest rounds.
 * @param foot what the keys do, or a question
 */
export function boardLines(
  progress: RunProgress,
  sites: readonly SiteState[],
  look: Look,
  foot: readonly string[] = [],
): readonly string[] {
  const ellipsis = look.unicode ? '…' : '..'
  const head = headLines(progress, look)
  const most = look.rows - 1 - head.length - foot.length
  const now = [...head, ...siteLines(sites, most, look)]
  const drawn = curvesOf(progress, look)
  const curves = drawn.length > 0 && now.length + foot.length + drawn.length + 5 <= look.rows ? ['', ...drawn] : []
  const room = Math.max(0, look.rows - now.length - curves.length - foot.length - 3)
  const figure = figureIn(progress.past)
  const rounds = progress.past.slice(-room || progress.past.length).map((past) => tableRow(past, ellipsis, figure))
  const table = rounds.length > 0 && room > 0 ? [tableHead(figure), ...rounds, ''] : []
  const lines = [...table, ...now, ...curves].slice(0, look.rows - 1 - foot.length)
  return [...lines, ...foot].map((line) => shorten(line, look.columns, ellipsis))
}

function headLines(progress: RunProgress, look: Look): readonly string[] {
  const { rounds, open, past, end } = progress
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
  const left = etaMillis(progress, look.now)
  const eta = left === undefined ? '' : `  eta ${formatDuration(left)}`
  return [`round ${open.round}/${all}  ${meter} ${percent} %  ${counts}${eta}`, ...phasesLine(open, look.now)]
}

/** How long each phase of the open round has taken; the last is under way. */
function phasesLine({ phases }: NonNullable<RunProgress['open']>, now: number): readonly string[] {
  if (phases.length === 0) return []
  const each = phases.map(({ name, sinceMillis }, index) => {
    const until = phases[index + 1]?.sinceMillis ?? Math.max(now, sinceMillis)
    return `${name} ${formatSeconds(until - sinceMillis)}`
  })
  return [`  ${each.join('  ')}`]
}

/** As many as there is room for; of the others how many do what. */
function siteLines(sites: readonly SiteState[], most: number, look: Look): readonly string[] {
  const lines = sites.map((site) => siteLine(site, look))
  // An id is shown whole or not at all.
  const isWhole = sites.every(({ name }) => widthOf(name) + 12 <= look.columns)
  const shown = isWhole ? (lines.length <= Math.max(most, 0) ? lines.length : Math.max(0, most - 1)) : 0
  if (shown === lines.length) return lines
  const rest = new Map<string, number>()
  for (const { doing } of sites.slice(shown)) rest.set(doing, (rest.get(doing) ?? 0) + 1)
  const told = [...rest].map(([doing, count]) => `${count} ${doing}`).join(', ')
  return [...lines.slice(0, shown), `  (${shown > 0 ? 'and ' : ''}${told})`]
}

function siteLine({ name, doing, operator, epoch, epochs, loss, trainMillis, reason }: SiteState, look: Look): string {
  const head = `  ${name.padEnd(10)}`
  const trained = trainMillis === undefined ? '' : ` in ${formatSeconds(trainMillis)}`
  const whose = operator === undefined ? '' : `  ${operator}`
  if (doing !== 'training') return `${head} ${doing}${trained}${reason ? `: ${reason}` : ''}${whose}`
  const meter = bar(share(epoch ?? 0, epochs ?? 0), 10, look.unicode)
  const tail =
    epochs === undefined
      ? ''
      : `  epoch ${epoch}/${epochs}${typeof loss === 'number' ? `  loss ${loss.toFixed(4)}` : ''}`
  return `${head} training ${meter}${tail}${whose}`
}

/** Of the loss and of what the run is judged by, side by side where there is room. */
export function curvesOf(
  { past }: Pick<RunProgress, 'past'>,
  { columns, unicode, lines = CURVE_LINES }: Pick<Look, 'columns' | 'unicode'> & { readonly lines?: number },
): readonly string[] {
  const figure = figureIn(past)
  const metric = past.map(({ evaluation }) =>
    figure === undefined ? evaluation?.accuracy : evaluation?.figures?.find(({ name }) => name === figure)?.value,
  )
  const loss = past.map(({ evaluation }) => evaluation?.loss)
  const wide = Math.min(columns, CURVE_COLUMNS_MAX)
  const width = wide < TWO_CURVES_COLUMNS ? wide : Math.floor((wide - 3) / 2)
  const size = { columns: width, lines, unicode }
  const one = curveLines({ name: figure ?? 'accuracy', values: metric.map((value) => value ?? undefined) }, size)
  // Of numbers there may be no other than the loss.
  if (wide < TWO_CURVES_COLUMNS && one.length > 0) return one
  const other = curveLines({ name: 'loss', values: loss }, size)
  return one.length === 0 ? other : one.map((line, index) => `${line.padEnd(width)}   ${other[index] ?? ''}`.trimEnd())
}

function share(part: number, whole: number): number {
  return whole > 0 ? Math.min(1, part / whole) : 0
}
