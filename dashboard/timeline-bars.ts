import type { RoundTrace, SiteTrace } from './history.ts'

/** Milliseconds since the round opened. */
type Since = number

export type BarKind =
  | 'invited'
  | 'joined'
  | 'fetch'
  | 'train'
  | 'test'
  | 'count'
  | 'unmask'
  | 'select'
  | 'collect'
  | 'aggregate'
  | 'settle'
export type Bar = { readonly kind: BarKind; readonly from: Since; readonly to: Since }
export type Row = {
  /** Null for the coordinator. */
  readonly site: SiteTrace | null
  readonly bars: readonly Bar[]
  /** What everything else waited for. */
  readonly critical: boolean
  readonly gone: { readonly at: Since; readonly reason: string | null } | null
}
export type Timeline = { readonly rows: readonly Row[]; readonly spanMillis: number }

/**
 * A round as bars: a row for each site, the coordinator's last. Of a site's work the log knows how long it took, by the site's own
 * clock, and when its report came: the bar ends there, so it is never drawn too late.
 * @param now by the coordinator's clock, for a round that is open
 */
export function timelineOf(round: RoundTrace, now: number): Timeline {
  const since = (at: number) => Math.max(0, at - round.openedAt)
  const end = since(round.endedAt ?? Math.max(now, lastOf(round)))
  const sites = [...round.sites.values()]
  const reports = sites.flatMap(({ reportedAt }) => (reportedAt === null ? [] : [reportedAt]))
  const lastReport = reports.length > 0 ? Math.max(...reports) : null
  const rows = sites.map((site) => siteRow(site, round, { since, end, lastReport }))
  return {
    rows: [...rows.toSorted(byReport), coordinatorRow(round, { since, end, lastReport })],
    spanMillis: Math.max(1, end),
  }
}

/** What sites do in a round, by its purpose. */
const WORK: Readonly<Record<string, BarKind>> = { train: 'train', evaluate: 'test', ask: 'count' }

type Scale = { readonly since: (at: number) => Since; readonly end: Since; readonly lastReport: number | null }

function siteRow(site: SiteTrace, round: RoundTrace, { since, end, lastReport }: Scale): Row {
  const { joinedAt, reportedAt, trainMillis, leftAt, unmaskedAt } = site
  const until = leftAt === null ? end : since(leftAt)
  const joined = joinedAt === null ? until : since(joinedAt)
  const seated = round.seatedAt === null ? until : Math.max(joined, since(round.seatedAt))
  const bars: Bar[] = [{ kind: 'invited', from: 0, to: joined }]
  if (joinedAt !== null) bars.push({ kind: 'joined', from: joined, to: Math.min(seated, until) })
  if (joinedAt !== null && round.seatedAt !== null) {
    const reported = reportedAt === null ? until : since(reportedAt)
    const began = reportedAt === null ? reported : Math.max(seated, reported - (trainMillis ?? 0))
    bars.push({ kind: 'fetch', from: seated, to: began })
    if (reportedAt !== null) bars.push({ kind: WORK[round.purpose] ?? 'train', from: began, to: reported })
    if (reportedAt !== null && unmaskedAt !== null)
      bars.push({ kind: 'unmask', from: since(lastReport ?? reportedAt), to: since(unmaskedAt) })
  }
  return {
    site,
    bars: within(bars, end),
    critical: reportedAt !== null && reportedAt === lastReport,
    gone: leftAt === null ? null : { at: since(leftAt), reason: site.reason },
  }
}

/** Of a round that came to nothing the last thing begun lasts to its end. */
function coordinatorRow(round: RoundTrace, { since, end, lastReport }: Scale): Row {
  const isAwaiting = round.aggregatedAt === null && (round.outcome === 'aborted' || round.reports < round.cohort)
  const seated = round.seatedAt === null ? end : since(round.seatedAt)
  const collected = isAwaiting ? end : Math.max(seated, since(lastReport ?? round.openedAt))
  const answers = [...round.sites.values()].flatMap(({ unmaskedAt }) =>
    unmaskedAt === null ? [] : [since(unmaskedAt)],
  )
  const unmasked = Math.max(collected, ...answers)
  const aggregated = round.aggregatedAt === null ? end : since(round.aggregatedAt)
  const bars: readonly Bar[] = [
    { kind: 'select', from: 0, to: seated },
    { kind: 'collect', from: seated, to: collected },
    { kind: 'unmask', from: collected, to: unmasked },
    { kind: 'aggregate', from: unmasked, to: aggregated },
    { kind: 'settle', from: aggregated, to: end },
  ]
  return { site: null, bars: within(bars, end), critical: true, gone: null }
}

/** What lasted, as far as the round did. */
function within(bars: readonly Bar[], end: Since): readonly Bar[] {
  const cut = bars.map(({ kind, from, to }) => ({ kind, from: Math.min(from, end), to: Math.min(to, end) }))
  return cut.filter(({ from, to }) => to > from)
}

/** The slowest is looked for first; who did not report is below. */
function byReport(a: Row, b: Row): number {
  return (b.site?.reportedAt ?? 0) - (a.site?.reportedAt ?? 0)
}

function lastOf({ sites, openedAt }: RoundTrace): number {
  const times = [...sites.values()].flatMap(({ joinedAt, reportedAt, unmaskedAt, leftAt }) => [
    joinedAt ?? 0,
    reportedAt ?? 0,
    unmaskedAt ?? 0,
    leftAt ?? 0,
  ])
  return Math.max(openedAt, ...times)
}
