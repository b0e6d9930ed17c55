import { formatCredits } from '#protocol/amount.ts'
import type { DryRunView } from '#sdk/views/dry-run.ts'
import { formatBytes } from './units.ts'

type Site = DryRunView['sites'][number]

/** What a run would be, for whoever is about to pay for it. */
export function forecastLines(forecast: DryRunView): readonly string[] {
  const { sites, compatibility } = forecast
  return [
    ...headLines(forecast),
    ...(sites.length > 0 ? ['', ...siteLines(sites)] : []),
    '',
    ...compatibility.map(({ feature, state, detail }) => `${state.padEnd(9)}  ${feature.padEnd(26)} ${detail}`),
  ]
}

function headLines({ parameters, trained, memory_bytes, bytes, rounds, cost, privacy, population }: DryRunView) {
  const credits = (micro: string) => formatCredits(BigInt(micro))
  const rows: readonly (readonly [string, string | null | undefined])[] = [
    ['model', `${grouped(parameters ?? 0)} parameters, ${grouped(trained ?? 0)} of them trained`],
    ['memory', `${formatBytes(memory_bytes ?? 0)} at a node, at most`],
    [
      'a round',
      bytes &&
        `${formatBytes(bytes.up_per_node)} up and ${formatBytes(bytes.down_per_node)} down a node, at most ${formatBytes(bytes.per_round)} in all`,
    ],
    [
      'an update',
      bytes?.by_codec
        .map(({ codec, bytes_up, available }) => `${codec} ${formatBytes(bytes_up)}${available ? '' : ' (not built)'}`)
        .join(', '),
    ],
    ['cost', cost && `${credits(cost.budget)} credits over ${rounds} rounds, ${credits(cost.per_round)} each`],
    ['', cost && `${credits(cost.per_update_min)} to ${credits(cost.per_update_max)} for an update`],
    ['privacy', privacy.epsilon === null ? `no ε: ${privacy.reason}` : `ε ${privacy.epsilon}: ${privacy.reason}`],
    ['sites', `${population.linked} linked, ${population.willing} willing, ${population.needed} needed`],
  ]
  return rows.flatMap(([name, value]) => (value === null || value === undefined ? [] : [`${name.padEnd(10)} ${value}`]))
}

function siteLines(sites: readonly Site[]): readonly string[] {
  const width = Math.max(...sites.map(({ node }) => node.length))
  const owners = Math.max(8, ...sites.map(({ operator }) => operator?.length ?? 0))
  const line = (node: string, operator: string, answer: string) =>
    `${node.padEnd(width)}  ${operator.padEnd(owners)}  ${answer}`
  return [
    line('site', 'operator', 'takes part'),
    ...sites.map((site) => line(site.node, site.operator ?? '-', answerOf(site))),
  ]
}

function answerOf({ accepts, rule, detail }: Site): string {
  if (accepts === null) return `? ${detail ?? ''}`
  return accepts ? 'yes' : `no, by ${rule}${detail ? `: ${detail}` : ''}`
}

function grouped(count: number): string {
  return count.toLocaleString('en-US')
}
