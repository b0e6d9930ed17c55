import type { SessionDoors } from '#coordinator/effects/session.ts'
import type { Unstamped } from '#coordinator/live.ts'
import type { Run } from '#coordinator/run.ts'
import type { EffectHandler } from '#coordinator/runner.ts'
import type { Millis, RunId } from '#protocol/ids.ts'
import type { ClientMessage } from '#protocol/messages.ts'
import { type Faults, NO_FAULTS } from './faults.ts'
import type { Blow } from './life.ts'
import type { Weather } from './network.ts'
import type { Order } from './order.ts'
import type { Moment, Strikes } from './story.ts'

/** All that a play follows from: two plays of one setting are the same play. */
export type SimOptions = Order &
  Faults & {
    readonly seed: number
    /** Processes of the coordinator, over one log, queue and set of blobs. */
    readonly coordinators: number
    readonly weather: Weather
    /** Faults that strike on what is written, beside those that are drawn. */
    readonly strikes?: Strikes
    /** Where a process of the coordinator ends, instead of by chance. */
    readonly blow?: Blow
    /** So long after its end the run's vectors expire, and the play goes on until they are deleted. */
    readonly vectorsMillis?: Millis
    /** How a coordinator sums that is not honest. */
    readonly aggregate?: (doors: SessionDoors) => EffectHandler
    /** So many nodes wait for ever for what vectors are made of. */
    readonly blind?: number
    /** How long so many of the nodes, the first ones, need besides to train. */
    readonly slow?: { readonly nodes: number; readonly millis: Millis }
    /** What the run's owner decides when it looks, so long after the start. */
    readonly owner?: (run: Run, elapsedMillis: Millis) => Unstamped | undefined
    /** What a site says and nobody ever hears. */
    readonly lost: (message: ClientMessage, site: number) => boolean
    /** Told of what happens, as it happens. */
    readonly tell?: (moment: Moment) => void
  }

export const CALM: Weather = { loss: 0, duplication: 0, delayMillis: 5, breaks: 0 }
export const RUN = 'run_01ARZ3NDEKTSV4RRFFQ69G5FAV' as RunId
/** Nothing goes wrong. */
export const UNTROUBLED = { ...NO_FAULTS, coordinators: 1, weather: CALM, lost: () => false } as const
/** By the true clock. */
export const STARTED_AT: Millis = 1_700_000_000_000
