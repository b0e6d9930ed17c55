import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { openSqliteLog } from '#storage/logs/sqlite.ts'
import { checkLedger, type Played, play, quantile, Receipts, recoveryMillis } from '#test/chaos/campaign.ts'
import { Deployment } from '#test/chaos/deployment.ts'
import type { Risks } from '#test/chaos/storm.ts'

/** How many times the coordinator is killed over all runs, and from which seed on: a slice in CI, the whole by hand. */
const KILLS = Number(process.env['CONSILIUM_SEEDS'] ?? 200)
const FIRST = Number(process.env['CONSILIUM_FIRST_SEED'] ?? 40_000)

const ROUNDS = 3
/** So many in one run at most: then it is let through. */
const KILLS_PER_RUN = 8
const NODES = 3
const FEDERATION = { seed: 'kills', nodes: NODES }

/** Nobody falls out of a round by these, so that the model must be the one that it is without them. */
const HARMLESS: Risks = { crashCoordinator: 8, pauseCoordinator: 1, pauseNode: 1, resetWires: 1, stallWires: 1 }
/** A node that is killed in a session holds nothing of it any more: its round comes to nothing, and the next one does not. */
const HARMFUL: Risks = { ...HARMLESS, crashNode: 2 }

test(`${KILLS} times kill -9 of the coordinator from seed ${FIRST} on: nothing lost, nobody paid twice, no round stranded, the same model`, async () => {
  const played: (Played & { readonly name: string; readonly harmless: boolean })[] = []
  let receipts = 0
  const kills = () => played.reduce((sum, { damage }) => sum + damage.kills.length, 0)
  {
    await using deployment = await Deployment.open({
      ...FEDERATION,
      weather: { meanMillisToReset: 30_000, delayMillis: 1 },
    })
    const held = new Receipts(deployment)
    const meanMillis = await restartMillis(deployment)
    for (let seed = FIRST; kills() < KILLS; seed++) {
      const harmless = seed % 4 !== 3
      const crashesMax = Math.min(KILLS_PER_RUN, KILLS - kills())
      const options = { seed, risks: harmless ? HARMLESS : HARMFUL, meanMillis, crashesMax, pauseMillis: 1500 }
      const one = await play(deployment, orderOf(seed), options)
      receipts += held.check(one.account)
      played.push({ ...one, name: orderOf(seed).name, harmless })
    }
    await deployment.close()
    await using log = openSqliteLog({ file: join(deployment.state, 'log.sqlite') })
    await checkLedger(
      log,
      played.map(({ account }) => account),
    )
  }
  for (const { account, harmless } of played)
    if (harmless) expect(account).toMatchObject({ completed: true, aborted: [] })

  // The same orders on the same sites, undisturbed, in folders that know nothing of the first time.
  const whole = played.filter(({ account }) => account.completed && account.aborted.length === 0)
  {
    await using calm = await Deployment.open(FEDERATION)
    for (const { name, account } of whole) {
      const undisturbed = await play(calm, { name, rounds: ROUNDS })
      expect({ name, model: account.model }).toEqual({ name, model: undisturbed.account.model })
    }
  }
  process.stdout.write(`kills campaign: ${JSON.stringify(figures(played, { receipts, compared: whole.length }))}\n`)
}, 3_600_000)

function orderOf(seed: number) {
  return { name: `kills ${seed}`, rounds: ROUNDS, change: { failuresMax: 16 } }
}

/** A kill comes about when the last one is over, on whatever machine: sometimes before. */
async function restartMillis({ coordinators: [coordinator] }: Deployment): Promise<number> {
  const started = Date.now()
  await coordinator?.crash()
  await coordinator?.ready()
  return 1.2 * (Date.now() - started)
}

function figures(played: readonly Played[], more: object): object {
  const blows: Record<string, number> = {}
  const aborted: Record<string, number> = {}
  for (const { damage, account } of played) {
    for (const [name, count] of Object.entries(damage.blows)) blows[name] = (blows[name] ?? 0) + count
    for (const reason of account.aborted) aborted[reason] = (aborted[reason] ?? 0) + 1
  }
  const millis = played.flatMap(recoveryMillis)
  return {
    ...{ runs: played.length, completed: played.filter(({ account }) => account.completed).length, ...more },
    ...{ blows, closed: played.reduce((sum, { account }) => sum + account.closed, 0), aborted },
    toNextEventMillis: { p50: quantile(millis, 0.5), p95: quantile(millis, 0.95), max: quantile(millis, 1) },
  }
}
