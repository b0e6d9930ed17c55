import { useEffect, useMemo, useState } from 'preact/hooks'
import type { NodeView } from '#sdk/views/nodes.ts'
import { type ApiProblem, pages, send } from './api.ts'
import { Confirm } from './form.tsx'
import { formatBytes, formatCount, formatDay, shortId } from './format.ts'
import { problemOf } from './load.ts'
import { Card, Chip, Id, Trouble } from './parts.tsx'
import { isUnbound, may, session } from './session.ts'
import { type Column, Filter, Table } from './table.tsx'
import { WORDS } from './words.ts'

/** What a node says of itself changes seldom, and ten thousand of them are fifty requests. */
const EVERY_MILLIS = 20_000

export function NodesPage() {
  const { nodes, problem, isWhole, again } = useNodes()
  const [draining, setDraining] = useState<NodeView>()
  const [failed, setFailed] = useState<ApiProblem>()
  const [filter, setFilter] = useState('')
  const [linkedOnly, setLinkedOnly] = useState(false)
  const words = WORDS.nodes
  const shown = useMemo(() => {
    const wanted = filter.trim().toLowerCase()
    return nodes.filter((node) => (!linkedOnly || node.linked) && (wanted === '' || textOf(node).includes(wanted)))
  }, [nodes, filter, linkedOnly])
  const columns = useMemo(() => {
    if (!may('nodes:admin') || !isUnbound()) return COLUMNS
    const resume = async (node: NodeView) => {
      setFailed(undefined)
      await send('POST', `${PATH}/${node.id}/resume`).then(again, (cause: unknown) => setFailed(problemOf(cause)))
    }
    const invited = invitedColumn({ drain: setDraining, resume: (node) => void resume(node) })
    return COLUMNS.toSpliced(1 + COLUMNS.findIndex(({ name }) => name === WORDS.nodes.state), 0, invited)
  }, [session.value])
  const side = (
    <div class="controls">
      <label>
        <input type="checkbox" checked={linkedOnly} onChange={(event) => setLinkedOnly(event.currentTarget.checked)} />{' '}
        {words.which}
      </label>
      <Filter label={words.filter} value={filter} set={setFilter} shown={shown.length} all={nodes.length} />
    </div>
  )
  return (
    <>
      <h1>{words.title}</h1>
      {failed && (
        <p class="banner warn" role="alert">
          {failed.message}
        </p>
      )}
      <Card side={side}>
        {problem && nodes.length === 0 ? (
          <Trouble problem={problem} again={again} />
        ) : (
          <Table
            tall
            label={words.label}
            columns={columns}
            rows={shown}
            keyOf={({ id }) => id}
            empty={nodes.length > 0 ? WORDS.table.none : isWhole ? words.none : WORDS.loading}
            {...(isWhole && nodes.length === 0 && { hint: words.noneHint })}
          />
        )}
      </Card>
      {draining && (
        <Confirm
          title={words.drainTitle}
          lead={words.drainLead(nameOf(draining))}
          act={words.drain}
          close={() => setDraining(undefined)}
          confirmed={async () => {
            await send('POST', `${PATH}/${draining.id}/drain`)
            again()
          }}
        />
      )}
    </>
  )
}

/** What whoever runs the coordinator decides of a node. */
function invitedColumn({
  drain,
  resume,
}: Readonly<Record<'drain' | 'resume', (node: NodeView) => void>>): Column<NodeView> {
  const words = WORDS.nodes
  return {
    name: words.invited,
    cell: (node) => {
      const [act, press] = node.drained_at === null ? [words.drain, drain] : [words.resume, resume]
      return (
        <button type="button" class="plain" aria-label={`${act} ${nameOf(node)}`} onClick={() => press(node)}>
          {act}
        </button>
      )
    },
    by: ({ drained_at }) => drained_at ?? '',
    wide: 0.75,
  }
}

function nameOf({ operator, id }: NodeView): string {
  return operator ? `${operator}, ${shortId(id)}` : `${WORDS.nodes.node} ${shortId(id)}`
}

const PATH = '/v1/nodes'
const COLUMNS: readonly Column<NodeView>[] = [
  { name: WORDS.nodes.node, cell: ({ id }) => <Id id={id} name={WORDS.nodes.node} />, by: ({ id }) => id, wide: 1.5 },
  {
    name: WORDS.nodes.operator,
    cell: ({ operator }) => operator ?? <span class="note">{WORDS.nodes.nobody}</span>,
    by: ({ operator }) => operator ?? '',
    wide: 1.1,
  },
  {
    name: WORDS.nodes.state,
    cell: ({ linked, drained_at }) =>
      drained_at === null ? (
        <Chip state={linked ? 'linked' : 'away'} />
      ) : (
        <span title={WORDS.nodes.drainedSince(formatDay(drained_at))}>
          <Chip state="drained" />
        </span>
      ),
    by: ({ linked, drained_at }) => Number(linked) - (drained_at === null ? 0 : 0.5),
    wide: 1.25,
  },
  {
    name: WORDS.nodes.standing,
    cell: ({ standing }) => <Chip state={standing} />,
    by: ({ standing }) => standing,
    wide: 1.3,
  },
  {
    name: WORDS.nodes.backend,
    cell: ({ capability }) =>
      capability ? `${capability.backend}${capability.software ? ` (${WORDS.nodes.software})` : ''}` : '—',
    by: ({ capability }) => capability?.backend ?? '',
    wide: 0.9,
  },
  {
    name: WORDS.nodes.adapter,
    cell: ({ capability }) => <span class="clip">{capability?.adapter || '—'}</span>,
    by: ({ capability }) => capability?.adapter ?? '',
    wide: 0.8,
  },
  {
    name: WORDS.nodes.speed,
    cell: (node) => (speedOf(node) === 0 ? '—' : formatCount(speedOf(node))),
    by: speedOf,
    isNumber: true,
    wide: 0.9,
  },
  {
    name: WORDS.nodes.memory,
    cell: ({ capability }) => (capability ? formatBytes(capability.memory_bytes) : '—'),
    by: ({ capability }) => capability?.memory_bytes ?? 0,
    isNumber: true,
    wide: 0.9,
  },
  {
    name: WORDS.nodes.version,
    cell: ({ capability }) => capability?.version ?? '—',
    by: ({ capability }) => capability?.version ?? '',
    wide: 0.65,
  },
  {
    name: WORDS.nodes.seen,
    cell: ({ capability }) => (capability ? formatDay(capability.reported_at) : '—'),
    by: ({ capability }) => capability?.reported_at ?? '',
    wide: 1.15,
  },
]

/** The best of the reference models, samples a second. */
function speedOf({ capability }: NodeView): number {
  return Math.max(0, ...(capability?.speeds ?? []).map((speed) => speed.milli_samples_per_second)) / 1000
}

function textOf({ id, operator, capability }: NodeView): string {
  return `${id} ${operator ?? ''} ${capability?.backend ?? ''} ${capability?.adapter ?? ''}`.toLowerCase()
}

/** Pages are shown as they come in, the first time; later the whole list takes the place of the last. */
function useNodes() {
  const [nodes, setNodes] = useState<readonly NodeView[]>([])
  const [problem, setProblem] = useState<ApiProblem>()
  const [isWhole, setWhole] = useState(false)
  const [turn, setTurn] = useState(0)
  useEffect(() => {
    const aborted = new AbortController()
    let timer: ReturnType<typeof setTimeout> | undefined
    const ask = async (isFirst: boolean): Promise<void> => {
      try {
        const found: NodeView[] = []
        for await (const page of pages<NodeView>(`${PATH}?which=known`, aborted.signal)) {
          found.push(...page)
          if (isFirst) setNodes([...found])
        }
        setNodes(found)
        setWhole(true)
        setProblem(undefined)
      } catch (cause) {
        if (aborted.signal.aborted) return
        setProblem(problemOf(cause))
      }
      timer = setTimeout(() => void ask(false), EVERY_MILLIS)
    }
    void ask(nodes.length === 0)
    return () => {
      aborted.abort()
      clearTimeout(timer)
    }
  }, [turn])
  return { nodes, problem, isWhole, again: () => setTurn((last) => last + 1) }
}
