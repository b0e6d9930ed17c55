import { join } from 'node:path'
import { test } from '@jest/globals'
import { openSqliteLog } from '#storage/logs/sqlite.ts'
import { campaign, checkLedger, compare, figures } from '#test/chaos/campaign.ts'
import { Deployment } from '#test/chaos/deployment.ts'

/**
 * How many times the coordinator is killed over all runs, and from which seed on: a slice in CI, the whole by hand. A kill costs
 * as much as a few seeds of a simulation.
 */
const KILLS = Math.ceil(Number(process.env['CONSILIUM_SEEDS'] ?? 600) / 3)
const FIRST = Number(process.env['CONSILIUM_FIRST_SEED'] ?? 40_000)

const FEDERATION = { seed: 'kills', nodes: 3 }
const WEATHER = { meanMillisToReset: 30_000, delayMillis: 1 }

/** Nobody falls out of a round by these, so that the model must be the one that it is without them. */
const RISKS = { crashCoordinator: 8, pauseCoordinator: 1, pauseNode: 1, resetWires: 1, stallWires: 1 }

test(`${KILLS} times kill -9 of the coordinator from seed ${FIRST} on: nothing lost, nobody paid twice, no round stranded, the same model`, async () => {
  const { played, receipts } = await disturbed()
  await using calm = await Deployment.open(FEDERATION)
  const compared = await compare(calm, played)
  process.stdout.write(`kills campaign: ${JSON.stringify(figures(played, { receipts, compared }))}\n`)
}, 3_600_000)

async function disturbed() {
  await using deployment = await Deployment.open({ ...FEDERATION, weather: WEATHER })
  // A node that is killed in a session holds nothing of it any more: its round may come to nothing, and the run does not.
  const done = await campaign(deployment, { kills: KILLS, firstSeed: FIRST, risks: RISKS, harmful: { crashNode: 2 } })
  await deployment.close()
  await using log = openSqliteLog({ file: join(deployment.state, 'log.sqlite') })
  await checkLedger(
    log,
    done.played.map(({ account }) => account),
  )
  return done
}
