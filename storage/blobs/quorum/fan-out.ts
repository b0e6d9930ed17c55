import { assert } from '#protocol/assert.ts'
import { copyOf } from '#protocol/bytes.ts'
import type { Bytes, Millis } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import type { Clock } from '#protocol/ports.ts'

/**
 * One stream for several readers, read once. It goes on when the one that leads and `pace` of those that follow have
 * read what there is, and no further: a follower that cannot keep up with them is left behind when it is a window behind, or when
 * the others have waited long enough for it. What is held is the window, in one copy for all.
 */
export function fanOut(source: AsyncIterable<Bytes>, { follow, pace, clock }: FanOutOptions): FanOut {
  const iterator = source[Symbol.asyncIterator]()
  const lanes = Array.from(
    { length: 1 + follow },
    (_, index): Lane => ({
      leads: index === 0,
      ...{
        pieces: [],
        heldBytes: 0,
        isOpen: true,
        isWaiting: false,
        fault: undefined,
        changed: Promise.withResolvers(),
      },
    }),
  )
  const ended = Promise.withResolvers<void>()
  let isOver = false
  let isReading = false
  let patience = new AbortController()

  function tell(lane: Lane): void {
    lane.changed.resolve()
    lane.changed = Promise.withResolvers()
  }

  function leave(lane: Lane, fault: unknown): void {
    Object.assign(lane, { isOpen: false, fault, pieces: [], heldBytes: 0 })
    tell(lane)
  }

  function isReady(lane: Lane): boolean {
    return lane.isOpen && lane.isWaiting && lane.pieces.length === 0
  }

  function end(fault?: unknown): void {
    if (isOver) return
    isOver = true
    patience.abort()
    for (const lane of lanes)
      if (fault === undefined) tell(lane)
      else leave(lane, fault)
    ended.resolve()
  }

  /** Called whenever a reader waits, or is gone. */
  function goOn(): void {
    if (isOver || isReading) return
    const followers = lanes.filter(({ leads }) => !leads)
    if (followers.filter(({ isOpen }) => isOpen).length < pace)
      return end(new TooFewLeft('too many of the stores failed'))
    if (!lanes.every((lane) => !lane.leads || isReady(lane)) || followers.filter(isReady).length < pace) return
    isReading = true
    patience.abort()
    iterator.next().then(
      (next) => {
        isReading = false
        if (next.done) return end()
        give(copyOf(next.value))
      },
      (cause) => end(cause ?? new Error('the source failed')),
    )
  }

  function give(piece: Bytes): void {
    for (const lane of lanes) {
      if (!lane.isOpen) continue
      if (!lane.leads && lane.heldBytes > WINDOW_BYTES) {
        leave(lane, new LeftBehind('too slow for the others'))
        continue
      }
      lane.pieces.push(piece)
      lane.heldBytes += piece.length
      tell(lane)
    }
    bePatient()
  }

  /** From now until the source is read on. */
  function bePatient(): void {
    patience = new AbortController()
    clock.wakeAt(clock.now() + PATIENCE_MILLIS, patience.signal).then(
      () => {
        for (const lane of lanes)
          if (!lane.leads && lane.isOpen && !isReady(lane)) leave(lane, new LeftBehind('it hangs'))
        goOn()
      },
      () => undefined,
    )
  }

  async function* streamOf(lane: Lane): AsyncIterable<Bytes> {
    try {
      for (;;) {
        const piece = lane.pieces.shift()
        if (piece) {
          lane.heldBytes -= piece.length
          yield piece
        } else if (lane.fault !== undefined) throw lane.fault
        else if (isOver) return
        else {
          const { promise } = lane.changed
          lane.isWaiting = true
          goOn()
          await promise
          lane.isWaiting = false
        }
      }
    } finally {
      // Its reader wants no more of it.
      if (!isOver && lane.isOpen) leave(lane, new LeftBehind('it gave up'))
      goOn()
    }
  }

  const [leader, ...followers] = lanes.map(streamOf)
  assert(leader, 'one leads')
  bePatient()
  return {
    ...{ leader, followers, ended: ended.promise },
    drop(follower) {
      const lane = lanes[1 + follower]
      if (lane?.isOpen) leave(lane, new LeftBehind('it failed'))
      goOn()
    },
    end(cause) {
      end(cause)
      // Not awaited: a source that hangs in `next` would hang in `return` too.
      iterator.return?.().then(undefined, () => undefined)
    },
  }
}

export type FanOut = {
  readonly leader: AsyncIterable<Bytes>
  readonly followers: readonly AsyncIterable<Bytes>[]
  /** When the source has been read to its end, or will not be. */
  readonly ended: Promise<void>
  /** This one is waited for no longer. */
  drop(follower: number): void
  /** All streams fail with it, unless they had their end before. */
  end(cause: unknown): void
}

/** One of those that follow is not waited for any longer. */
class LeftBehind extends Error {
  override name = 'LeftBehind'
}
/** Fewer followers are left than set the pace. */
export class TooFewLeft extends Error {
  override name = 'TooFewLeft'
}

type FanOutOptions = {
  readonly follow: number
  readonly pace: number
  readonly clock: Clock
}

type Lane = {
  readonly leads: boolean
  pieces: Bytes[]
  heldBytes: number
  isOpen: boolean
  isWaiting: boolean
  fault: unknown
  changed: PromiseWithResolvers<void>
}

const WINDOW_BYTES = 4 * BLOCK_BYTES_MAX
/** How long those that are ready wait for one that they need. */
const PATIENCE_MILLIS: Millis = 30_000
