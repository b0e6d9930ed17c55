import { removeMasks } from '#aggregation/secagg/removal.ts'
import { Capabilities } from '#coordinator/capabilities.ts'
import type { Counters } from '#coordinator/counters.ts'
import { Drains } from '#coordinator/drains.ts'
import { aggregateEffect } from '#coordinator/effects/aggregate.ts'
import { clearEffect } from '#coordinator/effects/clear.ts'
import { finishEffect } from '#coordinator/effects/finish.ts'
import { holdEffect } from '#coordinator/effects/hold.ts'
import { openEffect } from '#coordinator/effects/open.ts'
import { recountEffect } from '#coordinator/effects/recount.ts'
import { type SessionDoors, sessionEffects } from '#coordinator/effects/session.ts'
import { settleEffect } from '#coordinator/effects/settle.ts'
import { Eligibility } from '#coordinator/eligibility.ts'
import { expiry } from '#coordinator/expiry.ts'
import { Federations } from '#coordinator/federations.ts'
import { Gateway } from '#coordinator/gateway.ts'
import { keep } from '#coordinator/keeper.ts'
import { Needs } from '#coordinator/needs.ts'
import { patrol } from '#coordinator/patrol.ts'
import type { Retention } from '#coordinator/retention.ts'
import { type EffectHandler, type Job, Runner } from '#coordinator/runner.ts'
import { Sessions } from '#coordinator/sessions.ts'
import { sweeping } from '#coordinator/sweeping.ts'
import { Tally } from '#coordinator/tally.ts'
import { openRecordSettlement } from '#payments/settlements/record.ts'
import { signerOf } from '#protocol/envelope.ts'
import type { Bytes, Cid, Millis } from '#protocol/ids.ts'
import type {
  Clock,
  CoordinatorTransport,
  EventLog,
  PartsStore,
  Presence,
  Queue,
  SharedLog,
  Snapshots,
} from '#protocol/ports.ts'
import { accept } from '#protocol/result.ts'
import { ticketKey } from '#protocol/seeds.ts'
import type { MemoryQueueOptions } from '#storage/queues/memory.ts'
import { isFault } from './life.ts'

/** The doors of one process of a coordinator. */
export type ServingDoors = {
  readonly secret: Bytes
  readonly log: EventLog | SharedLog
  readonly blobs: PartsStore
  readonly vault: PartsStore
  readonly withheld: PartsStore
  readonly queue: Queue<Job>
  readonly clock: Clock
  readonly snapshots: Snapshots
  readonly presence: Presence
  /** Opened once every run is as its log says. */
  readonly link: () => CoordinatorTransport
  readonly counters: Counters
  readonly graceMillis: Millis
  readonly retention: Retention
  /** How a coordinator sums that is not honest. */
  readonly aggregate?: ((doors: SessionDoors) => EffectHandler) | undefined
  /** Told of what no fault excuses. */
  readonly fatal: (cause: unknown) => void
  /** Fires when the process ends. */
  readonly over: AbortSignal
}

/** A coordinator without its API: reads the log, and serves whoever links until it is over. */
export async function serve(around: ServingDoors): Promise<Runner> {
  const {
    secret,
    clock,
    queue,
    log,
    graceMillis,
    retention,
    counters,
    fatal,
    over,
    aggregate = aggregateEffect,
  } = around
  const { blobs, vault, withheld, snapshots, presence } = around
  const stores = { blobs, vault, withheld }
  const signer = signerOf(secret)
  const failed = (cause: unknown) => {
    if (!isFault(cause)) fatal(cause)
  }
  const runner = new Runner({ log, queue, clock, snapshots }, failed)
  await runner.recover()
  const settledAt = clock.now() + graceMillis
  const transport = around.link()
  const settlement = openRecordSettlement(log)
  const sessions = new Sessions(blobs, signer.id)
  // Also of the shortest vectors, so that every history tries it.
  const tally = new Tally({ bytesMax: 2 ** 24, leastBytes: 0 })
  const eligibility = new Eligibility({
    admits: 'open',
    federations: new Federations({ log, clock, secret }),
    drains: new Drains({ log, clock }),
    capabilities: new Capabilities({ log, clock }),
  })
  const gateway = new Gateway({
    ...{ ...stores, sessions, transport, presence, clock, signer, runner, counters, tally, fatal },
    eligibility,
    hearNode: async () => accept(undefined),
    ticketKey: ticketKey(secret),
  })
  const doors = { ...stores, signer, sessions, settlement, tally, removeMasks }
  runner.work({
    hold: holdEffect(doors),
    recount: recountEffect(doors),
    open: openEffect({
      ...doors,
      ...{ presence, eligibility },
      clock,
      settledAt,
      runs: () => runner.runs(),
      position: (id) => runner.position(id),
    }),
    ...sessionEffects(doors),
    aggregate: aggregate(doors),
    settle: settleEffect(doors),
    finish: finishEffect(doors),
    clear: clearEffect({ ...doors, log, needs: new Needs({ log, blobs }), runs: () => runner.runs(), pinnedAmong }),
  })
  gateway.serve(graceMillis, over).catch(failed)
  patrol({ runner, log, clock, failed }, over).catch(failed)
  keep(
    [
      sweeping([blobs, withheld, vault], clock),
      { ...expiry({ runner, clock, retention, pinnedAmong }), everyMillis: LOOK_MILLIS },
    ],
    { clock, failed },
    over,
  ).catch(failed)
  return runner
}

const pinnedAmong = async () => new Set<Cid>()

/** An hour is a long time in a play. */
const LOOK_MILLIS: Millis = 5000

/** A job that fails without a fault of the world fails for ever. */
export function watched(broke: (cause: unknown) => void): Pick<MemoryQueueOptions, 'onBroken' | 'onFailure'> {
  return {
    onBroken: broke,
    onFailure: ({ cause }) => {
      if (!isFault(cause)) broke(cause)
    },
  }
}
