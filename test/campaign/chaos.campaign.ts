import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import type { ApiEvent } from '#sdk/sse.ts'
import { openSqliteLog } from '#storage/logs/sqlite.ts'
import { accountOf, events, launched } from '#test/chaos/account.ts'
import { checkLedger, Receipts } from '#test/chaos/campaign.ts'
import { Deployment } from '#test/chaos/deployment.ts'

/** 4 Mbit/s, and connections that hold for some tens of kilobytes: of a few hundred that pass. */
const WEATHER = { bytesPerSecond: 500_000, delayMillis: 10, meanBytesToReset: 40_000 }
/** Too short for the one that is stopped, and long for the others; where it is not, a round more makes up for it. */
const PHASE_MILLIS = 4000
const TIMING = {
  ...{ keysMillis: PHASE_MILLIS, reportingMillis: PHASE_MILLIS },
  ...{ consistencyMillis: PHASE_MILLIS, unmaskingMillis: PHASE_MILLIS },
}
const SECONDS_MAX = 240

test(
  'over slow links that break, with one node killed and one stopped across a phase, a run ends, verifies, and pays exactly',
  async () => {
    await using deployment = await Deployment.open({ seed: 'chaos', nodes: 4, weather: WEATHER })
    const { nodes, wires } = deployment
    const receipts = new Receipts(deployment)
    const [killed, stopped] = nodes
    const befallen: string[] = []
    killed?.listen(({ type, round }) => {
      if (type !== 'node.agreed' || round !== 1 || befallen.includes('killed')) return
      befallen.push('killed')
      void killed.crash()
    })
    stopped?.listen(({ type, round }) => {
      if (type !== 'node.agreed' || Number(round) < 2 || befallen.includes('stopped')) return
      befallen.push('stopped')
      stopped.signal('SIGSTOP')
    })
    const late = AbortSignal.timeout(1000 * SECONDS_MAX)
    const order = deployment.order('chaos', 2, {
      cohort: { min: 3, max: 4, quorum: 3 },
      timing: TIMING,
    })
    const run = await launched(deployment, order, 'chaos', late)
    const told: ApiEvent[] = []
    for await (const event of events(deployment, run, late)) {
      told.push(event)
      // The phase has ended without it.
      if (event.type === 'session.surveyed' && befallen.includes('stopped')) stopped?.signal('SIGCONT')
    }
    stopped?.signal('SIGCONT')
    const account = await accountOf(deployment, run, told, late)
    expect(befallen).toEqual(['killed', 'stopped'])
    expect(told.some(({ type, cause }) => type === 'phase.ended' && cause === 'deadline')).toBe(true)
    expect(account).toMatchObject({ completed: true, ledger: { budget: 1_000_000n, paid: 1_000_000n } })
    expect(wires.flat().reduce((sum, { seen }) => sum + seen.resets, 0)).toBeGreaterThan(0)
    expect(receipts.check(account)).toBeGreaterThan(0)
    await deployment.close()
    await using log = openSqliteLog({ file: join(deployment.state, 'log.sqlite') })
    await checkLedger(log, [account])
  },
  1000 * (SECONDS_MAX + 30),
)
