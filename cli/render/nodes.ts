import { REFERENCE_MODEL_NAMES } from '#protocol/reference-models.ts'
import type { NodeView, NodeWithHistoryView } from '#sdk/views/nodes.ts'
import { formatSpeed } from './capability.ts'
import { rowOf } from './rounds.ts'
import { formatBytes, formatSeconds } from './units.ts'
import { plain } from './width.ts'

/** A line for each node, its id first and whole. Speeds in samples a second, by the node's word. */
export function nodeLines(nodes: readonly NodeView[]): readonly string[] {
  if (nodes.length === 0) return []
  const rows = nodes.map(({ id, linked, drained_at, standing, capability }) => {
    const speeds = REFERENCE_MODEL_NAMES.map((model) => claimOf(capability, model))
    const link = linked ? (capability?.stale ? 'stale' : 'linked') : 'away'
    const state = drained_at === null ? link : 'drained'
    return rowOf([id, state, standing, ...speeds, capability?.backend ?? '-'], NODE_WIDTHS)
  })
  return [rowOf(['node', 'link', 'checks', ...REFERENCE_MODEL_NAMES, 'backend'], NODE_WIDTHS), ...rows]
}

const NODE_WIDTHS = [48, 7, 9, ...REFERENCE_MODEL_NAMES.map(() => 11), 0] as const

function claimOf(capability: NodeView['capability'], model: string): string {
  const speed = capability?.speeds.find((one) => one.model === model)
  return speed ? formatSpeed(speed.milli_samples_per_second) : '-'
}

export function describeNode(node: NodeWithHistoryView): readonly string[] {
  const { id, linked, operator, drained_at, standing, capability } = node
  const rows: readonly (readonly [string, string | null])[] = [
    ['node', id],
    ['link', linked ? 'linked' : 'away'],
    ['drained', drained_at && `since ${drained_at}: it is invited to no new round`],
    ['operator', operator],
    ['checks', standing],
    ['backend', capability && `${capability.backend}${capability.software ? ' in software' : ''}`],
    ['adapter', capability?.adapter || null],
    ['memory', capability && `${formatBytes(capability.memory_bytes)} lent to one task`],
    ['version', capability && `${capability.version}, a node of ${capability.population} populations`],
    ['reported', capability && `${capability.reported_at}${capability.stale ? ', stale' : ''}`],
  ]
  const lines = rows.flatMap(([name, value]) => (value === null ? [] : [`${name.padEnd(10)} ${plain(value)}`]))
  if (!capability) return [...lines, 'it has said nothing of what it can do']
  const speeds = capability.speeds.map((speed) => {
    const { model, standing: of, milli_samples_per_second: claimed, observed_milli_samples_per_second: seen } = speed
    return rowOf([model, formatSpeed(claimed), seen === null ? '-' : formatSpeed(seen), of], SPEED_WIDTHS)
  })
  return [...lines, '', rowOf(['model', 'claims', 'at least', 'checks'], SPEED_WIDTHS), ...speeds]
}

const SPEED_WIDTHS = [12, 11, 11, 0] as const

export function checkLines(checks: NodeWithHistoryView['checks']): readonly string[] {
  if (checks.length === 0) return []
  const rows = checks.map(({ at, model, verdict, claimed_milli_samples_per_second, ...seen }) => {
    const observed = seen.observed_milli_samples_per_second
    const times = [seen.elapsed_ms, seen.train_ms].map((millis) => (millis === null ? '-' : formatSeconds(millis)))
    const speeds = [claimed_milli_samples_per_second, observed].map((one) => (one === null ? '-' : formatSpeed(one)))
    return rowOf([at, model, verdict, ...speeds, ...times], CHECK_WIDTHS)
  })
  return ['', rowOf(['checked', 'model', 'verdict', 'claimed', 'at least', 'ours', 'its own'], CHECK_WIDTHS), ...rows]
}

const CHECK_WIDTHS = [24, 12, 10, 11, 11, 9, 0] as const

/** How long it trained for rounds, by both clocks. */
export function paceLines(rounds: NodeWithHistoryView['rounds']): readonly string[] {
  if (rounds.length === 0) return []
  const rows = rounds.map(({ run, round, elapsed_ms, train_ms }) =>
    rowOf([run, String(round), formatSeconds(elapsed_ms), formatSeconds(train_ms)], PACE_WIDTHS),
  )
  return ['', rowOf(['run', 'round', 'ours', 'its own'], PACE_WIDTHS), ...rows]
}

const PACE_WIDTHS = [30, 5, 9, 0] as const
