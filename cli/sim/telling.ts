import { eventOf } from '#coordinator/api/views.ts'
import type { Outcome } from '#sim/cluster.ts'
import type { Fault, Who } from '#sim/faults.ts'
import { idOf } from '#sim/node.ts'
import type { Moment } from '#sim/story.ts'
import { TOY_ORDER } from '#sim/toy.ts'

/** A play as people read it, a line for each moment, and as programs do. Nodes and processes are counted from 1. */
export class Telling {
  readonly #sites: ReadonlyMap<string, number>
  readonly #startedAt: number

  constructor(nodes: number, startedAt: number) {
    this.#sites = new Map(Array.from({ length: nodes }, (_, site) => [idOf(site), site + 1]))
    this.#startedAt = startedAt
  }

  line(moment: Moment): string {
    const at = ((moment.at - this.#startedAt) / 1000).toFixed(3).padStart(9)
    return `${at}  ${moment.type.padEnd(7)}  ${this.#words(moment)}`
  }

  object(moment: Moment): object {
    const at_ms = moment.at - this.#startedAt
    switch (moment.type) {
      case 'event':
        return { ...this.#event(moment), at_ms }
      case 'fault': {
        const { kind, ...fault } = moment.fault
        return { type: 'sim.fault', at_ms, fault: kind, ...snakeCase(fault) }
      }
      case 'process':
        return { type: 'sim.process', at_ms, process: whoText(moment.who), what: moment.what }
    }
  }

  #words(moment: Moment): string {
    if (moment.type === 'process') return `${whoText(moment.who)} ${moment.what}`
    if (moment.type === 'fault') return faultText(moment.fault)
    const { type, round, node, reason, phase } = this.#event(moment)
    const site = this.#sites.get(String(node))
    return [
      type.padEnd(20),
      ...(round === undefined ? [] : [`round ${round}`]),
      ...(site === undefined ? [] : [`node ${site}`]),
      ...(type === 'phase.ended' && phase ? [`now ${phase}`] : []),
      ...(reason ? [`(${reason})`] : []),
    ].join('  ')
  }

  #event({ advanced }: Extract<Moment, { type: 'event' }>) {
    return eventOf(advanced, TOY_ORDER)
  }
}

function whoText(who: Who): string {
  return 'node' in who ? `node ${who.node + 1}` : `coordinator ${who.coordinator + 1}`
}

function faultText(fault: Fault): string {
  const lasting = 'millis' in fault ? ` for ${(fault.millis / 1000).toFixed(1)} s` : ''
  switch (fault.kind) {
    case 'death':
      return `node ${fault.node + 1} is killed for good`
    case 'restart':
      return `node ${fault.node + 1} is killed, and away${lasting}`
    case 'partition': {
      const way = { up: 'unheard', down: 'told nothing', both: 'cut off' }[fault.direction]
      return `nodes ${fault.nodes.map((node) => node + 1).join(', ')} are ${way}${lasting}`
    }
    case 'pause':
      return `${whoText(fault.who)} stops${lasting}`
    case 'full-disk':
      return `the disk of ${whoText(fault.who)} is full (${fault.stores.join(', ')})${lasting}`
    case 'slow-disk':
      return `the disk of ${whoText(fault.who)} takes up to ${fault.slowestMillis} ms a call${lasting}`
    case 'jump':
      return `the clock of ${whoText(fault.who)} jumps by ${(fault.byMillis / 1000).toFixed(1)} s`
  }
}

/** Each round that is over, and what is known of the whole. */
export function outcomeLines(outcome: Outcome): readonly string[] {
  const { run, verdict, crashes, elapsedMillis, digest } = outcome
  const lives = outcome.nodes.reduce((sum, node) => sum + node.lives - 1, 0)
  const reports = (round: number) => (verdict.ok ? (verdict.rounds[round - 1]?.reports ?? 0) : 0)
  return [
    '',
    ...run.past.map(
      ({ round, purpose, reason }) =>
        `round ${round}  ${purpose}  ${reason === null ? `closed with ${reports(round)} reports` : `aborted: ${reason}`}`,
    ),
    '',
    `run      ${verdict.ok ? verdict.outcome : 'unknown'} in ${(elapsedMillis / 1000).toFixed(1)} s of its own time`,
    `lives    coordinators came back ${crashes} times, nodes ${lives} times`,
    `model    ${run.model}`,
    `money    ${run.spec.budget} micro-credits = ${run.paid} paid + ${run.released} released`,
    'verify   ok (pinned): every sum is that of what was trained, nothing was paid twice, nothing said twice',
    `history  ${digest}`,
  ]
}

export function outcomeData({ seed, run, verdict, crashes, elapsedMillis, nodes, digest }: Outcome): object {
  return {
    type: 'sim.finished',
    seed,
    ok: true,
    outcome: verdict.ok ? verdict.outcome : null,
    rounds: run.past.map(({ round, purpose, manifest, reason }) => ({ round, purpose, manifest, reason })),
    model: run.model,
    coordinator_restarts: crashes,
    node_restarts: nodes.reduce((sum, node) => sum + node.lives - 1, 0),
    elapsed_ms: elapsedMillis,
    ledger: { budget: String(run.spec.budget), paid: String(run.paid), released: String(run.released) },
    history: digest,
  }
}

/** The fields of a fault, as JSON tells things: durations in *_ms. */
function snakeCase(fault: object): object {
  return Object.fromEntries(
    Object.entries(fault).map(([name, value]) => [
      name === 'millis' ? 'for_ms' : name.replace(/(.)Millis$/, '$1_ms'),
      counted(name, value),
    ]),
  )
}

/** Nodes are counted from 1. */
function counted(name: string, value: unknown): unknown {
  if (name === 'who') return whoText(value as Who)
  if (name === 'nodes') return (value as readonly number[]).map((node) => node + 1)
  return name === 'node' ? (value as number) + 1 : value
}
