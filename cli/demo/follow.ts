import type { NodeId } from '#protocol/ids.ts'
import type { Run } from '#sdk/runs.ts'
import type { Output } from '../output.ts'
import type { SiteState } from '../render/board.ts'
import type { RunProgress } from '../run-progress.ts'
import { RunReport } from '../run-report.ts'
import type { Federation } from './federation.ts'
import type { ConsiliumProcess } from './process.ts'
import { siteAfter } from './site-state.ts'

/**
 * Shows a run and its nodes until it ends or the signal fires. Throws when the coordinator's process ends by itself, or so
 * many nodes' that no round can close any more.
 * @param least nodes without which no round closes
 */
export async function followRun(
  federation: Federation,
  run: Run,
  { least, output, signal }: { least: number; output: Output; signal: AbortSignal },
): Promise<Pick<RunProgress, 'end' | 'paid'>> {
  const { coordinator, nodes } = federation
  using report = new RunReport(output, run.id, { introduced: true })
  const states = new Map(nodes.map(({ site }): [NodeId, SiteState] => [site.id, { name: site.name, doing: 'waiting' }]))
  const show = (id: NodeId, state: SiteState): void => report.showSites([...states.set(id, state).values()])
  /** Fires with the process whose end is the run's end. */
  const lost = new AbortController()
  const over = AbortSignal.any([signal, lost.signal])
  let finished = false
  const whenEnded = (process: ConsiliumProcess, act: (how: number | NodeJS.Signals) => void): void =>
    void process.ended.then((how) => {
      if (!finished && !over.aborted) act(how)
    })

  whenEnded(coordinator, () => lost.abort(coordinator))
  for (const { site, process } of nodes) {
    process.listen((said) => show(site.id, siteAfter(states.get(site.id) as SiteState, said)))
    whenEnded(process, (how) => {
      show(site.id, { name: site.name, doing: 'gone', reason: String(how) })
      const time = new Date().toISOString()
      if (output.json) output.object({ type: 'node.gone', time, node: site.id, site: site.name, how })
      else report.note(`${site.name} is gone (${how})`)
      if (nodes.filter((other) => other.process.alive()).length < least) lost.abort(process)
    })
  }
  for await (const event of run.events({ signal: over })) {
    // The demo's own last line says the same and more.
    if (output.json && event.type !== 'run.completed') output.object(event)
    report.tell(event)
  }
  finished = true
  if (lost.signal.aborted && !signal.aborted) throw await (lost.signal.reason as ConsiliumProcess).failure()
  return report.progress
}
