import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Masking } from '#protocol/plan.ts'
import { eventsIn } from '#sdk/sse.ts'
import { tellHeld } from '#test/client/holding.ts'
import { live } from './live.ts'

/** A coordinator's rounds, one after another, with a durable log and blobs; its three nodes, which train nothing, are a process of their own. */
const [rounds, every] = [Number(process.argv[2]), Number(process.argv[3])]
const masking = process.argv[4] as Masking
await using here = await live({ graceMillis: 60_000, quotaBytes: 2 ** 30 })
const file = fileURLToPath(new URL('../../bench/round-overhead-nodes.ts', import.meta.url))
const nodes = fork(file, [here.coordinator.url, here.coordinator.id, '0', '3'], { execArgv: [] })
// However long a process is held up, no phase ends without a node.
const timing = { selectionMillis: 600_000, reportingMillis: 600_000, learned: false }
const cohort = { min: 3, max: 3, quorum: 3 }
const launched = await here.launch({ rounds, masking, budget: '1000000', cohort, timing })
if (!launched.ok) throw new Error(await launched.text())
const { id } = (await launched.json()) as { readonly id: string }
const { body } = await here.api(`/v1/runs/${id}/events`, { headers: { accept: 'text/event-stream' } })
if (!body) throw new Error('no events')
let closed = 0
for await (const { type } of eventsIn(body))
  if (type === 'round.completed' && ++closed % every === 0) await tellHeld(closed)
nodes.disconnect()
