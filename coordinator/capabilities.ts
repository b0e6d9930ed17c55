import { z } from 'zod'
import {
  CAPABILITY_MILLIS_MAX,
  CAPABILITY_MILLIS_MIN,
  type Capability,
  capabilityFields,
  speedField,
} from '#protocol/capability.ts'
import { count, millisField, nodeIdField } from '#protocol/codec.ts'
import type { Millis, NodeId } from '#protocol/ids.ts'
import { PHASE_MILLIS_MAX } from '#protocol/limits.ts'
import type { Clock, EventLog } from '#protocol/ports.ts'
import { REFERENCE_MODEL_NAMES, type ReferenceModel, referenceModelField } from '#protocol/reference-models.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { verdictField } from '#protocol/spot-check.ts'
import { Chronicle } from './chronicle.ts'
import { OwnWords, type OwnWordsBounds } from './own-words.ts'

/** Checks that are remembered of each, the latest last: some of every model. */
const CHECKS_MAX = 12
/** As many nodes as one draw has candidates; a full day is some eight megabytes. */
const BOUNDS: OwnWordsBounds = { nodes: 4096, dayEntries: 20_000, entries: 500_000 }
const ENTRY_BYTES_MAX = 2048
/** Of a node that was busy so often in a row, whenever it was asked, an old confirmation says nothing any more. */
const PUT_OFF_MAX = 8
/** A claim that was confirmed covers one that is a little higher: no two measurements agree. */
const CONFIRMED_SHARE = 1.25

const checkSchema = z.strictObject({
  at: millisField,
  model: referenceModelField,
  verdict: verdictField,
  claimedMilli: speedField,
  /** By our clock, so that the node is at least as fast; null where there was no answer. */
  observedMilli: speedField.nullable(),
  /** How long it took, by our clock and by the node's. */
  elapsedMillis: count(PHASE_MILLIS_MAX).nullable(),
  trainMillis: count(PHASE_MILLIS_MAX).nullable(),
})
const capabilityEventSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('reported'),
    at: millisField,
    node: nodeIdField,
    seq: count(Number.MAX_SAFE_INTEGER),
    ...capabilityFields,
  }),
  z.strictObject({ kind: z.literal('checked'), node: nodeIdField, ...checkSchema.shape }),
  /** It was busy, or its link was lost: it is asked again some other time. */
  z.strictObject({ kind: z.literal('put-off'), node: nodeIdField, at: millisField }),
])
type CapabilityEvent = z.output<typeof capabilityEventSchema>

export type Check = z.output<typeof checkSchema>
/** What is known of a node that has said what it can do. */
export type Capable = {
  readonly node: NodeId
  readonly report: Capability
  readonly seq: number
  /** When it was heard, by our clock: the node's own is never gone by. */
  readonly at: Millis
  readonly checks: readonly Check[]
  /** Checks in a row that came to nothing since it was busy. */
  readonly putOff: number
}

export type CapabilityRefusal = 'replayed' | 'too-often' | 'too-many'

/** What nodes say that they can do, and what came of checking it, whichever process they said it to. */
export class Capabilities {
  readonly #clock: Clock
  readonly #bounds: OwnWordsBounds
  readonly #chronicle: Chronicle<CapabilityEvent, OwnWords<Capable>>

  constructor({ log, clock }: { readonly log: EventLog; readonly clock: Clock }, bounds = BOUNDS) {
    this.#clock = clock
    this.#bounds = bounds
    this.#chronicle = new Chronicle<CapabilityEvent, OwnWords<Capable>>({
      ...{ log, stream: 'capabilities', schema: capabilityEventSchema, entryBytesMax: ENTRY_BYTES_MAX },
      ...{ state: new OwnWords<Capable>() },
      step: (state, event) => step(state, event, bounds),
    })
  }

  select(matches: (capable: Capable) => boolean): Promise<readonly Capable[]> {
    return this.#chronicle.read(({ nodes }) => [...nodes.values()].filter(matches))
  }

  get(node: NodeId): Promise<Capable | undefined> {
    return this.#chronicle.read(({ nodes }) => nodes.get(node))
  }

  /** The newest report of a node is the one that counts. */
  report(node: NodeId, seq: number, report: Capability): Promise<Result<void, CapabilityRefusal>> {
    return this.#chronicle.write<Result<void, CapabilityRefusal>>((state, position) => {
      const at = this.#clock.now()
      const none = (answer: Result<void, CapabilityRefusal>) => ({ events: [], answer })
      const known = state.nodes.get(node)
      if (known && seq <= known.seq) return none(refuse('replayed'))
      // Told again since the link was made anew: no measurement, and so no younger for it.
      if (known && JSON.stringify(known.report) === JSON.stringify(report)) return none(accept(undefined))
      if (known && at < known.at + CAPABILITY_MILLIS_MIN) return none(refuse('too-often'))
      if (state.isFull(position, at, this.#bounds)) return none(refuse('too-many', 'so much is kept in one day'))
      return { events: [{ kind: 'reported', at, node, seq, ...report }], answer: accept(undefined) }
    })
  }

  /** What came of a check of a node that is remembered still. */
  async note(node: NodeId, outcome: Omit<Check, 'at'> | 'put-off'): Promise<void> {
    await this.#chronicle.write((state, position) => {
      const at = this.#clock.now()
      if (!state.nodes.has(node) || state.isFull(position, at, this.#bounds)) return { events: [], answer: undefined }
      const event: CapabilityEvent =
        outcome === 'put-off' ? { kind: 'put-off', node, at } : { kind: 'checked', node, at, ...outcome }
      return { events: [event], answer: undefined }
    })
  }
}

function step(state: OwnWords<Capable>, event: CapabilityEvent, bounds: OwnWordsBounds): void {
  const { nodes } = state
  state.count(event.at)
  const known = nodes.get(event.node)
  switch (event.kind) {
    case 'reported': {
      const { kind: _, at, node, seq, ...report } = event
      const { checks = [], putOff = 0 } = known ?? {}
      return state.remember(node, { node, report, seq, at, checks, putOff }, bounds)
    }
    case 'checked': {
      const { kind: _, node, ...check } = event
      if (known) nodes.set(node, { ...known, checks: [...known.checks, check].slice(-CHECKS_MAX), putOff: 0 })
      return
    }
    case 'put-off':
      if (known) nodes.set(event.node, { ...known, putOff: known.putOff + 1 })
  }
}

export function isStale({ at }: Pick<Capable, 'at'>, now: Millis): boolean {
  return now >= at + CAPABILITY_MILLIS_MAX
}

/**
 * Whether the last check of any of its claims came to other losses than it told: it made them up, or trains with fewer digits than
 * rounds take. How fast it is says nothing of that.
 */
export function isFoundWrong({ checks }: Pick<Capable, 'checks'>): boolean {
  return REFERENCE_MODEL_NAMES.some((model) => checks.findLast((check) => check.model === model)?.verdict === 'wrong')
}

export type Standing = 'confirmed' | 'unchecked' | 'doubted'

/** What checks have made of one claim: the last one counts, and a confirmation only for a claim that is no higher. */
export function standingOf({ checks, report }: Pick<Capable, 'checks' | 'report'>, model: ReferenceModel): Standing {
  const last = checks.findLast((check) => check.model === model)
  if (!last) return 'unchecked'
  if (last.verdict !== 'confirmed') return 'doubted'
  const claim = report.speeds.find((speed) => speed.model === model)?.milliSamplesPerSecond ?? 0
  return claim <= last.claimedMilli * CONFIRMED_SHARE ? 'confirmed' : 'unchecked'
}

/** Of all that it claims: one claim that failed is a doubt about them all. To be busy is none: rounds go before checks. */
export function standingOfAll(capable: Pick<Capable, 'checks' | 'report' | 'putOff'>): Standing {
  const standings = REFERENCE_MODEL_NAMES.map((model) => standingOf(capable, model))
  if (standings.includes('doubted')) return 'doubted'
  const { speeds } = capable.report
  return capable.putOff < PUT_OFF_MAX &&
    speeds.length > 0 &&
    speeds.every(({ model }) => standingOf(capable, model) === 'confirmed')
    ? 'confirmed'
    : 'unchecked'
}
