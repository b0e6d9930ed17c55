import {
  CAPABILITY_MILLIS_MIN,
  type Capability,
  MEASURED_MILLIS_MAX,
  type MeasuredSpeed,
} from '#protocol/capability.ts'
import { cidOf, RAW } from '#protocol/cid.ts'
import type { Block } from '#protocol/envelope.ts'
import type { Bytes, Millis } from '#protocol/ids.ts'
import type { ClientMessage, CoordinatorMessage } from '#protocol/messages.ts'
import { type Clock, TrainingRefused } from '#protocol/ports.ts'
import { REFERENCE_MODEL_NAMES, type ReferenceModel } from '#protocol/reference-models.ts'
import { encodeCurve } from '#protocol/spot-check.ts'
import type { Unaddressed } from './voice.ts'

/** Training of a reference model, for its speed and its losses. No data of the site is looked at. */
export interface Measurer {
  /** Throws {@link TrainingRefused}, the world's faults, or the signal's reason. */
  measure(measurement: Measurement, signal: AbortSignal): Promise<Measured>
}

/** What is trained: so many repetitions from one on, or as many as a time has room for. */
export type Measurement = {
  readonly model: ReferenceModel
  readonly seed: Bytes
  readonly amount:
    | { readonly kind: 'repetitions'; readonly from: number; readonly count: number }
    | { readonly kind: 'time'; readonly millis: Millis }
}
export type Measured = {
  /** The mean over the rows, in nats, of every epoch that was trained. */
  readonly losses: readonly number[]
  /** Rows that went through the model and back. */
  readonly samples: number
  readonly millis: Millis
}

/** What a node says of itself, apart from how fast it is. */
export type Traits = Omit<Capability, 'speeds'>
/** Of this node, and where it keeps what it has measured. */
export type OwnBench = {
  /** As they are now: a device may be lost. */
  readonly traits: () => Traits
  /** What was measured in an earlier life under these traits; nothing where nothing was. */
  readonly kept: (traits: Traits) => Promise<readonly MeasuredSpeed[]>
  readonly keep: (capability: Capability) => Promise<void>
  /** Told of every measurement, and of the kept one that it begins with. */
  readonly report: (capability: Capability) => void
  /** Told why there is none. */
  readonly failed: (cause: unknown) => void
}

export type Measures = {
  readonly measurer: Measurer
  /** Absent where the node says nothing of what it can do. */
  readonly bench?: OwnBench | undefined
}
type MeasuringDoors = Measures & {
  readonly clock: Clock
  readonly chance: (lengthBytes: number) => Bytes
} & Around
/** Of the node that is measured. */
type Around = {
  /** Whether it may train, and no round does. */
  readonly isFree: () => boolean
  readonly say: (word: Own, blocks: readonly Block[]) => Promise<void>
}

/** What a node says of itself. */
export type Own = Unaddressed<Extract<ClientMessage, { readonly kind: 'capability' | 'measured' | 'busy' | 'dataset' }>>

export type OwnWord = { readonly word: Own; readonly blocks: readonly Block[] }

/** Long enough that no clock matters, three times over a few seconds. */
const BENCH_MILLIS: Millis = 1000
/** A check takes no node for longer, whatever is asked of it: an honest one is over in a minute. */
const CHECK_MILLIS_MAX: Millis = 90_000
/** How often it is looked whether a round is over. */
const LOOK_MILLIS: Millis = 1000
/** How often it is looked whether a measurement is old, or of another device. */
const RENEW_LOOK_MILLIS: Millis = 60_000

/** Measures the node itself, and answers whoever tests it. A round goes before both: what it interrupts is begun again later. */
export class Measuring {
  readonly #doors: MeasuringDoors
  #capability: Capability | undefined
  /** A coordinator that heard of another device a moment ago refuses to hear more, and may go by that one still. */
  #isUnheard = false
  #running: AbortController | undefined

  private constructor(doors: MeasuringDoors) {
    this.#doors = doors
  }

  /** Measures from now on, where the node is to be; undefined where nothing measures it. */
  static open(
    doors: Omit<MeasuringDoors, keyof Measures | keyof Around> & { readonly measures?: Measures | undefined },
    signal: AbortSignal,
    around: Around,
  ): Measuring | undefined {
    const { measures, clock, chance } = doors
    if (!measures) return undefined
    const measuring = new Measuring({ ...measures, ...around, clock, chance })
    if (measures.bench) void measuring.#keepMeasured(measures.bench, signal)
    return measuring
  }

  /** A round trains from now on. */
  interrupt(): void {
    this.#running?.abort(new Interrupted())
  }

  /** The link is new: whoever is there may not know it. */
  async announce(): Promise<void> {
    if (this.#capability) await this.#doors.say({ kind: 'capability', ...this.#capability }, [])
  }

  /** Measures the node, again after a day, and again when what it trains on is another, until the signal fires. */
  async #keepMeasured({ traits: traitsNow, kept, keep, report, failed }: OwnBench, signal: AbortSignal): Promise<void> {
    const { clock } = this.#doors
    /** When it is said once more: what was said before, perhaps in an earlier life, may be so young that this is refused. */
    let againAt: Millis | undefined
    for (;;) {
      try {
        const traits = traitsNow()
        const known = this.#capability
        const isOurs = known !== undefined && isOfSame(known, traits)
        let speeds = isOurs ? known.speeds : await kept(traits)
        if (!isFresh(speeds, clock.now())) {
          speeds = await this.#bench(signal)
          await keep({ ...traits, speeds })
        }
        const now = clock.now()
        if (!isOurs || speeds !== known.speeds) {
          this.#capability = { ...traits, speeds }
          report(this.#capability)
          againAt = now + CAPABILITY_MILLIS_MIN
          this.#isUnheard = known !== undefined && !isOurs
          await this.announce()
        } else if (againAt !== undefined && now >= againAt) {
          await this.announce()
          againAt = undefined
          this.#isUnheard = false
        }
      } catch (cause) {
        if (!signal.aborted) failed(cause)
      }
      if (
        !(await clock.wakeAt(clock.now() + RENEW_LOOK_MILLIS, signal).then(
          () => true,
          () => false,
        ))
      )
        return
    }
  }

  /** A coordinator's check. Nobody waits for it, since it may take seconds. Never throws: what goes wrong is no answer. */
  async answer({ model, seed, repetitions }: Extract<CoordinatorMessage, { kind: 'measure' }>): Promise<void> {
    const { say, measurer, clock } = this.#doors
    if (!this.#doors.isFree() || this.#running || this.#isUnheard)
      return say({ kind: 'busy', seed }, []).catch(() => undefined)
    const done = new AbortController()
    clock.wakeAt(clock.now() + CHECK_MILLIS_MAX, done.signal).then(
      () => this.interrupt(),
      () => undefined,
    )
    try {
      const { losses, millis } = await this.#interruptibly((stop) =>
        measurer.measure({ model, seed, amount: { kind: 'repetitions', from: 0, count: repetitions } }, stop),
      )
      const bytes = encodeCurve(losses)
      const curve = { cid: cidOf(RAW, bytes), bytes }
      await say({ kind: 'measured', seed, curve: curve.cid, trainMillis: Math.round(millis) }, [curve])
    } catch (cause) {
      if (cause instanceof Interrupted) await say({ kind: 'busy', seed }, []).catch(() => undefined)
    } finally {
      done.abort()
    }
  }

  async #bench(signal: AbortSignal): Promise<readonly MeasuredSpeed[]> {
    const { measurer, clock, chance, isFree } = this.#doors
    const speeds: MeasuredSpeed[] = []
    for (const model of REFERENCE_MODEL_NAMES) {
      for (let isDone = false; !isDone; ) {
        while (!isFree() || this.#running) await clock.wakeAt(clock.now() + LOOK_MILLIS, signal)
        try {
          const seed = chance(32)
          speeds.push(
            ...(await this.#interruptibly((stop) => measureSpeed(measurer, clock, { model, seed }, stop), signal)),
          )
          isDone = true
        } catch (cause) {
          if (!(cause instanceof Interrupted)) throw cause
        }
      }
    }
    return speeds
  }

  async #interruptibly<T>(work: (stop: AbortSignal) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const running = new AbortController()
    this.#running = running
    try {
      return await work(signal ? AbortSignal.any([running.signal, signal]) : running.signal)
    } finally {
      this.#running = undefined
    }
  }
}

class Interrupted extends Error {
  override name = 'Interrupted'
}

/** The speed on one model; none where this backend cannot train it. */
export async function measureSpeed(
  measurer: Measurer,
  clock: Pick<Clock, 'now'>,
  { model, seed }: Pick<Measurement, 'model' | 'seed'>,
  signal: AbortSignal,
): Promise<readonly MeasuredSpeed[]> {
  try {
    const { samples, millis } = await measurer.measure(
      { model, seed, amount: { kind: 'time', millis: BENCH_MILLIS } },
      signal,
    )
    const milliSamplesPerSecond = Math.round((samples * 1_000_000) / millis)
    return [{ model, milliSamplesPerSecond, measuredAt: clock.now() }]
  } catch (cause) {
    if (cause instanceof TrainingRefused) return []
    throw cause
  }
}

/** A backend that trains none of the models is looked at again each time: that costs nothing. */
function isFresh(speeds: readonly MeasuredSpeed[], now: Millis): boolean {
  return speeds.length > 0 && speeds.every(({ measuredAt }) => now < measuredAt + MEASURED_MILLIS_MAX)
}

/** Whether what was measured on one is true of the other. */
export function isOfSame(one: Traits, other: Traits): boolean {
  return one.backend === other.backend && one.adapter === other.adapter && one.version === other.version
}
