import { csvOf, download } from './csv.ts'
import type { Follower } from './follow.ts'
import { formatBytes, formatFigure, formatMillis } from './format.ts'
import type { RoundTrace } from './history.ts'
import { Card, Chip, Id } from './parts.tsx'
import { type Column, Table } from './table.tsx'
import { WORDS } from './words.ts'

export function Rounds({ run, follower }: { readonly run: string; readonly follower: Follower }) {
  const { history, pulse } = follower
  void pulse.beats.value
  const words = WORDS.rounds
  const columns: readonly Column<RoundTrace>[] = [
    { name: words.round, cell: ({ round }) => round, by: ({ round }) => round, isNumber: true, wide: 0.7 },
    { name: words.purpose, cell: ({ purpose }) => purpose, by: ({ purpose }) => purpose, wide: 0.9 },
    {
      name: words.outcome,
      wide: 1.2,
      cell: ({ outcome, reason }) => <Chip state={outcome} {...(reason && { text: reason })} />,
      by: ({ outcome }) => outcome,
    },
    { name: words.reports, cell: reportsOf, by: ({ reports }) => reports, isNumber: true, wide: 0.8 },
    {
      name: words.bytes,
      cell: (round) => sized(round.bytesPerNode),
      by: (round) => round.bytesPerNode,
      isNumber: true,
    },
    { name: words.took, cell: (round) => timed(tookOf(round)), by: (round) => tookOf(round) ?? 0, isNumber: true },
    {
      name: words.train,
      cell: (round) => timed(round.trainMillis || null),
      by: (round) => round.trainMillis,
      isNumber: true,
    },
    {
      name: words.overhead,
      cell: (round) => timed(round.outcome === 'closed' ? round.overheadMillis : null),
      by: (round) => round.overheadMillis,
      isNumber: true,
    },
    {
      name: words.loss,
      cell: ({ made }) => formatFigure(made?.loss),
      by: ({ made }) => made?.loss ?? 0,
      isNumber: true,
    },
    {
      name: words.accuracy,
      cell: ({ made }) => formatFigure(made?.accuracy),
      by: ({ made }) => made?.accuracy ?? 0,
      isNumber: true,
    },
    { name: words.record, wide: 1.7, cell: ({ record }) => (record ? <Id id={record} name={words.record} /> : '—') },
  ]
  const save = () => download(`${run}-rounds.csv`, csvOf(tableOf(history.rounds)), 'text/csv')
  const side = (
    <button type="button" onClick={save} disabled={history.rounds.length === 0}>
      {WORDS.csv}
    </button>
  )
  return (
    <Card title={WORDS.run.tabs.rounds} side={side}>
      <Table
        label={words.label}
        columns={columns}
        rows={[...history.rounds]}
        keyOf={({ round }) => round}
        empty={WORDS.timeline.none}
        hint={WORDS.timeline.noneHint}
        sorted={{ column: 0, descending: true }}
      />
    </Card>
  )
}

const HEAD = ['round', 'purpose', 'outcome', 'reason', 'cohort', 'reports', 'bytes_per_node', 'duration_ms', 'train_ms']

function tableOf(rounds: readonly RoundTrace[]) {
  const head = [...HEAD, 'overhead_ms', 'loss', 'accuracy', 'record']
  const rows = rounds.map((round) => [
    ...[round.round, round.purpose, round.outcome, round.reason, round.cohort, round.reports, round.bytesPerNode],
    ...[tookOf(round), round.trainMillis, round.overheadMillis, round.made?.loss ?? null],
    ...[round.made?.accuracy ?? null, round.record],
  ])
  return [head, ...rows]
}

function tookOf({ openedAt, endedAt }: RoundTrace): number | null {
  return endedAt === null ? null : endedAt - openedAt
}

function reportsOf({ reports, cohort, invited }: RoundTrace): string {
  return `${reports}/${cohort || invited}`
}

function timed(millis: number | null): string {
  return millis === null ? '—' : formatMillis(millis)
}

function sized(bytes: number): string {
  return bytes === 0 ? '—' : formatBytes(bytes)
}
